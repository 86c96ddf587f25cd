"""Faults that act on what a robot senses of itself and of its teammates, over arrays of robots.

They act where the robot's inputs pass: on its own odometry and on its own tracks, once per tick.
What a robot reads of its task stays as it is.
"""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.drive import SwarmSensed
from eir_ros.contract.faults import SENSING, FaultKind
from eir_ros.contract.streams import generators, sequence_of
from eir_ros.faults.acting import DEFAULTS

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Kinds = NDArray[np.integer[Any]]

_FIRST: Final = min(SENSING)
_LAST: Final = max(SENSING)


def any_sensing(kinds: Kinds) -> bool:
    """Whether a sense of anybody is faulty."""
    return bool(((kinds >= _FIRST) & (kinds <= _LAST)).any())


class SensingFaults:
    """Turns what sensors would say into what faulty ones do.

    Call `odometry` and `tracks` once per tick each, in any order; while every robot is healthy
    they need not be called, and give back what they are given.

    Parameters
    ----------
    shape
        Shape of the array of robots: `(batch, N)` in simulation, `()` on a robot.
    mates
        Teammates that each robot can track, M.
    tick_s
        Time between two calls [s].
    seed
        Anything `numpy.random.SeedSequence` takes as entropy, or one.
    """

    def __init__(self, shape: tuple[int, ...], mates: int, tick_s: float, seed: Any) -> None:
        self._shape, self._mates, self._tick_s = shape, mates, tick_s
        self.reset(seed)

    def reset(self, seed: Any) -> None:
        """Forget the past and start again from `seed`."""
        own, others = sequence_of(seed).spawn(2)
        # one stream each, so that it does not matter which of the two comes first, and one for
        # each team of a batch
        teams = math.prod(self._shape[:-1])
        self._own, self._others = generators(own, teams), generators(others, teams)
        self.forget()

    def forget(self) -> None:
        """Begin anew, with the random numbers that come next."""
        none = np.zeros(self._shape, bool)
        self._frozen, self._frozen_tracks, self._walking, self._losing = none, none, none, none
        self._held = np.zeros((*self._shape, 5))
        self._held_tracks = np.zeros((*self._shape, self._mates, 5))
        self._walk = np.zeros((*self._shape, 3))
        self._course = np.zeros(self._shape)
        self._lost = np.zeros((*self._shape, self._mates), bool)

    def apply(self, kinds: Kinds, sensed: SwarmSensed, values: Floats | None = None) -> SwarmSensed:
        """What is sensed at a tick, (...); the same object where nothing is wrong."""
        if not any_sensing(kinds) and not self._was_wrong:
            return sensed
        pose, velocity = self.odometry(kinds, sensed.pose, sensed.velocity, values)
        tracks, visible = self.tracks(kinds, sensed.tracks, sensed.visible, values)
        changed = {"pose": pose, "velocity": velocity, "tracks": tracks, "visible": visible}
        return type(sensed)(**(vars(sensed) | changed))

    @property
    def _was_wrong(self) -> bool:
        """Whether somebody has yet to be told that its fault is over."""
        states = (self._frozen, self._frozen_tracks, self._walking, self._losing)
        return any(bool(state.any()) for state in states)

    def odometry(
        self, kinds: Kinds, pose: Floats, velocity: Floats, values: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Pose (..., 3) [m, m, rad] and velocity (..., 2) [m/s] that the odometry tells.

        Parameters
        ----------
        kinds : (...)
            Codes of `FaultKind`.
        values : (..., P), optional
            Parameters of the faults, as `contract.fault_parameters.columns` lays them out.
        """
        given = DEFAULTS[kinds] if values is None else values
        out = np.array(pose, np.float64)
        offset = kinds == FaultKind.OFFSET
        out += np.where(offset[..., None], given[..., :3], 0.0)
        out += self._walked(kinds == FaultKind.ODOM_DRIFT, given)
        noisy = kinds == FaultKind.NOISE
        if noisy.any():
            noise = self._drawn(self._own, noisy, (2,)) * given[..., :1]
            out[..., :2] += np.where(noisy[..., None], noise, 0.0)
        both = np.concatenate([out, np.asarray(velocity, np.float64)], axis=-1)
        frozen = kinds == FaultKind.FROZEN
        self._held = np.where((frozen & ~self._frozen)[..., None], both, self._held)
        self._frozen = frozen
        both = np.where(frozen[..., None], self._held, both)
        return both[..., :3], both[..., 3:]

    def _walked(self, walking: Bools, given: Floats) -> Floats:
        """How far the odometry has walked away by now, (..., 3)."""
        if not walking.any() and not self._walking.any():
            return self._walk
        begins = walking & ~self._walking
        if begins.any():
            course = 2 * np.pi * self._drawn(self._own, begins, (), normal=False)
            self._course = np.where(begins, course, self._course)
        step = np.stack(
            [
                given[..., 0] * np.cos(self._course),
                given[..., 0] * np.sin(self._course),
                given[..., 1],
            ],
            axis=-1,
        )
        self._walk = np.where(walking[..., None], self._walk + step * self._tick_s, 0.0)
        self._walking = walking
        return self._walk

    def tracks(
        self, kinds: Kinds, tracks: Floats, visible: Bools, values: Floats | None = None
    ) -> tuple[Floats, Bools]:
        """Tracks (..., M, 4) of teammates and whether there is one, (..., M)."""
        given = DEFAULTS[kinds] if values is None else values
        out = np.array(tracks)
        noisy = kinds == FaultKind.NOISE
        if noisy.any():
            noise = self._drawn(self._others, noisy, (self._mates, 2)) * given[..., :1, None]
            out[..., :2] += np.where(noisy[..., None, None], noise, 0.0).astype(out.dtype)
        seen = visible & ~self._dropped(kinds == FaultKind.DROPOUT, given)
        both = np.concatenate([out, seen[..., None].astype(out.dtype)], axis=-1)
        frozen = kinds == FaultKind.FROZEN
        begins = (frozen & ~self._frozen_tracks)[..., None, None]
        self._held_tracks = np.where(begins, both, self._held_tracks)
        self._frozen_tracks = frozen
        both = np.where(frozen[..., None, None], self._held_tracks, both).astype(out.dtype)
        return both[..., :4], both[..., 4] > 0.5

    def _dropped(self, losing: Bools, given: Floats) -> Bools:
        """Whether each track is in a gap, (..., M): a two-state Markov chain for each."""
        if not losing.any() and not self._losing.any():
            return self._lost
        share, length_s = given[..., :1], np.maximum(given[..., 1:2], self._tick_s)
        luck = self._drawn(self._others, losing, (self._mates,), normal=False)
        back = self._tick_s / length_s
        away = np.minimum(1.0, share / np.maximum(1.0 - share, 1e-9) * back)
        going_on = np.where(self._lost, luck >= back, luck < away)
        begins = (losing & ~self._losing)[..., None]
        self._lost = np.where(begins, luck < share, going_on) & losing[..., None]
        self._losing = losing
        return self._lost

    def _drawn(
        self,
        rngs: list[np.random.Generator],
        some: Bools,
        more: tuple[int, ...],
        normal: bool = True,
    ) -> NDArray[np.float64]:
        """Numbers (..., *more), normal or uniform, from the streams of teams that need `some`."""
        found = np.zeros((*self._shape, *more))
        rows = zip(
            rngs, found.reshape(len(rngs), -1), np.asarray(some).reshape(len(rngs), -1), strict=True
        )
        for rng, row, needed in rows:
            if needed.any():
                row[...] = rng.standard_normal(row.shape) if normal else rng.random(row.shape)
        return found

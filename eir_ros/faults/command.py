"""Faults that act on what the motors are told, elementwise over any array of robots."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.scratch import Scratch
from eir_ros.contract.streams import generators
from eir_ros.faults.acting import DEFAULTS

#: What is left of a slow robot's command, of the speed of a drifting robot's left wheel, and what a
#: wearing actuator loses of its gain at every tick, unless told otherwise.
SLOW_GAIN = float(DEFAULTS[FaultKind.SLOW, 0])
DRIFT_GAIN = float(DEFAULTS[FaultKind.DRIFT, 0])
WEAR_RATE = float(DEFAULTS[FaultKind.WEAR, 0])
#: Distance between the wheels of a differential drive [m].
TRACK_M = 0.2
#: Reversion [1/tick] and step size [m/s, rad/s per tick] of a wandering robot's command
#: (a discretised Ornstein-Uhlenbeck process around standing still).
WALK_REVERSION = 0.05
WALK_STEP = np.array([0.12, 0.8])
#: A wandering robot still has the bounds of its drive [m/s, rad/s].
WALK_LIMIT = np.array([0.5, 3.0])


#: One number for all robots, or one for each.
Gain = float | NDArray[np.float64]


class CommandFaults:
    """Turns intended commands into those that a faulty actuator carries out.

    Call `apply` once per tick, also while every robot is healthy: `stuck` repeats the last
    command given before its onset, and `wear` goes on from tick to tick and is mended by any
    other kind. Each team of a batch draws from a random stream of its own.

    Parameters
    ----------
    shape
        Shape of the array of robots: `(batch, N)` in training, `()` on a robot.
    seed
        Anything `numpy.random.SeedSequence` takes.
    """

    def __init__(self, shape: tuple[int, ...], seed: Any) -> None:
        self._shape = shape
        self._last = np.zeros((*shape, 2))
        self._walk = np.zeros((*shape, 2))
        self._gain = np.ones((*shape, 1))
        self._scratch = Scratch()
        self.reset(seed)

    def reset(self, seed: Any) -> None:
        """Forget the past and start again from `seed`."""
        self.reseed(seed)
        self._last[...] = 0.0
        self._walk[...] = 0.0
        self._gain[...] = 1.0

    def reseed(self, seed: Any) -> None:
        """Go on with the random numbers of `seed`, and with everything else as it is."""
        teams = math.prod(self._shape[:-1])
        alone = len(self._shape) < 2
        self._rngs = [np.random.default_rng(seed)] if alone else generators(seed, teams)

    def apply(
        self,
        kinds: NDArray[np.integer[Any]],
        commands: NDArray[np.floating[Any]],
        out: NDArray[np.float64] | None = None,
        values: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Commands that are carried out, (..., 2) [m/s, rad/s; base_link].

        Parameters
        ----------
        kinds : (...)
            Codes of `FaultKind`; kinds that are not actuator faults leave the command alone.
        commands : (..., 2)
            Intended forward speed and yaw rate.
        out
            Where the commands go; None: a new array.
        values : (..., P), optional
            Parameters of the faults, as `contract.fault_parameters.columns` lays them out; those
            that are used unless others are given.
        """
        kinds = np.asarray(kinds)
        strength = None if values is None else values[..., :1]
        if out is None:
            out = np.empty(self._last.shape)
        np.copyto(out, commands)
        where = self._where(kinds, FaultKind.STOP)
        np.copyto(out, 0.0, where=where)
        factor = self._scratch("factor", out.shape)
        factor[...] = 1.0
        gain = SLOW_GAIN if strength is None else strength
        np.copyto(factor, gain, where=self._where(kinds, FaultKind.SLOW))
        np.copyto(factor, -1.0, where=self._where(kinds, FaultKind.REVERSE))
        wearing = self._where(kinds, FaultKind.WEAR)
        self._gain *= 1.0 - (WEAR_RATE if strength is None else strength)
        np.copyto(self._gain, 1.0, where=np.logical_not(wearing, out=self._healthy))
        np.copyto(factor, self._gain, where=wearing)
        out *= factor
        drifting = self._where(kinds, FaultKind.DRIFT)
        if drifting.any():
            gain = DRIFT_GAIN if strength is None else strength[..., 0]
            np.copyto(out, self._with_weak_wheel(out, gain), where=drifting)
        walking = self._where(kinds, FaultKind.RANDOM_WALK)
        if walking.any():
            self._wander(walking, 1.0 if strength is None else strength)
            np.copyto(out, self._walk, where=walking)
        np.copyto(out, self._last, where=self._where(kinds, FaultKind.STUCK))
        np.copyto(self._last, out)
        # what is not a number is not remembered: a gate turns it away, and a base stands
        np.copyto(out, np.nan, where=self._where(kinds, FaultKind.NAN))
        return out

    @property
    def _healthy(self) -> NDArray[np.bool_]:
        """Room for a mask of robots, (..., 1)."""
        return self._scratch("healthy", (*self._shape, 1), np.bool_)

    def _where(self, kinds: NDArray[np.integer[Any]], kind: FaultKind) -> NDArray[np.bool_]:
        """Which robots have that fault, (..., 1)."""
        found = self._scratch("where", (*self._shape, 1), np.bool_)
        np.equal(kinds, int(kind), out=found[..., 0])
        return found

    def _wander(self, walking: NDArray[np.bool_], scale: Gain) -> None:
        """Move the commands of wandering robots on; the others start from standing still."""
        noise = self._scratch("noise", self._walk.shape)
        teams = len(self._rngs)
        rows = zip(self._rngs, noise.reshape(teams, -1), walking.reshape(teams, -1), strict=True)
        for rng, row, some in rows:
            if some.any():
                rng.standard_normal(out=row)
        lend, shape = self._scratch, noise.shape
        noise *= lend.spread("step", WALK_STEP, shape)
        noise *= scale
        self._walk *= 1.0 - WALK_REVERSION
        self._walk += noise
        limit = lend.spread("limit", WALK_LIMIT, shape)
        np.clip(self._walk, lend.spread("least", -WALK_LIMIT, shape), limit, out=self._walk)
        standing = np.logical_not(walking, out=self._healthy)
        np.copyto(self._walk, 0.0, where=standing)

    def _with_weak_wheel(self, commands: NDArray[np.float64], gain: Gain) -> NDArray[np.float64]:
        """What becomes of commands (..., 2) whose left wheel turns too slowly."""
        lend = self._scratch
        forward, turn = lend.copy("left", commands[..., 0]), lend.copy("turn", commands[..., 1])
        turn *= 0.5 * TRACK_M
        right = lend.copy("right", forward)
        right += turn
        left = forward
        left -= turn
        left *= gain
        found = lend("weak", commands.shape)
        np.add(right, left, out=turn)
        turn *= 0.5
        found[..., 0] = turn
        np.subtract(right, left, out=turn)
        turn /= TRACK_M
        found[..., 1] = turn
        return found

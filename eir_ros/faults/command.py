"""Faults that act on what the motors are told, elementwise over any array of robots."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.faults import FaultKind

#: What is left of a slow robot's command.
SLOW_GAIN = 0.3
#: What is left of the speed of a drifting robot's left wheel.
DRIFT_GAIN = 0.5
#: Distance between the wheels of a differential drive [m].
TRACK_M = 0.2
#: Share of its gain that a wearing actuator loses at every tick: half of it in 7 s of 10 Hz.
WEAR_RATE = 0.01
#: Reversion [1/tick] and step size [m/s, rad/s per tick] of a wandering robot's command
#: (a discretised Ornstein-Uhlenbeck process around standing still).
WALK_REVERSION = 0.05
WALK_STEP = np.array([0.12, 0.8])
#: A wandering robot still has the bounds of its drive [m/s, rad/s].
WALK_LIMIT = np.array([0.5, 3.0])


class CommandFaults:
    """Turns intended commands into those that a faulty actuator carries out.

    Call `apply` once per tick, also while every robot is healthy: `stuck` repeats the last
    command given before its onset, and `wear` goes on from tick to tick and is mended by any
    other kind.

    Parameters
    ----------
    shape
        Shape of the array of robots: `(batch, N)` in training, `()` on a robot.
    seed
        Anything `numpy.random.default_rng` takes.
    """

    def __init__(self, shape: tuple[int, ...], seed: Any) -> None:
        self._rng = np.random.default_rng(seed)
        self._last = np.zeros((*shape, 2))
        self._walk = np.zeros((*shape, 2))
        self._gain = np.ones((*shape, 1))

    def reset(self, seed: Any) -> None:
        """Forget the past and start again from `seed`."""
        self._rng = np.random.default_rng(seed)
        self._last[...] = 0.0
        self._walk[...] = 0.0
        self._gain[...] = 1.0

    def apply(self, kinds: NDArray[np.integer[Any]], commands: NDArray) -> NDArray[np.float64]:
        """Commands that are carried out, (..., 2) [m/s, rad/s; base_link].

        Parameters
        ----------
        kinds : (...)
            Codes of `FaultKind`; kinds that are not actuator faults leave the command alone.
        commands : (..., 2)
            Intended forward speed and yaw rate.
        """
        kind = np.asarray(kinds)[..., None]
        walking = kind == FaultKind.RANDOM_WALK
        if walking.any():
            noise = self._rng.standard_normal(self._walk.shape) * WALK_STEP
            walk = (1.0 - WALK_REVERSION) * self._walk + noise
            self._walk = np.where(walking, np.clip(walk, -WALK_LIMIT, WALK_LIMIT), 0.0)
        out = np.where(kind == FaultKind.STOP, 0.0, commands)
        out = np.where(kind == FaultKind.SLOW, SLOW_GAIN * out, out)
        out = np.where(kind == FaultKind.REVERSE, -out, out)
        drifting = kind == FaultKind.DRIFT
        if drifting.any():
            out = np.where(drifting, _with_weak_wheel(out), out)
        wearing = kind == FaultKind.WEAR
        self._gain = np.where(wearing, (1.0 - WEAR_RATE) * self._gain, 1.0)
        out = np.where(wearing, self._gain * out, out)
        out = np.where(walking, self._walk, out)
        out = np.where(kind == FaultKind.STUCK, self._last, out)
        self._last = out
        return out


def _with_weak_wheel(commands: NDArray) -> NDArray[np.float64]:
    """What becomes of commands (..., 2) whose left wheel turns too slowly."""
    forward, turn = commands[..., 0], 0.5 * TRACK_M * commands[..., 1]
    left, right = DRIFT_GAIN * (forward - turn), forward + turn
    return np.stack([0.5 * (right + left), (right - left) / TRACK_M], axis=-1)

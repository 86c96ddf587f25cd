"""The pursuit task: robots surround an evader that is faster than each of them.

It is caught when at least `needed` *working* robots are within `catch_radius` and leave no gap of
half a circle between them, walls that near helping. See `contract.drive` for what tasks share.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.drive import (
    COMPASS,
    DIRECTIONS,
    Decision,
    Floats,
    SwarmSensed,
    SwarmTask,
    assemble,
    decide,
)
from eir_ros.contract.layout import Field
from eir_ros.contract.scratch import Scratch


class PursuitTask(SwarmTask):
    """Numbers of the task that both sides of the contract use. SI units, REP-103."""

    #: Speed of the evader [m/s].
    evader_speed: float = Setting(0.6, gt=0)
    #: Working robots this near hold the evader [m].
    catch_radius: float = Setting(0.6, gt=0)
    #: So many of them are needed.
    needed: int = Setting(3, ge=2)

    @model_validator(mode="after")
    def _enough(self) -> "PursuitTask":
        if self.needed > self.num_robots:
            raise ValueError(
                f"needed is {self.needed}; expected at most num_robots, {self.num_robots}"
            )
        return self

    @property
    def homing_actions(self) -> tuple[str, ...]:
        """To the evader, and to eight places around it."""
        return ("go_to_evader", *(f"go_{word}_of_evader" for word in COMPASS))

    @property
    def task_fields(self) -> tuple[Field, ...]:
        """The evader's track."""
        return (
            # relative to the robot, map axes; zero where not visible
            Field(name="evader_position", shape=(2,), unit="m", frame="map"),
            Field(name="evader_velocity", shape=(2,), unit="m/s", frame="map"),
            Field(name="evader_visible", shape=(1,), unit="1", frame="-"),
        )


@dataclass
class Sensed(SwarmSensed):
    """What robots sense at one tick; `(...)` are shared leading dimensions."""

    #: This robot's track of the evader: x, y, vx, vy, (..., 4) [m, m/s; map]
    evader: Floats
    #: Whether it is tracked at present, (...) bool
    evader_visible: NDArray[np.bool_]


def observe(
    task: PursuitTask,
    sensed: Sensed,
    out: NDArray[np.float32] | None = None,
    scratch: Scratch | None = None,
) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`.

    `out` and `scratch` are those of `drive.assemble`.
    """
    lend = scratch or Scratch()
    visible = np.asarray(sensed.evader_visible)[..., None]
    evader = lend.copy("observe.evader", sensed.evader, np.float32)
    shift = lend("observe.shift", evader.shape, np.float32)
    shift[..., :2], shift[..., 2:] = np.asarray(sensed.pose)[..., :2], 0.0
    evader -= shift
    evader *= lend.spread("observe.seen", visible, evader.shape, np.float32)
    return assemble(task, sensed, evader, visible, out=out, scratch=lend)


def decode(
    task: PursuitTask,
    action: NDArray[np.integer[Any]],
    sensed: Sensed,
    scratch: Scratch | None = None,
) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    Who does not see the evader stays where it is; the ring around it has half of `catch_radius`.
    `scratch` is that of `drive.decide`.
    """
    lend = scratch or Scratch()
    seen = np.asarray(sensed.evader_visible)
    shape = (*seen.shape, 1 + len(DIRECTIONS), 2)
    evader = lend.copy("decode.evader", np.asarray(sensed.evader)[..., :2], np.float32)
    places = lend.spread("decode.places", evader[..., None, :], shape)
    ring = lend.kept(("ring", task.catch_radius, shape), lambda: _ring(task, shape))
    places += ring
    unseen = lend("decode.unseen", seen.shape, np.bool_)
    np.logical_not(seen, out=unseen)
    own = np.asarray(sensed.pose)[..., None, :2]
    np.copyto(places, own, where=unseen[..., None, None])
    return decide(task, action, places, lend)


def _ring(task: PursuitTask, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Where the go-to actions head for, relative to the evader, (*shape) [m; map]."""
    around = 0.5 * task.catch_radius * DIRECTIONS
    return np.broadcast_to(np.concatenate([np.zeros((1, 2)), around]), shape).copy()

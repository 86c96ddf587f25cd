"""The pursuit task: robots surround an evader that is faster than each of them.

It is caught when at least `needed` *working* robots are within `catch_radius` and leave no gap of
half a circle between them, walls that near helping. See `contract.drive` for what tasks share.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

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


class PursuitTask(SwarmTask):
    """Numbers of the task that both sides of the contract use. SI units, REP-103."""

    #: Speed of the evader [m/s].
    evader_speed: float = Setting(0.6, gt=0)
    #: Working robots this near hold the evader [m].
    catch_radius: float = Setting(0.6, gt=0)
    #: So many of them are needed.
    needed: int = Setting(3, ge=2)

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


def observe(task: PursuitTask, sensed: Sensed) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`."""
    evader = np.asarray(sensed.evader, np.float32)
    visible = np.asarray(sensed.evader_visible, np.float32)[..., None]
    relative = evader[..., :2] - np.asarray(sensed.pose, np.float32)[..., :2]
    return assemble(task, sensed, relative * visible, evader[..., 2:] * visible, visible)


def decode(task: PursuitTask, action: NDArray[np.integer[Any]], sensed: Sensed) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    Who does not see the evader stays where it is; the ring around it has half of `catch_radius`.
    """
    own = np.asarray(sensed.pose, np.float32)[..., None, :2]
    evader = np.asarray(sensed.evader, np.float32)[..., None, :2]
    ring = evader + 0.5 * task.catch_radius * DIRECTIONS
    places = np.concatenate([evader, ring], axis=-2)
    seen = np.asarray(sensed.evader_visible)[..., None, None]
    return decide(task, action, np.where(seen, places, own))

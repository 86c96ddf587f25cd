"""The transport task: robots push a box, too heavy for one of them, to where it shall be.

A robot with a fault pushes with no force but where that hinders. See `contract.drive` for what
all tasks share.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.drive import (
    Decision,
    Floats,
    SwarmSensed,
    SwarmTask,
    assemble,
    decide,
)
from eir_ros.contract.layout import Field

#: Distance that a robot keeps from the box while it goes round [m].
_STANDOFF: Final = 0.3
#: How far inside the box the goal of a pushing robot lies [m].
_PRESS: Final = 0.3


class TransportTask(SwarmTask):
    """Numbers of the task that both sides of the contract use. SI units, REP-103."""

    #: Half the side of the box [m].
    box_half: float = Setting(0.35, gt=0)
    #: The box is delivered this near to the goal [m].
    deliver_radius: float = Setting(0.20, gt=0)

    @property
    def homing_actions(self) -> tuple[str, ...]:
        """To push on each face, the one first from where a push helps most."""
        return tuple(f"push_face_{k + 1}" for k in range(4))

    @property
    def task_fields(self) -> tuple[Field, ...]:
        """Box and goal."""
        return (
            # relative to the robot, map axes
            Field(name="box_position", shape=(2,), unit="m", frame="map"),
            Field(name="box_velocity", shape=(2,), unit="m/s", frame="map"),
            # cos and sin of four times its yaw: a quarter turn changes nothing
            Field(name="box_heading", shape=(2,), unit="1", frame="map"),
            # relative to the box, map axes
            Field(name="goal", shape=(2,), unit="m", frame="map"),
        )


@dataclass
class Sensed(SwarmSensed):
    """What robots sense at one tick; `(...)` are shared leading dimensions."""

    #: x, y, yaw of the box, (..., 3) [m, m, rad; map]
    box: Floats
    #: (..., 2) [m/s; map]
    box_velocity: Floats
    #: Where the box shall be, (..., 2) [m; map]
    goal: Floats


def observe(task: TransportTask, sensed: Sensed) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`."""
    box = np.asarray(sensed.box, np.float32)
    turned = 4 * box[..., 2]
    return assemble(
        task,
        sensed,
        box[..., :2] - np.asarray(sensed.pose, np.float32)[..., :2],
        np.asarray(sensed.box_velocity, np.float32),
        np.stack([np.cos(turned), np.sin(turned)], axis=-1),
        np.asarray(sensed.goal, np.float32) - box[..., :2],
    )


def decode(task: TransportTask, action: NDArray[np.integer[Any]], sensed: Sensed) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    Who is in front of the chosen face drives into it. Others go round the box: away from it, past
    its corner, and then before the face.
    """
    box = np.asarray(sensed.box, np.float64)
    angle = box[..., 2:] + 0.5 * np.pi * np.arange(4)
    out = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    wanted = np.asarray(sensed.goal, np.float64) - box[..., :2]
    # the force of a push on a face points into the box
    order = np.argsort((out * wanted[..., None, :]).sum(-1), axis=-1, kind="stable")
    out = np.take_along_axis(out, order[..., None], axis=-2)
    along = np.stack([-out[..., 1], out[..., 0]], axis=-1)
    offset = (np.asarray(sensed.pose, np.float64)[..., :2] - box[..., :2])[..., None, :]
    ahead, aside = (offset * out).sum(-1), (offset * along).sum(-1)
    goal = _way_round(ahead, aside, task.box_half)
    places = box[..., None, :2] + goal[..., :1] * out + goal[..., 1:] * along
    return decide(task, action, places)


def _way_round(ahead: Floats, aside: Floats, half: float) -> Floats:
    """Where to go next from a place given before and beside a face; both (..., 2) [m]."""
    clear = half + _STANDOFF
    side = np.where(aside < 0, -clear, clear)
    pushing = (ahead > half) & (np.abs(aside) < 0.8 * half)
    before = (ahead > half) & ~pushing
    beside = np.abs(aside) > clear - 0.05
    goal_ahead = np.select([pushing, before | beside], [half - _PRESS, clear], ahead)
    goal_aside = np.select([pushing, before], [aside, 0.0], side)
    return np.stack([goal_ahead, goal_aside], axis=-1)

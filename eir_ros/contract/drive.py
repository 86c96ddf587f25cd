"""What every task of the swarm shares: the robots' numbers, their senses, and how they are driven.

Simulation and robots build observations and commands with the functions of `contract` and with
nothing else, so a policy cannot meet on a robot what it has not met in training. All functions
accept any leading dimensions `(...)`: `(batch, N)` in training, none on a robot.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.layout import Field, Layout

Floats = NDArray[np.floating[Any]]

#: Unit vectors of the eight direction actions, east first, counter-clockwise, (8, 2).
DIRECTIONS = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=-1)
#: Their names.
COMPASS = (
    "east",
    "north_east",
    "north",
    "north_west",
    "west",
    "south_west",
    "south",
    "south_east",
)
#: Stop and the eight directions come first in every task; the actions after them go to a place.
FIRST_HOMING: Final = 1 + len(COMPASS)


class SwarmTask(Schema):
    """Numbers that both sides of the contract use, whatever the task. SI units, REP-103."""

    num_robots: int = Setting(4, ge=3, le=16)
    #: Control period, one tick [s].
    tick_s: float = Setting(0.1, gt=0)
    #: Ticks from one decision of the policy to the next.
    decision_ticks: int = Setting(2, ge=1)
    #: Speed of a robot at full command [m/s].
    max_speed: float = Setting(0.5, gt=0)
    #: Largest yaw rate that the controller asks for [rad/s].
    max_yaw_rate: float = Setting(3.0, gt=0)
    #: Distance of the controlled point ahead of the axle [m]; see `command`.
    lookahead: float = Setting(0.1, gt=0)

    @property
    def decision_s(self) -> float:
        """Time from one decision to the next [s]."""
        return self.tick_s * self.decision_ticks

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the discrete actions, in the order of the policy's logits."""
        return ("stop", *COMPASS, *self.homing_actions)

    @property
    @abstractmethod
    def homing_actions(self) -> tuple[str, ...]:
        """Names of the actions that go to a place."""

    @property
    def layout(self) -> Layout:
        """Layout of the vector that `observe` returns."""
        n = self.num_robots
        return Layout(
            fields=(
                Field(name="position", shape=(2,), unit="m", frame="map"),
                Field(name="velocity", shape=(2,), unit="m/s", frame="map"),
                # cos and sin of the yaw: no jump at +-pi
                Field(name="heading", shape=(2,), unit="1", frame="map"),
                *self.task_fields,
                # relative to the robot, map axes, roster order; zero where not visible
                Field(name="teammate_position", shape=(n - 1, 2), unit="m", frame="map"),
                Field(name="teammate_velocity", shape=(n - 1, 2), unit="m/s", frame="map"),
                Field(name="teammate_visible", shape=(n - 1,), unit="1", frame="-"),
                Field(name="identity", shape=(n,), unit="1", frame="-"),
            )
        )

    @property
    @abstractmethod
    def task_fields(self) -> tuple[Field, ...]:
        """What the task itself adds to the observation."""


@dataclass
class SwarmSensed:
    """What robots sense at one tick, whatever the task; `(...)` are shared leading dimensions."""

    #: x, y, yaw, (..., 3) [m, m, rad; map]
    pose: Floats
    #: Own velocity, (..., 2) [m/s; map]
    velocity: Floats
    #: Teammates' x, y, vx, vy in the order of `contract.types.teammates`, (..., N-1, 4)
    #: [m, m/s; map]
    tracks: Floats
    #: Whether each teammate is tracked at present, (..., N-1) bool
    visible: NDArray[np.bool_]
    #: The robot's place in the roster, (...) int
    index: NDArray[np.int_]


class Decision(NamedTuple):
    """A decoded action, held for `decision_ticks` ticks."""

    #: Velocity of a direction action or of stop, (..., 2) [m/s; map]
    velocity: Floats
    #: Place that a go-to action heads for, (..., 2) [m; map]
    goal: Floats
    #: Whether `goal` rather than `velocity` applies, (...) bool
    homing: NDArray[np.bool_]


def assemble(task: SwarmTask, sensed: SwarmSensed, *blocks: Floats) -> NDArray[np.float32]:
    """The observation vector, (..., task.layout.size) float32, from the task's own `blocks`.

    Every input is rounded to float32 first, because that is what tracks and sites carry on the
    wire (`sensor_msgs/PointCloud2`): simulation and robots then see the same numbers.

    Parameters
    ----------
    blocks : (..., size) float32
        The fields of `task.task_fields` in their order.
    """
    pose = np.asarray(sensed.pose, np.float32)
    position, yaw = pose[..., :2], pose[..., 2]
    visible = np.asarray(sensed.visible, np.float32)
    tracks = np.asarray(sensed.tracks, np.float32)
    relative = (tracks[..., :2] - position[..., None, :]) * visible[..., None]
    moving = tracks[..., 2:] * visible[..., None]
    identity = np.asarray(sensed.index)[..., None] == np.arange(task.num_robots)
    lead = position.shape[:-1]
    return np.concatenate(
        [
            position,
            np.asarray(sensed.velocity, np.float32),
            np.stack([np.cos(yaw), np.sin(yaw)], axis=-1),
            *blocks,
            relative.reshape(*lead, -1),
            moving.reshape(*lead, -1),
            visible,
            identity.astype(np.float32),
        ],
        axis=-1,
        dtype=np.float32,
    )


def decide(task: SwarmTask, action: NDArray[np.integer[Any]], places: Floats) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    Parameters
    ----------
    places : (..., H, 2)
        Where each of the go-to actions heads for [m; map].
    """
    action = np.asarray(action)
    table = np.zeros((len(task.actions), 2))
    table[1:FIRST_HOMING] = task.max_speed * DIRECTIONS
    homing = action >= FIRST_HOMING
    rank = np.where(homing, action - FIRST_HOMING, 0)[..., None, None]
    goal = np.take_along_axis(as_on_the_wire(places), rank, axis=-2)
    return Decision(table[action], goal[..., 0, :], homing)


def as_on_the_wire(numbers: Floats) -> NDArray[np.float64]:
    """Round to float32 like `assemble`, so that both sides of a wire compute the same command."""
    return np.asarray(numbers, np.float32).astype(np.float64)


#: Approach gain of the go-to actions [1/s]: full speed until 0.25 m from the goal.
_APPROACH_GAIN = 2.0


def command(task: SwarmTask, decision: Decision, pose: Floats) -> NDArray[np.float64]:
    """Forward speed and yaw rate that follow `decision` from `pose`, (..., 2) [m/s, rad/s].

    A differential-drive base cannot move sideways, but the point `lookahead` ahead of its axle
    can (input-output feedback linearisation; Siciliano et al., *Robotics: Modelling, Planning
    and Control*, section 11.6.1): its velocity u is met by v = u.e and w = u.n / lookahead with
    e along and n left of the heading. The speed may be negative: a goal behind is approached
    while turning round.

    Parameters
    ----------
    pose : (..., 3)
        x, y, yaw [m, m, rad; map].
    """
    pose = as_on_the_wire(pose)
    ahead = np.stack([np.cos(pose[..., 2]), np.sin(pose[..., 2])], axis=-1)
    to_goal = _APPROACH_GAIN * (decision.goal - pose[..., :2] - task.lookahead * ahead)
    speed = np.sqrt(np.square(to_goal).sum(-1, keepdims=True))
    to_goal *= task.max_speed / np.maximum(speed, task.max_speed)
    wanted = np.where(decision.homing[..., None], to_goal, decision.velocity)
    forward = wanted[..., 0] * ahead[..., 0] + wanted[..., 1] * ahead[..., 1]
    leftward = wanted[..., 1] * ahead[..., 0] - wanted[..., 0] * ahead[..., 1]
    yaw_rate = np.clip(leftward / task.lookahead, -task.max_yaw_rate, task.max_yaw_rate)
    return np.stack([forward, yaw_rate], axis=-1)

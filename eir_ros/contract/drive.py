"""What every task of the swarm shares: the robots' numbers, their senses, and how they are driven.

Simulation and robots build observations and commands with the functions of `contract` and with
nothing else, so a policy cannot meet on a robot what it has not met in training. All functions
accept any leading dimensions `(...)`: `(batch, N)` in training, none on a robot.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.layout import Field, Layout
from eir_ros.contract.scratch import Scratch, taken

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
    tick_s: float = Setting(0.1, ge=0.001, le=1.0)
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


def assemble(
    task: SwarmTask,
    sensed: SwarmSensed,
    *blocks: NDArray[Any],
    out: NDArray[np.float32] | None = None,
    scratch: Scratch | None = None,
) -> NDArray[np.float32]:
    """The observation vector, (..., task.layout.size) float32, from the task's own `blocks`.

    Every input is rounded to float32 first, because that is what tracks and sites carry on the
    wire (`sensor_msgs/PointCloud2`): simulation and robots then see the same numbers.

    Parameters
    ----------
    blocks : (..., size)
        The fields of `task.task_fields` in their order.
    out
        Where the vector goes; None: a new array.
    scratch
        Room to work in, for who calls this again and again.
    """
    lend = scratch or Scratch()
    lead, n = np.shape(sensed.index), task.num_robots
    pairs = (*lead, n - 1, 2)
    pose = lend.copy("assemble.pose", sensed.pose, np.float32)
    heading = lend("assemble.heading", (*lead, 2), np.float32)
    directions_of(pose[..., 2], heading, lend)
    visible = np.asarray(sensed.visible)
    seen = lend.spread("assemble.seen", visible[..., None], pairs, np.float32)
    place = lend.copy("assemble.place", sensed.tracks[..., :2], np.float32)
    place -= lend.spread("assemble.own", pose[..., None, :2], pairs, np.float32)
    place *= seen
    moving = lend.copy("assemble.moving", sensed.tracks[..., 2:], np.float32)
    moving *= seen
    one_hot = lend.kept(("one_hot", n), lambda: np.eye(n, dtype=np.float32))
    identity = lend("assemble.identity", (*lead, n), np.float32)
    # the mode makes it write straight away
    index = lend.copy("assemble.index", sensed.index, np.intp)
    np.take(one_hot, index, axis=0, out=identity, mode="clip")
    parts = (pose[..., :2], sensed.velocity, heading, *blocks, place, moving, visible, identity)
    sizes = [math.prod(part.shape[len(lead) :]) for part in parts]
    if out is None:
        out = np.empty((*lead, sum(sizes)), np.float32)
    at = 0
    for part, size in zip(parts, sizes, strict=True):
        out[..., at : at + size].reshape(part.shape)[...] = part
        at += size
    return out


def directions_of(angle: Floats, out: Floats, scratch: Scratch) -> None:
    """Write cosine and sine of angles (...) [rad] into `out` (..., 2) of the same type."""
    given = scratch.copy("directions.angle", angle, out.dtype)
    found = scratch("directions.found", given.shape, out.dtype)
    np.cos(given, out=found)
    out[..., 0] = found
    np.sin(given, out=found)
    out[..., 1] = found


def decide(
    task: SwarmTask,
    action: NDArray[np.integer[Any]],
    places: Floats,
    scratch: Scratch | None = None,
) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    Parameters
    ----------
    places : (..., H, 2)
        Where each of the go-to actions heads for [m; map].
    scratch
        Room to work in, and the decision's, for who calls this again and again.

    Raises
    ------
    IndexError
        There is no such action.
    """
    lend = scratch or Scratch()
    action = np.asarray(action, np.intp)
    count = FIRST_HOMING + places.shape[-2]
    if action.size and not 0 <= action.min() <= action.max() < count:
        raise IndexError(f"actions are {action}; expected 0 to {count - 1}")
    table = lend.kept(("velocities", task.max_speed, count), lambda: _velocities(task, count))
    velocity = lend("decide.velocity", (*action.shape, 2))
    np.take(table, action, axis=0, out=velocity, mode="clip")
    homing = lend("decide.homing", action.shape, np.bool_)
    np.greater_equal(action, FIRST_HOMING, out=homing)
    rank = lend.copy("decide.rank", action[..., None], np.intp)
    rank -= FIRST_HOMING
    np.maximum(rank, 0, out=rank)
    goal = taken(places, rank, "decide.place", lend)[..., 0, :]
    return Decision(velocity, as_on_the_wire(goal, "decide.goal", lend), homing)


def _velocities(task: SwarmTask, count: int) -> NDArray[np.float64]:
    """Velocity of each action that is not a go-to one, zero for those, (A, 2) [m/s; map]."""
    table = np.zeros((count, 2))
    table[1:FIRST_HOMING] = task.max_speed * DIRECTIONS
    return table


def as_on_the_wire(numbers: Floats, name: str, scratch: Scratch) -> NDArray[np.float64]:
    """Round to float32 like `assemble`, so that both sides of a wire compute the same command."""
    rounded = scratch.copy(f"{name}.wire", numbers, np.float32)
    return scratch.copy(name, rounded)


#: Approach gain of the go-to actions [1/s]: full speed until 0.25 m from the goal.
_APPROACH_GAIN = 2.0


def command(
    task: SwarmTask, decision: Decision, pose: Floats, scratch: Scratch | None = None
) -> NDArray[np.float64]:
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
    scratch
        Room to work in, and the command's, for who calls this again and again.
    """
    lend = scratch or Scratch()
    lead = np.shape(decision.homing)
    pose = as_on_the_wire(pose, "command.pose", lend)
    ahead = lend("command.ahead", (*lead, 2))
    directions_of(pose[..., 2], ahead, lend)
    # to the goal, from the point ahead of the axle
    wanted = lend.copy("command.wanted", decision.goal)
    wanted -= lend.copy("command.place", pose[..., :2])
    part = lend.copy("command.part", ahead)
    part *= task.lookahead
    wanted -= part
    wanted *= _APPROACH_GAIN
    # no faster than allowed
    np.square(wanted, out=part)
    speed = lend("command.speed", lead)
    np.add(part[..., 0], part[..., 1], out=speed)
    np.sqrt(speed, out=speed)
    np.maximum(speed, task.max_speed, out=speed)
    np.divide(task.max_speed, speed, out=speed)
    wanted *= lend.spread("command.part", speed[..., None], (*lead, 2))
    steered = lend("command.steered", lead, np.bool_)
    np.logical_not(decision.homing, out=steered)
    np.copyto(wanted, decision.velocity, where=steered[..., None])
    # along the heading, and to the left of it
    out = lend("command", (*lead, 2))
    np.multiply(wanted, ahead, out=part)
    np.add(part[..., 0], part[..., 1], out=out[..., 0])
    np.multiply(lend.copy("command.turned", wanted[..., ::-1]), ahead, out=part)
    yaw_rate = out[..., 1]
    np.subtract(part[..., 0], part[..., 1], out=yaw_rate)
    yaw_rate /= task.lookahead
    np.clip(yaw_rate, -task.max_yaw_rate, task.max_yaw_rate, out=yaw_rate)
    return out

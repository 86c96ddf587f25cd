"""The transport task: robots push a box, too heavy for one of them, to where it shall be.

A robot with a fault pushes with no force but where that hinders. See `contract.drive` for what
all tasks share.
"""

from dataclasses import dataclass
from functools import partial
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
    directions_of,
)
from eir_ros.contract.layout import Field
from eir_ros.contract.scratch import Scratch, ascending, taken

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


def observe(
    task: TransportTask,
    sensed: Sensed,
    out: NDArray[np.float32] | None = None,
    scratch: Scratch | None = None,
) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`.

    `out` and `scratch` are those of `drive.assemble`.
    """
    lend = scratch or Scratch()
    yaw = lend.copy("observe.yaw", np.asarray(sensed.box)[..., 2], np.float32)
    yaw *= 4
    turned = lend("observe.turned", (*yaw.shape, 2), np.float32)
    directions_of(yaw, turned, lend)
    box = lend.copy("observe.box", np.asarray(sensed.box)[..., :2], np.float32)
    goal = lend.copy("observe.goal", sensed.goal, np.float32)
    goal -= box
    box -= lend.copy("observe.own", np.asarray(sensed.pose)[..., :2], np.float32)
    return assemble(task, sensed, box, sensed.box_velocity, turned, goal, out=out, scratch=lend)


def decode(
    task: TransportTask,
    action: NDArray[np.integer[Any]],
    sensed: Sensed,
    scratch: Scratch | None = None,
) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    Who is in front of the chosen face drives into it. Others go round the box: away from it, past
    its corner, and then before the face. `scratch` is that of `drive.decide`.
    """
    lend = scratch or Scratch()
    out = _faces(sensed, lend)
    shape = out.shape
    along = lend("decode.along", shape)
    np.negative(out[..., 1], out=along[..., 0])
    np.copyto(along[..., 1], out[..., 0])
    box = np.asarray(sensed.box)[..., None, :2]
    offset = lend.spread("decode.offset", np.asarray(sensed.pose)[..., None, :2], shape)
    offset -= lend.spread("decode.box", box, shape)
    ahead = _dot(offset, out, "decode.ahead", lend)
    aside = _dot(offset, along, "decode.aside", lend)
    _way_round(ahead, aside, task.box_half, lend)
    places = lend.spread("decode.places", box, shape)
    out *= lend.spread("decode.part", ahead[..., None], shape)
    places += out
    along *= lend.spread("decode.part", aside[..., None], shape)
    places += along
    return decide(task, action, places, lend)


def _faces(sensed: Sensed, lend: Scratch) -> NDArray[np.float64]:
    """Unit vectors out of the four faces, the one first where a push helps most, (..., 4, 2)."""
    box = np.asarray(sensed.box)
    shape = (*box.shape[:-1], 4)
    quarters = lend.kept(
        ("quarters", shape), lambda: np.broadcast_to(0.5 * np.pi * np.arange(4), shape).copy()
    )
    angle = lend.spread("faces.angle", box[..., 2:], shape)
    angle += quarters
    out = lend("faces.out", (*shape, 2))
    directions_of(angle, out, lend)
    wanted = lend.spread("faces.wanted", np.asarray(sensed.goal)[..., None, :], out.shape)
    wanted -= lend.spread("faces.box", box[..., None, :2], out.shape)
    # the force of a push on a face points into the box; keys are from 0 on
    outward = _dot(out, wanted, "faces.outward", lend)
    length = _dot(wanted, wanted, "faces.length", lend)
    np.sqrt(length, out=length)
    outward += length
    np.maximum(outward, 0.0, out=outward)
    keys = lend.copy("faces.keys", outward, np.float32)
    return taken(out, ascending(keys, "faces.order", lend), "faces.sorted", lend)


def _dot(one: Floats, other: Floats, name: str, lend: Scratch) -> NDArray[np.float64]:
    """Scalar products of vectors (..., 2)."""
    product = lend("dot.product", one.shape)
    np.multiply(one, other, out=product)
    found = lend(name, one.shape[:-1])
    np.add(product[..., 0], product[..., 1], out=found)
    return found


def _way_round(ahead: Floats, aside: Floats, half: float, lend: Scratch) -> None:
    """Turn places before and beside a face, (...) [m] each, into those where to go next."""
    clear = half + _STANDOFF
    flag = partial(lend, shape=ahead.shape, dtype=np.bool_)
    distance = lend("way.distance", ahead.shape)
    np.abs(aside, out=distance)
    before, pushing, beside = flag("way.before"), flag("way.pushing"), flag("way.beside")
    np.greater(ahead, half, out=before)
    np.less(distance, 0.8 * half, out=pushing)
    pushing &= before
    np.greater(distance, clear - 0.05, out=beside)
    beside |= before
    # past the corner, unless it is before the face already
    side = lend("way.side", ahead.shape)
    right = flag("way.right")
    np.less(aside, 0.0, out=right)
    np.copyto(side, clear)
    np.copyto(side, -clear, where=right)
    np.copyto(side, 0.0, where=before)
    np.copyto(side, aside, where=pushing)
    np.copyto(aside, side)
    np.copyto(ahead, clear, where=beside)
    np.copyto(ahead, half - _PRESS, where=pushing)

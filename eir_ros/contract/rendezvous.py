"""The rendezvous task: robots gather, and one that is not what it seems lures them apart.

*Working* robots within `link_radius` of each other are linked; the team is paid for the largest
group that links hold together. See `contract.drive` for what all tasks share.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.drive import (
    Decision,
    SwarmSensed,
    SwarmTask,
    assemble,
    decide,
)
from eir_ros.contract.layout import Field
from eir_ros.contract.scratch import Scratch, ascending, taken


class RendezvousTask(SwarmTask):
    """Numbers of the task that both sides of the contract use. SI units, REP-103."""

    #: Working robots this near are linked [m, centre to centre].
    link_radius: float = Setting(0.5, gt=0)

    @property
    def homing_actions(self) -> tuple[str, ...]:
        """To each teammate, nearest first, and to the middle of all that are seen."""
        nearest = (f"go_to_nearest_teammate_{k + 1}" for k in range(self.num_robots - 1))
        return (*nearest, "go_to_centre")

    @property
    def task_fields(self) -> tuple[Field, ...]:
        """The reading."""
        # this robot's own noisy reading of whether it is linked to anybody
        return (Field(name="linked", shape=(1,), unit="1", frame="-"),)


@dataclass
class Sensed(SwarmSensed):
    """What robots sense at one tick; `(...)` are shared leading dimensions."""

    #: This robot's noisy reading of whether a working robot is linked to it, (...) bool
    linked: NDArray[np.bool_]


def observe(
    task: RendezvousTask,
    sensed: Sensed,
    out: NDArray[np.float32] | None = None,
    scratch: Scratch | None = None,
) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`.

    `out` and `scratch` are those of `drive.assemble`.
    """
    return assemble(task, sensed, np.asarray(sensed.linked)[..., None], out=out, scratch=scratch)


def decode(
    task: RendezvousTask,
    action: NDArray[np.integer[Any]],
    sensed: Sensed,
    scratch: Scratch | None = None,
) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    A teammate that is not seen is looked for where the robot stands. `scratch` is that of
    `drive.decide`.
    """
    lend = scratch or Scratch()
    seen = np.asarray(sensed.visible)
    unseen = lend("decode.unseen", seen.shape, np.bool_)
    np.logical_not(seen, out=unseen)
    *lead, mates = seen.shape
    around = lend.copy("decode.around", np.asarray(sensed.pose)[..., None, :2], np.float32)
    places = lend.copy("decode.places", sensed.tracks[..., :2], np.float32)
    np.copyto(places, around, where=unseen[..., None])
    offset = lend.copy("decode.offset", places, np.float32)
    offset -= lend.spread("decode.own", around, offset.shape, np.float32)
    squares = lend("decode.squares", offset.shape, np.float32)
    np.square(offset, out=squares)
    distance = lend("decode.distance", seen.shape, np.float32)
    np.add(squares[..., 0], squares[..., 1], out=distance)
    np.copyto(distance, np.inf, where=unseen)
    order = ascending(distance, "decode.order", lend)
    goals = lend("decode.goals", (*lead, mates + 1, 2), np.float32)
    goals[..., :-1, :] = taken(places, order, "decode.nearest", lend)
    # the middle of all that are seen, and of the robot itself
    count = lend("decode.count", tuple(lead), np.float32)
    np.add.reduce(lend.copy("decode.seen", seen, np.float32), axis=-1, out=count)
    count += 1
    middle = lend("decode.middle", (*lead, 2), np.float32)
    np.add.reduce(offset, axis=-2, out=middle)
    middle /= lend.spread("decode.parts", count[..., None], middle.shape, np.float32)
    middle += around[..., 0, :]
    goals[..., -1, :] = middle
    return decide(task, action, goals, lend)

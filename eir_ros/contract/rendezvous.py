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
    Floats,
    SwarmSensed,
    SwarmTask,
    assemble,
    decide,
)
from eir_ros.contract.layout import Field


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


def observe(task: RendezvousTask, sensed: Sensed) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`."""
    return assemble(task, sensed, np.asarray(sensed.linked, np.float32)[..., None])


def decode(task: RendezvousTask, action: NDArray[np.integer[Any]], sensed: Sensed) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    A teammate that is not seen is looked for where the robot stands.
    """
    own = np.asarray(sensed.pose, np.float32)[..., None, :2]
    seen = np.asarray(sensed.visible)[..., None]
    places = np.where(seen, np.asarray(sensed.tracks, np.float32)[..., :2], own)
    distance = np.where(seen[..., 0], np.square(places - own).sum(-1), np.inf)
    order = np.argsort(distance, axis=-1, kind="stable")
    nearest: Floats = np.take_along_axis(places, order[..., None], axis=-2)
    centre = own + ((places - own) * seen).sum(-2, keepdims=True) / (
        1 + seen.sum(-2, keepdims=True)
    ).astype(np.float32)
    return decide(task, action, np.concatenate([nearest, centre], axis=-2))

"""The coverage task: what a robot observes, what it may do, and how that becomes a command.

N robots share out sites that move; a site counts as served while a *working* robot is within
`serve_radius` of it. See `contract.drive` for what all tasks share.
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
    command,
    decide,
)
from eir_ros.contract.layout import Field

__all__ = ["CONTRACT", "CoverageTask", "Decision", "Sensed", "command", "decode", "observe"]

#: Raise it when `observe`, `decode` or `command` answers the same inputs otherwise than before: a
#: bundle that was trained with another number is refused, which no layout could tell.
CONTRACT: Final = 1


class CoverageTask(SwarmTask):
    """Numbers of the task that both sides of the contract use. SI units, REP-103."""

    num_sites: int = Setting(3, ge=1, le=15)
    #: A working robot this near serves a site [m].
    serve_radius: float = Setting(0.30, gt=0)

    @property
    def homing_actions(self) -> tuple[str, ...]:
        """To each site, nearest first."""
        return tuple(f"go_to_nearest_site_{k + 1}" for k in range(self.num_sites))

    @property
    def task_fields(self) -> tuple[Field, ...]:
        """Sites and readings."""
        m = self.num_sites
        return (
            # relative to the robot, map axes, nearest first
            Field(name="sites", shape=(m, 2), unit="m", frame="map"),
            # this robot's own noisy reading, 1 = being served
            Field(name="served", shape=(m,), unit="1", frame="-"),
        )


@dataclass
class Sensed(SwarmSensed):
    """What robots sense at one tick; `(...)` are shared leading dimensions."""

    #: Site positions, (..., M, 2) [m; map]
    sites: Floats
    #: This robot's noisy reading of whether each site is served, (..., M) bool
    served: NDArray[np.bool_]


def nearest_sites(sensed: Sensed) -> NDArray[np.intp]:
    """Indices of the sites by distance from the robot, nearest first, (..., M)."""
    offset = sensed.sites.astype(np.float32) - sensed.pose[..., None, :2].astype(np.float32)
    return np.argsort(np.square(offset).sum(-1), axis=-1, kind="stable")


def observe(task: CoverageTask, sensed: Sensed) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`."""
    position = np.asarray(sensed.pose, np.float32)[..., :2]
    order = nearest_sites(sensed)
    sites = np.take_along_axis(np.asarray(sensed.sites, np.float32), order[..., None], axis=-2)
    served = np.take_along_axis(np.asarray(sensed.served, np.float32), order, axis=-1)
    relative = (sites - position[..., None, :]).reshape(*position.shape[:-1], -1)
    return assemble(task, sensed, relative, served)


def decode(task: CoverageTask, action: NDArray[np.integer[Any]], sensed: Sensed) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision."""
    order = nearest_sites(sensed)
    return decide(task, action, np.take_along_axis(sensed.sites, order[..., None], axis=-2))

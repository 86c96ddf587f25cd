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
from eir_ros.contract.scratch import Scratch, ascending, taken

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


def nearest_sites(sensed: Sensed, scratch: Scratch | None = None) -> NDArray[np.intp]:
    """Indices of the sites by distance from the robot, nearest first, (..., M)."""
    lend = scratch or Scratch()
    offset = _offsets(sensed, lend)
    np.square(offset, out=offset)
    distance = lend("sites.distance", offset.shape[:-1], np.float32)
    np.add(offset[..., 0], offset[..., 1], out=distance)
    return ascending(distance, "sites.order", lend)


def _offsets(sensed: Sensed, lend: Scratch) -> NDArray[np.float32]:
    """Where the sites are, relative to the robot, (..., M, 2) [m; map]."""
    offset = lend.copy("sites.offset", sensed.sites, np.float32)
    own = np.asarray(sensed.pose)[..., None, :2]
    offset -= lend.spread("sites.own", own, offset.shape, np.float32)
    return offset


def observe(
    task: CoverageTask,
    sensed: Sensed,
    out: NDArray[np.float32] | None = None,
    scratch: Scratch | None = None,
) -> NDArray[np.float32]:
    """Build the observation vector, (..., task.layout.size) float32, laid out as `task.layout`.

    `out` and `scratch` are those of `drive.assemble`.
    """
    lend = scratch or Scratch()
    order = nearest_sites(sensed, lend)
    seen = lend("sites.seen", (*order.shape, 3), np.float32)
    seen[..., :2], seen[..., 2] = _offsets(sensed, lend), sensed.served
    seen = taken(seen, order, "sites.sorted", lend)
    relative = lend.copy("sites.relative", seen[..., :2], np.float32)
    flat = relative.reshape(*order.shape[:-1], 2 * task.num_sites)
    return assemble(task, sensed, flat, seen[..., 2], out=out, scratch=lend)


def decode(
    task: CoverageTask,
    action: NDArray[np.integer[Any]],
    sensed: Sensed,
    scratch: Scratch | None = None,
) -> Decision:
    """Turn action indices (...) into what the controller follows until the next decision.

    `scratch` is that of `drive.decide`.
    """
    lend = scratch or Scratch()
    order = nearest_sites(sensed, lend)
    sites = lend.copy("decode.sites", sensed.sites)
    return decide(task, action, taken(sites, order, "decode.places", lend), lend)

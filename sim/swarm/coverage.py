"""The coverage world: sites that move, and who really serves what."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.coverage import CoverageTask, Sensed
from sim.scene import Box, Disc, Line
from sim.swarm.arena import SwarmSim, SwarmWorld


class CoverageWorld(SwarmWorld):
    """Numbers of the world that robots need not know. SI units."""

    #: Sites are drawn from a square of this half side [m].
    site_range: float = Setting(1.4, gt=0)
    #: Least distance between sites [m].
    site_spacing: float = Setting(0.8, ge=0)
    #: Least distance of a new site from any robot [m].
    site_clearance: float = Setting(0.4, ge=0)
    #: All sites move this often [s].
    site_period_s: float = Setting(6.0, gt=0)


class CoverageSim(SwarmSim[CoverageTask, CoverageWorld]):
    """A batch of coverage arenas; see `arena.SwarmSim` for parameters.

    Attributes
    ----------
    sites : (B, M, 2) float64
        [m; map].
    served_by : (B, M) int64
        The working robot nearest to each site within the serving radius, or -1.
    distance : (B, M) float64
        Of that site from the nearest working robot [m].
    """

    def __init__(
        self,
        task: CoverageTask,
        batch: int = 1,
        seed: Any = 0,
        world: CoverageWorld | None = None,
    ) -> None:
        n, m = task.num_robots, task.num_sites
        self.sites = np.zeros((batch, m, 2))
        self.served_by = np.full((batch, m), -1)
        self.distance = np.zeros((batch, m))
        self._readings = np.zeros((batch, n, m), bool)
        super().__init__(task, batch, seed, world or CoverageWorld())

    def sense(self) -> Sensed:
        """What each robot senses now, (B, N, ...). The arrays belong to the simulation."""
        lead = self.poses.shape[:2]
        sites = np.broadcast_to(self.sites[:, None], (*lead, *self.sites.shape[1:]))
        return Sensed(**self._senses(), sites=sites, served=self._readings)

    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the present state, (B,).

        Mean over sites of 0.7 for being served and up to 0.3 for a working robot being near,
        plus 0.5 when all are served.
        """
        served = self.served_by >= 0
        near = 1.0 - np.minimum(self.distance, 3.0) / 3.0
        return (0.7 * served + 0.3 * near).mean(-1) + 0.5 * served.all(-1)

    def facts(self) -> list[NDArray[Any]]:
        """Sites' x, y; which are served; time until they move, as a share of their period."""
        period = self.world.site_period_s
        left = np.full((self.batch, 1), 1.0 - self.time_s % period / period)
        return [self.sites, self.served_by >= 0, left]

    def shapes(self, index: int) -> list[Disc | Box | Line]:
        """Sites, as large as the place from where they are served."""
        return [
            Disc((x, y), self.task.serve_radius, "goal" if by < 0 else "done")
            for (x, y), by in zip(self.sites[index].tolist(), self.served_by[index], strict=True)
        ]

    def _begin(self) -> None:
        world = self.world
        self.sites[...] = self._spread(
            self.sites.shape[1], world.site_range, world.site_spacing, world.site_clearance
        )

    def _happen(self) -> None:
        if self.ticks % round(self.world.site_period_s / self.task.tick_s) == 0:
            self._begin()

    def _judge(self) -> None:
        offset = self.sites[:, :, None] - self.poses[:, None, :, :2]
        distance = np.sqrt(np.square(offset).sum(-1))
        distance[~np.broadcast_to(self._working[:, None], distance.shape)] = np.inf
        nearest = distance.argmin(-1)
        self.distance = np.take_along_axis(distance, nearest[..., None], -1)[..., 0]
        self.served_by = np.where(self.distance < self.task.serve_radius, nearest, -1)

    def _read(self) -> None:
        if not self.decision_due:
            return
        flip = self._rng.random(self._readings.shape) < self.world.reading_flip
        np.not_equal((self.served_by >= 0)[:, None], flip, out=self._readings)

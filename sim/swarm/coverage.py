"""The coverage world: sites that move, and who really serves what."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.coverage import CoverageTask, Sensed
from sim.scene import Box, Disc, Line
from sim.swarm.arena import SwarmSim, SwarmWorld
from sim.swarm.geometry import distances


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

    def check(self, task: Any) -> None:
        """Raise a ValueError where no sites could be as is said."""
        super().check(task)
        if self.site_range > self.arena:
            raise ValueError(
                f"site_range is {self.site_range:g} m; expected at most arena, {self.arena:g} m"
            )
        for name, furthest in (
            ("site_spacing", 8**0.5 * self.site_range if task.num_sites > 1 else np.inf),
            ("site_clearance", 2**0.5 * (self.site_range + self.arena)),
        ):
            if getattr(self, name) >= furthest:
                raise ValueError(
                    f"{name} is {getattr(self, name):g} m; expected less than {furthest:.3g} m, "
                    "the greatest distance there is"
                )
        if self.site_period_s < task.tick_s:
            raise ValueError(
                f"site_period_s is {self.site_period_s:g} s; expected at least a tick, "
                f"{task.tick_s:g} s"
            )


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
        lend, worth = self.scratch, self._worth
        near = lend.copy("reward.near", self.distance)
        np.minimum(near, 3.0, out=near)
        near /= -3.0
        near += 1.0
        near *= 0.3
        served = self._served()
        part = lend.copy("reward.served", served)
        part *= 0.7
        part += near
        np.add.reduce(part, axis=-1, out=worth)
        worth /= self.task.num_sites
        all_served = lend("reward.all_served", worth.shape, np.bool_)
        np.logical_and.reduce(served, axis=-1, out=all_served)
        bonus = lend.copy("reward.bonus", all_served)
        bonus *= 0.5
        worth += bonus
        return worth

    def _served(self) -> NDArray[np.bool_]:
        """Which sites are served, (B, M)."""
        found = self.scratch("coverage.served", self.served_by.shape, np.bool_)
        return np.greater_equal(self.served_by, 0, out=found)

    def facts(self) -> list[NDArray[Any]]:
        """Sites' x, y; which are served; time until they move, as a share of their period."""
        period = self.world.site_period_s
        left = self.scratch("coverage.left", (self.batch, 1))
        left[...] = 1.0 - self.time_s % period / period
        return [self.sites, self._served(), left]

    def shapes(self, index: int) -> list[Disc | Box | Line]:
        """Sites, as large as the place from where they are served."""
        return [
            Disc((x, y), self.task.serve_radius, "goal" if by < 0 else "done")
            for (x, y), by in zip(self.sites[index].tolist(), self.served_by[index], strict=True)
        ]

    def _begin(self) -> None:
        world = self.world
        self._scatter(self.sites, world.site_range, world.site_spacing, world.site_clearance)

    def _happen(self) -> None:
        if self.ticks % round(self.world.site_period_s / self.task.tick_s) == 0:
            self._begin()

    def _judge(self) -> None:
        lend = self.scratch
        distance = distances(self.sites, self.poses[..., :2], "coverage.distance", lend)
        broken = lend("coverage.broken", self._working.shape, np.bool_)
        np.logical_not(self._working, out=broken)
        np.copyto(distance, np.inf, where=broken[:, None])
        np.argmin(distance, axis=-1, out=self.served_by)
        np.minimum.reduce(distance, axis=-1, out=self.distance)
        far = lend("coverage.far", self.distance.shape, np.bool_)
        np.greater_equal(self.distance, self.task.serve_radius, out=far)
        np.copyto(self.served_by, -1, where=far)

    def _read(self) -> None:
        if self.decision_due:
            self._readings[...] = self._served()[:, None]
            self._readings ^= self._wrong(self._readings)

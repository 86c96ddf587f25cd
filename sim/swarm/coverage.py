"""The coverage world: robots, sites that move, noisy sensing, and who really serves what.

`CoverageSim` is the truth that both the training environment (`sim.swarm.env`) and the ROS 2
world node advance tick by tick.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.coverage import CoverageTask, Sensed
from eir_ros.contract.types import teammates
from sim.swarm.body import PlanarBodies
from sim.swarm.sensing import Sensing, Sight
from sim.swarm.wheels import HULL_RADIUS, WheelBodies, WheelDrive


class CoverageWorld(Schema):
    """Numbers of the world that robots need not know. SI units."""

    #: Half the side of the arena [m].
    arena: float = Setting(2.0, gt=0)
    #: Radius of a robot [m].
    robot_radius: float = Setting(0.12, gt=0)
    #: Sites are drawn from a square of this half side [m].
    site_range: float = Setting(1.4, gt=0)
    #: Least distance between sites [m].
    site_spacing: float = Setting(0.8, ge=0)
    #: Least distance of a new site from any robot [m].
    site_clearance: float = Setting(0.4, ge=0)
    #: All sites move this often [s].
    site_period_s: float = Setting(6.0, gt=0)
    #: Standard deviation of the relative error of speed and yaw rate, drawn per tick.
    actuation_noise: float = Setting(0.1, ge=0)
    #: Standard deviation of tracked positions [m] and velocities [m/s].
    track_noise: float = Setting(0.04, ge=0)
    track_velocity_noise: float = Setting(0.05, ge=0)
    #: Probability that a reading of a site is wrong.
    reading_flip: float = Setting(0.3, ge=0, lt=0.5)
    #: What limits the tracks of teammates, besides their noise.
    sensing: Sensing = Sensing()
    #: `planar`: discs, fast, to train in. `wheels`: motors, wheels and slip, to prove a team in.
    body: Literal["planar", "wheels"] = "planar"
    #: Motors and ground of `wheels`.
    drive: WheelDrive = WheelDrive()

    @model_validator(mode="after")
    def _built(self) -> "CoverageWorld":
        if self.body == "wheels" and self.robot_radius != HULL_RADIUS:
            raise ValueError(
                f"robot_radius is {self.robot_radius:g}; a robot on wheels is {HULL_RADIUS:g} m"
            )
        return self

    def bodies(self, batch: int, num_robots: int, tick_s: float) -> PlanarBodies | WheelBodies:
        """Robots of the chosen kind in `batch` arenas."""
        if self.body == "wheels":
            return WheelBodies(batch, num_robots, self.arena, tick_s, self.drive)
        return PlanarBodies(num_robots, self.robot_radius, self.arena, tick_s)


class CoverageSim:
    """A batch of coverage arenas, advanced one tick at a time.

    Parameters
    ----------
    task
        The numbers shared with robots.
    batch
        Number of independent arenas, B.
    seed
        Anything `numpy.random.default_rng` takes; the same seed gives the same run.
    world
        The numbers of the world.

    Attributes
    ----------
    poses : (B, N, 3) float64
        x, y, yaw [m, m, rad; map].
    velocities : (B, N, 2) float64
        [m/s; map], the displacement of the last tick.
    sites : (B, M, 2) float64
        [m; map].
    served_by : (B, M) int64
        The working robot nearest to each site within the serving radius, or -1.
    ticks : int
        Ticks since the reset.
    """

    def __init__(
        self,
        task: CoverageTask,
        batch: int = 1,
        seed: Any = 0,
        world: CoverageWorld | None = None,
    ) -> None:
        self.task = task
        self.world = world or CoverageWorld()
        n, m = task.num_robots, task.num_sites
        self.batch = batch
        self.poses = np.zeros((batch, n, 3))
        self.velocities = np.zeros((batch, n, 2))
        self.sites = np.zeros((batch, m, 2))
        self.served_by = np.full((batch, m), -1)
        self.distance = np.zeros((batch, m))
        self.ticks = 0
        self._readings = np.zeros((batch, n, m), bool)
        self._tracks = np.zeros((batch, n, n - 1, 4), np.float32)
        self._teammates = teammates(n)
        self._sight = Sight(self.world.sensing, batch, n, self.world.robot_radius, task.tick_s)
        self._bodies = self.world.bodies(batch, n, task.tick_s)
        self.reset(seed)

    def reset(self, seed: Any = None, poses: NDArray[np.float64] | None = None) -> None:
        """Start new episodes in every arena.

        Parameters
        ----------
        seed
            Restart the generator from here; None goes on with the present one.
        poses : (B, N, 3), optional
            Initial poses; drawn where not given.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.ticks = 0
        self.velocities[...] = 0.0
        if poses is None:
            reach = self.world.arena - 2 * self.world.robot_radius
            self.poses[..., :2] = self._spread(reach, 3 * self.world.robot_radius, None)
            self.poses[..., 2] = self._rng.uniform(-np.pi, np.pi, self.poses.shape[:2])
        else:
            self.poses[...] = poses
        self._working = np.ones(self.poses.shape[:2], bool)
        self._sight.reset()
        self._move_sites()
        self._look()

    @property
    def time_s(self) -> float:
        """Time since the reset [s]."""
        return self.ticks * self.task.tick_s

    @property
    def decision_due(self) -> bool:
        """Whether the policy decides at this tick."""
        return self.ticks % self.task.decision_ticks == 0

    def tick(self, commands: NDArray[np.float64], working: NDArray[np.bool_]) -> None:
        """Advance by one tick.

        Parameters
        ----------
        commands : (B, N, 2)
            Forward speed and yaw rate that reach the motors [m/s, rad/s; base_link].
        working : (B, N) bool
            Robots without a fault: only they serve sites.
        """
        noise = self._rng.standard_normal(commands.shape)
        before = self.poses[..., :2].copy()
        self._bodies.tick(self.poses, commands * (1.0 + self.world.actuation_noise * noise))
        self.velocities[...] = (self.poses[..., :2] - before) / self.task.tick_s
        self._working = working
        self.ticks += 1
        if self.ticks % round(self.world.site_period_s / self.task.tick_s) == 0:
            self._move_sites()
        self._look()

    def sense(self) -> Sensed:
        """What each robot senses now, (B, N, ...). The arrays belong to the simulation."""
        lead = self.poses.shape[:2]
        sites = np.broadcast_to(self.sites[:, None], (*lead, *self.sites.shape[1:]))
        return Sensed(
            pose=self.poses,
            velocity=self.velocities,
            tracks=self._tracks,
            visible=self._sight.visible,
            sites=sites,
            served=self._readings,
            index=np.broadcast_to(np.arange(lead[1]), lead),
        )

    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the present state, (B,).

        Mean over sites of 0.7 for being served and up to 0.3 for a working robot being near,
        plus 0.5 when all are served.
        """
        served = self.served_by >= 0
        near = 1.0 - np.minimum(self.distance, 3.0) / 3.0
        return (0.7 * served + 0.3 * near).mean(-1) + 0.5 * served.all(-1)

    def close(self) -> None:
        """Free the physics client."""
        self._bodies.close()

    def _look(self) -> None:
        """Work out who serves what, and draw this tick's noise."""
        offset = self.sites[:, :, None] - self.poses[:, None, :, :2]
        distance = np.sqrt(np.square(offset).sum(-1))
        distance[~np.broadcast_to(self._working[:, None], distance.shape)] = np.inf
        nearest = distance.argmin(-1)
        self.distance = np.take_along_axis(distance, nearest[..., None], -1)[..., 0]
        self.served_by = np.where(self.distance < self.task.serve_radius, nearest, -1)
        seen = np.concatenate([self.poses[..., :2], self.velocities], axis=-1)
        noise = self._rng.standard_normal(self._tracks.shape, np.float32)
        noise[..., :2] *= self.world.track_noise
        noise[..., 2:] *= self.world.track_velocity_noise
        np.add(seen[:, self._teammates], noise, out=self._tracks, casting="same_kind")
        if self.decision_due:
            flip = self._rng.random(self._readings.shape) < self.world.reading_flip
            np.not_equal((self.served_by >= 0)[:, None], flip, out=self._readings)
        self._sight.look(self.poses[..., :2], self._rng)

    def _move_sites(self) -> None:
        self.sites[...] = self._spread(
            self.world.site_range, self.world.site_spacing, self.poses[..., :2]
        )

    def _spread(
        self, reach: float, spacing: float, avoid: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Points in a square, apart from each other and from `avoid`, by rejection.

        Returns (B, K, 2); an arena that finds no place in 100 draws keeps its last draw.
        """
        count = self.poses.shape[1] if avoid is None else self.sites.shape[1]
        found = np.zeros((self.batch, count, 2))
        for k in range(count):
            todo = np.arange(self.batch)
            for _ in range(100):
                draw = self._rng.uniform(-reach, reach, (len(todo), 2))
                found[todo, k] = draw
                near = _any_within(draw, found[todo, :k], spacing)
                if avoid is not None:
                    near |= _any_within(draw, avoid[todo], self.world.site_clearance)
                todo = todo[near]
                if not len(todo):
                    break
        return found


def _any_within(
    points: NDArray[np.float64], others: NDArray[np.float64], distance: float
) -> NDArray[np.bool_]:
    """Whether any of `others` (B, K, 2) lies within `distance` of `points` (B, 2); (B,) bool."""
    return (np.square(others - points[:, None]).sum(-1) < distance**2).any(-1)

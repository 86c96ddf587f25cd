"""The pursuit world: an evader that flees, and when it is surrounded."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.pursuit import PursuitTask, Sensed
from sim.scene import Box, Disc, Line
from sim.swarm.arena import SwarmSim, SwarmWorld

#: Courses that the evader chooses from, and standing still, (17, 2).
_COURSES: Final = np.concatenate(
    [
        np.zeros((1, 2)),
        np.stack([np.cos(np.arange(16) * np.pi / 8), np.sin(np.arange(16) * np.pi / 8)], axis=-1),
    ]
)
#: It looks so far ahead [s].
_FORESIGHT_S: Final = 0.3
_WALLS: Final = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])


class PursuitWorld(SwarmWorld):
    """Numbers of the world that robots need not know. SI units."""

    #: The evader flees from working robots that are nearer than this [m].
    alert_radius: float = Setting(1.2, gt=0)
    #: It keeps this far from walls [m].
    wall_margin: float = Setting(0.15, ge=0)
    #: Least distance of a new evader from any robot [m].
    evader_clearance: float = Setting(1.0, ge=0)


class PursuitSim(SwarmSim[PursuitTask, PursuitWorld]):
    """A batch of pursuit arenas; see `arena.SwarmSim` for parameters.

    The evader is small: robots do not collide with it. It runs where its nearest pursuer will be
    furthest, and takes no notice of a robot with a fault, which could not hold it anyway. Once
    caught it appears elsewhere.

    Attributes
    ----------
    evader : (B, 2) float64
        [m; map].
    evader_velocity : (B, 2) float64
        [m/s; map].
    caught : (B,) int64
        Times that it was caught since the last decision.
    """

    def __init__(
        self,
        task: PursuitTask,
        batch: int = 1,
        seed: Any = 0,
        world: PursuitWorld | None = None,
    ) -> None:
        n = task.num_robots
        self.evader = np.zeros((batch, 2))
        self.evader_velocity = np.zeros((batch, 2))
        self.caught = np.zeros(batch, np.int64)
        self._nearest = np.zeros(batch)
        self._track = np.zeros((batch, n, 4), np.float32)
        super().__init__(task, batch, seed, world or PursuitWorld())

    def sense(self) -> Sensed:
        """What each robot senses now, (B, N, ...). The arrays belong to the simulation."""
        visible = self._sight.sees(self.poses[..., :2], self.evader)
        return Sensed(**self._senses(), evader=self._track, evader_visible=visible)

    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the last decision, (B,).

        5 for each time that the evader was caught, and up to 0.3 for the `needed` nearest working
        robots being near it.
        """
        near: NDArray[np.float64] = 1.0 - np.minimum(self._nearest, 3.0) / 3.0
        return 5.0 * self.caught + 0.3 * near

    def facts(self) -> list[NDArray[Any]]:
        """The evader's x, y, vx, vy."""
        return [self.evader, self.evader_velocity]

    def shapes(self, index: int) -> list[Disc | Box | Line]:
        """The evader, and the circle within which it is held."""
        x, y = self.evader[index].tolist()
        return [Disc((x, y), self.task.catch_radius, "faint"), Disc((x, y), 0.08, "opponent")]

    def _begin(self) -> None:
        self.caught[:] = 0
        self._release(np.ones(self.batch, bool))

    def _release(self, where: NDArray[np.bool_]) -> None:
        """Let evaders appear away from the robots."""
        reach = self.world.arena - 2 * self.world.wall_margin
        found = self._spread(1, reach, 0.0, self.world.evader_clearance)[:, 0]
        self.evader[where] = found[where]
        self.evader_velocity[where] = 0.0

    def _happen(self) -> None:
        if (self.ticks - 1) % self.task.decision_ticks == 0:
            self.caught[:] = 0
        self._flee()
        held = self._surrounded()
        self.caught += held
        if held.any():
            self._release(held)

    def _flee(self) -> None:
        side = self.world.arena - self.world.wall_margin
        step = self.task.evader_speed * _COURSES
        ahead = np.clip(self.evader[:, None] + _FORESIGHT_S * step, -side, side)
        gaps = self._from_working(ahead).min(-1)
        # a wall near by is half as bad as a pursuer
        room = np.minimum(side - np.abs(ahead).max(-1), 0.5)
        best = (np.minimum(gaps, 2.0) + 0.5 * room).argmax(-1)
        calm = self._from_working(self.evader[:, None])[:, 0].min(-1) > self.world.alert_radius
        before = self.evader.copy()
        moved = before + self.task.tick_s * step[np.where(calm, 0, best)]
        self.evader[...] = np.clip(moved, -side, side)
        self.evader_velocity[...] = (self.evader - before) / self.task.tick_s

    def _from_working(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of points (B, K, 2) from the robots, infinite where they do not work."""
        offset = points[:, :, None] - self.poses[:, None, :, :2]
        distance: NDArray[np.float64] = np.square(offset, out=offset).sum(-1)
        np.sqrt(distance, out=distance)
        np.copyto(distance, np.inf, where=~self._working[:, None])
        return distance

    def _surrounded(self) -> NDArray[np.bool_]:
        """Whether enough working robots, with walls' help, leave no gap of half a circle, (B,)."""
        radius = self.task.catch_radius
        robots = self.poses[..., :2] - self.evader[:, None]
        holds = self._from_working(self.evader[:, None])[:, 0] <= radius
        wall_gap = self.world.arena - self.evader @ _WALLS.T
        walls = np.broadcast_to(_WALLS, (self.batch, 4, 2))
        towards = np.concatenate([robots, walls], axis=1)
        blocks = np.concatenate([holds, wall_gap <= radius], axis=1)
        angles = np.where(blocks, np.arctan2(towards[..., 1], towards[..., 0]), np.nan)
        angles.sort(axis=-1)  # NaN goes last
        gaps = np.diff(angles, axis=-1)
        around = angles[:, 0] + 2 * np.pi - np.nanmax(np.nan_to_num(angles, nan=-np.pi), axis=-1)
        widest = np.maximum(np.nan_to_num(gaps, nan=0.0).max(-1), around)
        enough: NDArray[np.bool_] = holds.sum(-1) >= self.task.needed
        return enough & (widest < np.pi)

    def _judge(self) -> None:
        distance = np.sort(self._from_working(self.evader[:, None])[:, 0], axis=-1)
        self._nearest = np.minimum(distance[:, : self.task.needed], 3.0).mean(-1)

    def _read(self) -> None:
        noise = self._rng.standard_normal(self._track.shape, np.float32)
        noise[..., :2] *= self.world.track_noise
        noise[..., 2:] *= self.world.track_velocity_noise
        truth = np.concatenate([self.evader, self.evader_velocity], axis=-1)
        np.add(truth[:, None], noise, out=self._track, casting="same_kind")

"""The pursuit world: an evader that flees, and when it is surrounded."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.pursuit import PursuitTask, Sensed
from eir_ros.contract.scratch import taken
from sim.scene import Box, Disc, Line
from sim.swarm.arena import SwarmSim, SwarmWorld
from sim.swarm.geometry import distances

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

    def check(self, task: Any) -> None:
        """Raise a ValueError where no evader could be as is said."""
        super().check(task)
        if 2 * self.wall_margin >= self.arena:
            raise ValueError(
                f"wall_margin is {self.wall_margin:g} m; expected less than half of arena, "
                f"{self.arena:g} m"
            )
        furthest = 8**0.5 * self.arena
        if self.evader_clearance >= furthest:
            raise ValueError(
                f"evader_clearance is {self.evader_clearance:g} m; expected less than "
                f"{furthest:.3g} m, the greatest distance there is"
            )


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
        worth = self._worth
        np.minimum(self._nearest, 3.0, out=worth)
        worth /= -3.0
        worth += 1.0
        worth *= 0.3
        caught = self.scratch.copy("reward.caught", self.caught)
        caught *= 5.0
        worth += caught
        return worth

    def facts(self) -> list[NDArray[Any]]:
        """The evader's x, y, vx, vy."""
        return [self.evader, self.evader_velocity]

    def shapes(self, index: int) -> list[Disc | Box | Line]:
        """The evader, and the circle within which it is held."""
        x, y = self.evader[index].tolist()
        return [Disc((x, y), self.task.catch_radius, "faint"), Disc((x, y), 0.08, "opponent")]

    def _begin(self) -> None:
        self.caught[:] = 0
        self._release(self._everybody[:, 0])

    def _release(self, where: NDArray[np.bool_]) -> None:
        """Let evaders appear away from the robots."""
        reach = self.world.arena - 2 * self.world.wall_margin
        clearance = self.world.evader_clearance
        self._scatter(self.evader[:, None], reach, clearance=clearance, where=where)
        np.copyto(self.evader_velocity, 0.0, where=where[:, None])

    def _happen(self) -> None:
        if (self.ticks - 1) % self.task.decision_ticks == 0:
            self.caught[:] = 0
        self._flee()
        held = self._surrounded()
        self.caught += self.scratch.copy("happen.held", held, np.int64)
        if held.any():
            self._release(held)

    def _flee(self) -> None:
        lend, batch = self.scratch, self.batch
        side = self.world.arena - self.world.wall_margin
        shape = (batch, *_COURSES.shape)
        step = lend.spread("flee.step", self.task.evader_speed * _COURSES, shape)
        ahead = lend.copy("flee.ahead", step)
        ahead *= _FORESIGHT_S
        ahead += lend.spread("flee.here", self.evader[:, None], shape)
        np.clip(ahead, -side, side, out=ahead)
        gaps = lend("flee.gaps", shape[:2])
        np.minimum.reduce(self._from_working(ahead, "flee.distance"), axis=-1, out=gaps)
        np.minimum(gaps, 2.0, out=gaps)
        # a wall near by is half as bad as a pursuer
        room = lend("flee.room", shape[:2])
        np.abs(ahead, out=ahead)
        np.maximum(ahead[..., 0], ahead[..., 1], out=room)
        np.subtract(side, room, out=room)
        np.minimum(room, 0.5, out=room)
        room *= 0.5
        gaps += room
        best = lend("flee.best", (batch, 1), np.intp)
        np.argmax(gaps, axis=-1, out=best[:, 0])
        self._stay_if_calm(best[:, 0])
        moved = lend.copy("flee.moved", taken(step, best, "flee.course", lend)[:, 0])
        moved *= self.task.tick_s
        moved += self.evader
        np.clip(moved, -side, side, out=moved)
        np.subtract(moved, self.evader, out=self.evader_velocity)
        self.evader_velocity /= self.task.tick_s
        self.evader[...] = moved

    def _stay_if_calm(self, best: NDArray[np.intp]) -> None:
        """Let evaders that nobody is near choose course 0, which is to stand still."""
        lend = self.scratch
        nearest = lend("calm.nearest", best.shape)
        gaps = self._from_working(self.evader[:, None], "calm.distance")[:, 0]
        np.minimum.reduce(gaps, axis=-1, out=nearest)
        calm = lend("calm", best.shape, np.bool_)
        np.greater(nearest, self.world.alert_radius, out=calm)
        np.copyto(best, 0, where=calm)

    def _from_working(self, points: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        """Distance of points (B, K, 2) from the robots, infinite where they do not work."""
        distance = distances(points, self.poses[..., :2], name, self.scratch)
        broken = self.scratch("pursuit.broken", self._working.shape, np.bool_)
        np.logical_not(self._working, out=broken)
        np.copyto(distance, np.inf, where=broken[:, None])
        return distance

    def _surrounded(self) -> NDArray[np.bool_]:
        """Whether enough working robots, with walls' help, leave no gap of half a circle, (B,)."""
        lend, n = self.scratch, self.task.num_robots
        radius = self.task.catch_radius
        shape = (self.batch, n + len(_WALLS))
        towards = lend("ring.towards", (*shape, 2))
        robots = lend.copy("ring.robots", self.poses[..., :2])
        robots -= lend.spread("ring.here", self.evader[:, None], robots.shape)
        towards[:, :n], towards[:, n:] = robots, _WALLS
        reach = lend("ring.reach", shape)
        reach[:, :n] = self._from_working(self.evader[:, None], "ring.distance")[:, 0]
        for k, (x, y) in enumerate(_WALLS.tolist()):
            gap = lend.copy("ring.gap", self.evader[:, 0 if x else 1])
            gap *= -(x + y)
            gap += self.world.arena
            reach[:, n + k] = gap
        open_ = lend("ring.open", shape, np.bool_)
        np.greater(reach, radius, out=open_)
        held = lend("ring.held", (self.batch,), np.int64)
        np.add.reduce(lend.copy("ring.away", open_[:, :n], np.int64), axis=-1, out=held)
        enough = lend("ring.enough", held.shape, np.bool_)
        np.less_equal(held, n - self.task.needed, out=enough)
        closed = lend("ring.closed", enough.shape, np.bool_)
        np.less(self._widest_gap(towards, open_), np.pi, out=closed)
        enough &= closed
        return enough

    def _widest_gap(
        self, towards: NDArray[np.float64], without: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Largest angle between neighbours in direction `towards` (B, K, 2), but for some; (B,)."""
        lend, batch = self.scratch, self.batch
        angles = lend("gap.angles", without.shape)
        x, y = lend.copy("gap.x", towards[..., 0]), lend.copy("gap.y", towards[..., 1])
        np.arctan2(y, x, out=angles)
        np.copyto(angles, -np.pi, where=without)
        last = lend("gap.last", (batch,))
        np.maximum.reduce(angles, axis=-1, out=last)
        # those that do not count stand where the last one does: no gap is before them
        np.copyto(angles, last[:, None], where=without)
        angles.sort(axis=-1)
        around = lend.copy("gap.around", angles[:, 0])
        around -= last
        around += 2 * np.pi
        steps = lend.copy("gap.steps", angles[:, 1:])
        steps -= lend.copy("gap.before", angles[:, :-1])
        widest = lend("gap.widest", (batch,))
        np.maximum.reduce(steps, axis=-1, out=widest)
        return np.maximum(widest, around, out=widest)

    def _judge(self) -> None:
        lend, needed = self.scratch, self.task.needed
        distance = self._from_working(self.evader[:, None], "judge.distance")[:, 0]
        distance.sort(axis=-1)
        near = lend.copy("judge.near", distance[:, :needed])
        np.minimum(near, 3.0, out=near)
        np.add.reduce(near, axis=-1, out=self._nearest)
        self._nearest /= needed

    def _read(self) -> None:
        noise = self._normal("read.noise", self._track.shape, np.float32)
        scale = (self.world.track_noise,) * 2 + (self.world.track_velocity_noise,) * 2
        noise *= self.scratch.spread("read.scale", scale, noise.shape, np.float32)
        self._track[..., :2] = self.evader[:, None]
        self._track[..., 2:] = self.evader_velocity[:, None]
        self._track += noise

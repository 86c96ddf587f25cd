"""What every task of the swarm shares: robots that move, are noisy, see each other and collide.

A `SwarmSim` is the truth that both the training environment (`sim.swarm.env`) and the ROS 2 world
node advance tick by tick. Tasks add what is to be done, and what it is worth.
"""

from abc import ABC, abstractmethod
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.drive import SwarmSensed, SwarmTask
from eir_ros.contract.scratch import Scratch
from eir_ros.contract.streams import generators
from eir_ros.contract.types import teammates
from sim.scene import Box, Disc, Line
from sim.swarm.body import PlanarBodies
from sim.swarm.brakes import Brakes
from sim.swarm.geometry import scatter
from sim.swarm.sensing import Sensing, Sight
from sim.swarm.wheels import HULL_RADIUS, WheelBodies, WheelDrive

Task = TypeVar("Task", bound=SwarmTask)

#: Draws for the place of a robot, and for that of anything else, before the last one stays.
_ROBOT_TRIES, TRIES = 10_000, 100
#: Share of the floor that robots' places may take, each with its distance to the next: up to here
#: drawing them one after the other finds room.
_CROWDED = 0.4


class SwarmWorld(Schema):
    """Numbers of the world that robots need not know, whatever the task. SI units."""

    #: Half the side of the arena [m].
    arena: float = Setting(2.0, gt=0)
    #: Radius of a robot [m].
    robot_radius: float = Setting(0.12, gt=0)
    #: Standard deviation of the relative error of speed and yaw rate, drawn per tick.
    actuation_noise: float = Setting(0.1, ge=0)
    #: Standard deviation of tracked positions [m] and velocities [m/s].
    track_noise: float = Setting(0.04, ge=0)
    track_velocity_noise: float = Setting(0.05, ge=0)
    #: Probability that a reading of the task is wrong.
    reading_flip: float = Setting(0.3, ge=0, lt=0.5)
    #: What limits the tracks of teammates, besides their noise.
    sensing: Sensing = Sensing()
    #: How robots' gates keep them apart, whoever drives; as it is, not at all.
    brakes: Brakes = Brakes()
    #: `planar`: discs, fast, to train in. `wheels`: motors, wheels and slip, to prove a team in.
    body: Literal["planar", "wheels"] = "planar"
    #: Motors and ground of `wheels`.
    drive: WheelDrive = WheelDrive()

    @model_validator(mode="after")
    def _built(self) -> "SwarmWorld":
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

    def check(self, task: Any) -> None:
        """Raise a ValueError if the task's robots do not fit the arena.

        They start three radii apart and two from the walls.
        """
        count, spacing = task.num_robots, 3 * self.robot_radius
        free = 2 * (self.arena - 2 * self.robot_radius)
        each = np.pi / 4 * spacing**2
        most = int(_CROWDED * (free + spacing) ** 2 / each) if free > 0 else 0
        if count > most:
            least = 0.5 * (np.sqrt(count * each / _CROWDED) - spacing) + 2 * self.robot_radius
            raise ValueError(
                f"{count} robots of radius {self.robot_radius:g} m do not fit an arena of "
                f"{self.arena:g} m half side; expected arena to be {np.ceil(100 * least) / 100:g} "
                f"or more, or at most {most} robots"
            )


World = TypeVar("World", bound=SwarmWorld)


class SwarmSim(ABC, Generic[Task, World]):
    """A batch of arenas, advanced one tick at a time.

    Parameters
    ----------
    task
        The numbers shared with robots.
    batch
        Number of independent arenas, B.
    seed
        Anything `numpy.random.SeedSequence` takes. Each arena draws from a stream of its own: what
        happens in it depends on the seed and on its place, never on the batch size.
    world
        The numbers of the world.

    Raises
    ------
    ValueError
        So many robots do not fit the arena, or the task's own numbers do not fit it.

    Attributes
    ----------
    poses : (B, N, 3) float64
        x, y, yaw [m, m, rad; map].
    velocities : (B, N, 2) float64
        [m/s; map], the displacement of the last tick.
    ticks : int
        Ticks since the reset.
    """

    def __init__(self, task: Task, batch: int, seed: Any, world: World) -> None:
        self.task, self.world, self.batch = task, world, batch
        n = task.num_robots
        world.check(task)
        self.scratch = Scratch()
        self.poses = np.zeros((batch, n, 3))
        self.velocities = np.zeros((batch, n, 2))
        self.ticks = 0
        self._tracks = np.zeros((batch, n, n - 1, 4), np.float32)
        self._teammates = teammates(n)
        self._everybody = np.ones((batch, n), bool)
        self._working = self._everybody.copy()
        self._worth = np.zeros(batch)
        self._sight = Sight(world.sensing, batch, n, world.robot_radius, task.tick_s)
        self._bodies = self._make_bodies()
        self.reset(seed)

    def reset(self, seed: Any = None, poses: NDArray[np.float64] | None = None) -> None:
        """Start new episodes in every arena.

        Parameters
        ----------
        seed
            Restart the random streams from here; None goes on with the present ones.
        poses : (B, N, 3), optional
            Initial poses; drawn where not given.
        """
        if seed is not None:
            self._rngs = generators(seed, self.batch)
        self.ticks = 0
        self.velocities[...] = 0.0
        if poses is None:
            radius = self.world.robot_radius
            reach = self.world.arena - 2 * radius
            for rng, places in zip(self._rngs, self.poses, strict=True):
                spots = scatter(rng, len(places), reach, 3 * radius, [], 0.0, _ROBOT_TRIES)
                places[:, :2] = spots
                for place in places:
                    place[2] = rng.uniform(-np.pi, np.pi)
        else:
            self.poses[...] = poses
        self._working[...] = True
        self._sight.reset()
        self._begin()
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
            Robots without a fault: only their work counts.
        """
        lend = self.scratch
        carried_out = self._normal("arena.actuation", self.velocities.shape, np.float64)
        carried_out *= self.world.actuation_noise
        carried_out += 1.0
        carried_out *= commands
        before = lend.copy("arena.before", self.poses[..., :2])
        self._working[...] = working
        self._move(carried_out)
        self.velocities[...] = self.poses[..., :2]
        self.velocities -= before
        self.velocities /= self.task.tick_s
        self.ticks += 1
        self._happen()
        self._look()

    @abstractmethod
    def sense(self) -> SwarmSensed:
        """What each robot senses now, (B, N, ...). The arrays belong to the simulation."""

    @abstractmethod
    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the present decision, (B,); the array belongs to the simulation."""

    @abstractmethod
    def facts(self) -> list[NDArray[Any]]:
        """What a central critic is told beside the robots' motion: blocks (B, ...)."""

    @abstractmethod
    def shapes(self, index: int) -> list[Disc | Box | Line]:
        """What there is in arena `index` besides the robots."""

    def close(self) -> None:
        """Free the physics client."""
        self._bodies.close()

    # What tasks fill in

    def _make_bodies(self) -> PlanarBodies | WheelBodies:
        return self.world.bodies(self.batch, self.task.num_robots, self.task.tick_s)

    def _move(self, commands: NDArray[np.float64]) -> None:
        """Let the bodies follow `commands` (B, N, 2) for a tick."""
        self._bodies.tick(self.poses, commands)

    @abstractmethod
    def _begin(self) -> None:
        """Draw the task of new episodes; the robots are in place."""

    @abstractmethod
    def _happen(self) -> None:
        """What the task does in a tick, after the robots have moved."""

    @abstractmethod
    def _judge(self) -> None:
        """Work out how things stand; nothing is drawn."""

    @abstractmethod
    def _read(self) -> None:
        """Draw the robots' noisy readings of how things stand, at every tick."""

    def _look(self) -> None:
        """Judge, and draw this tick's noise."""
        self._judge()
        lend, world = self.scratch, self.world
        moving = lend("arena.moving", (*self.poses.shape[:2], 4), np.float32)
        moving[..., :2], moving[..., 2:] = self.poses[..., :2], self.velocities
        noise = self._normal("arena.track_noise", self._tracks.shape, np.float32)
        scale = (world.track_noise,) * 2 + (world.track_velocity_noise,) * 2
        noise *= lend.spread("arena.track_scale", scale, noise.shape, np.float32)
        # the mode makes it write straight away; no index is out of range
        np.take(moving, self._teammates, axis=1, out=self._tracks, mode="clip")
        self._tracks += noise
        self._read()
        self._sight.look(self.poses[..., :2], self._rngs, self._obstacle())

    def _normal(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Normally distributed numbers (B, ...), for each arena from its own stream."""
        found = self.scratch(name, shape, dtype)
        for rng, row in zip(self._rngs, found, strict=True):
            rng.standard_normal(dtype=dtype, out=row)
        return found

    def _wrong(self, readings: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the readings (B, ...) are wrong, drawn from the arenas' own streams."""
        luck = self.scratch("arena.luck", readings.shape)
        for rng, row in zip(self._rngs, luck, strict=True):
            rng.random(out=row)
        found = self.scratch("arena.wrong", readings.shape, np.bool_)
        return np.less(luck, self.world.reading_flip, out=found)

    def _obstacle(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Pose (B, 3) and half sides (2,) of a box that hides robots."""
        return None

    def _senses(self) -> dict[str, Any]:
        """The fields of `contract.drive.SwarmSensed`."""
        lead = self.poses.shape[:2]
        return {
            "pose": self.poses,
            "velocity": self.velocities,
            "tracks": self._tracks,
            "visible": self._sight.visible,
            "index": np.broadcast_to(np.arange(lead[1]), lead),
        }

    def _scatter(
        self,
        points: NDArray[np.float64],
        reach: float,
        spacing: float = 0.0,
        clearance: float = 0.0,
        where: NDArray[np.bool_] | None = None,
    ) -> None:
        """Draw points (B, K, 2) in a square, apart from each other and from robots.

        What finds no place in 100 draws stays where the last one put it; `where` (B,) says in
        which arenas.
        """
        for b, (rng, row) in enumerate(zip(self._rngs, points, strict=True)):
            if where is None or where[b]:
                robots = self.poses[b, :, :2].tolist() if clearance else []
                row[...] = scatter(rng, len(row), reach, spacing, robots, clearance, TRIES)

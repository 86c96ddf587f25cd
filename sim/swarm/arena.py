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
from eir_ros.contract.types import teammates
from sim.scene import Box, Disc, Line
from sim.swarm.body import PlanarBodies
from sim.swarm.sensing import Sensing, Sight
from sim.swarm.wheels import HULL_RADIUS, WheelBodies, WheelDrive

Task = TypeVar("Task", bound=SwarmTask)


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
        Anything `numpy.random.default_rng` takes; the same seed gives the same run.
    world
        The numbers of the world.

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
        self.poses = np.zeros((batch, n, 3))
        self.velocities = np.zeros((batch, n, 2))
        self.ticks = 0
        self._tracks = np.zeros((batch, n, n - 1, 4), np.float32)
        self._teammates = teammates(n)
        # scratch of every tick: noise, and x, y, vx, vy of robots and of their teammates
        self._luck = np.zeros((batch, n, 2))
        self._track_luck = np.zeros_like(self._tracks)
        self._moving = np.zeros((batch, n, 4))
        self._mates = np.zeros((batch, n, n - 1, 4))
        self._sight = Sight(world.sensing, batch, n, world.robot_radius, task.tick_s)
        self._bodies = self._make_bodies()
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
            count, radius = self.poses.shape[1], self.world.robot_radius
            self.poses[..., :2] = self._spread(count, self.world.arena - 2 * radius, 3 * radius)
            self.poses[..., 2] = self._rng.uniform(-np.pi, np.pi, self.poses.shape[:2])
        else:
            self.poses[...] = poses
        self._working = np.ones(self.poses.shape[:2], bool)
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
        noise = self._rng.standard_normal(out=self._luck)
        before = self.poses[..., :2].copy()
        self._working = working
        self._move(commands * (1.0 + self.world.actuation_noise * noise))
        self.velocities[...] = (self.poses[..., :2] - before) / self.task.tick_s
        self.ticks += 1
        self._happen()
        self._look()

    @abstractmethod
    def sense(self) -> SwarmSensed:
        """What each robot senses now, (B, N, ...). The arrays belong to the simulation."""

    @abstractmethod
    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the present decision, (B,)."""

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
        self._moving[..., :2], self._moving[..., 2:] = self.poses[..., :2], self.velocities
        noise = self._rng.standard_normal(dtype=np.float32, out=self._track_luck)
        noise[..., :2] *= self.world.track_noise
        noise[..., 2:] *= self.world.track_velocity_noise
        # the mode makes it write straight away; no index is out of range
        np.take(self._moving, self._teammates, axis=1, out=self._mates, mode="clip")
        np.add(self._mates, noise, out=self._tracks, casting="same_kind")
        self._read()
        self._sight.look(self.poses[..., :2], self._rng, self._obstacle())

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

    def _spread(
        self, count: int, reach: float, spacing: float, clearance: float | None = None
    ) -> NDArray[np.float64]:
        """Points in a square, apart from each other and `clearance` from robots, by rejection.

        Returns (B, K, 2); an arena that finds no place in 100 draws keeps its last draw.
        """
        found = np.zeros((self.batch, count, 2))
        for k in range(count):
            todo = np.arange(self.batch)
            for _ in range(100):
                draw = self._rng.uniform(-reach, reach, (len(todo), 2))
                found[todo, k] = draw
                near = _any_within(draw, found[todo, :k], spacing)
                if clearance is not None:
                    near |= _any_within(draw, self.poses[todo, :, :2], clearance)
                todo = todo[near]
                if not len(todo):
                    break
        return found


def _any_within(
    points: NDArray[np.float64], others: NDArray[np.float64], distance: float
) -> NDArray[np.bool_]:
    """Whether any of `others` (B, K, 2) lies within `distance` of `points` (B, 2); (B,) bool."""
    return (np.square(others - points[:, None]).sum(-1) < distance**2).any(-1)

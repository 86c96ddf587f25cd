"""The transport world: a box, who pushes it, and how it slides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.transport import Sensed, TransportTask
from sim.scene import Box, Disc, Line
from sim.swarm.arena import SwarmSim, SwarmWorld
from sim.swarm.body import PlanarBodies
from sim.swarm.wheels import WheelBodies

Floats = NDArray[np.float64]


class TransportWorld(SwarmWorld):
    """Numbers of the world that robots need not know. SI units; a push is what one robot can do."""

    #: Friction under the box [pushes]: above 1, one robot cannot move it.
    box_weight: float = Setting(1.2, gt=0)
    #: Speed for each push above that [m/s per push].
    box_mobility: float = Setting(0.4, gt=0)
    #: It is no faster than this [m/s]: robots would fall behind.
    box_speed: float = Setting(0.35, gt=0)
    #: Turning rate for each push at one metre, above what friction holds [rad/s per push m].
    box_turning: float = Setting(1.5, ge=0)
    #: Box and goals are drawn from a square of this half side [m] ...
    goal_range: float = Setting(1.1, gt=0)
    #: ... and this far apart at least [m].
    goal_distance: float = Setting(1.0, ge=0)


class TransportSim(SwarmSim[TransportTask, TransportWorld]):
    """A batch of transport arenas; see `arena.SwarmSim` for parameters.

    The box slides without inertia: friction holds it until the pushes on it, normal to its faces,
    add up to more (Lynch & Mason, *Stable Pushing*, 1996, on quasi-static pushing). To the robots
    it is a body that does not give way, moving as the pushes of this tick make it. A box that has
    been delivered stays where it is and gets another goal.

    Attributes
    ----------
    box : (B, 3) float64
        x, y, yaw [m, m, rad; map].
    box_velocity : (B, 3) float64
        [m/s, m/s, rad/s; map].
    goal : (B, 2) float64
        [m; map].
    delivered : (B,) int64
        Deliveries since the last decision.
    """

    def __init__(
        self,
        task: TransportTask,
        batch: int = 1,
        seed: Any = 0,
        world: TransportWorld | None = None,
    ) -> None:
        self.box = np.zeros((batch, 3))
        self.box_velocity = np.zeros((batch, 3))
        self.goal = np.zeros((batch, 2))
        self.delivered = np.zeros(batch, np.int64)
        self._progress = np.zeros(batch)
        super().__init__(task, batch, seed, world or TransportWorld())
        if self.task.box_half + self.world.goal_range > self.world.arena:
            raise ValueError(
                f"goal_range is {self.world.goal_range:g} m and box_half {task.box_half:g} m; "
                f"expected a sum of at most {self.world.arena:g} m, where the walls are"
            )

    def sense(self) -> Sensed:
        """What each robot senses now, (B, N, ...). The arrays belong to the simulation."""
        lead = self.poses.shape[:2]

        def everybody(values: Floats) -> Floats:
            return np.broadcast_to(values[:, None], (*lead, values.shape[-1]))

        return Sensed(
            **self._senses(),
            box=everybody(self.box),
            box_velocity=everybody(self.box_velocity[:, :2]),
            goal=everybody(self.goal),
        )

    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the last decision, (B,).

        10 for each metre that the box has come nearer to its goal, and 3 for each delivery.
        """
        return 10.0 * self._progress + 3.0 * self.delivered

    def facts(self) -> list[NDArray[Any]]:
        """The box's x, y, cos and sin of four times its yaw, its velocities; the goal's x, y."""
        turned = 4 * self.box[:, 2:]
        return [self.box[:, :2], np.cos(turned), np.sin(turned), self.box_velocity, self.goal]

    def shapes(self, index: int) -> list[Disc | Box | Line]:
        """Goal and box."""
        x, y, yaw = self.box[index].tolist()
        gx, gy = self.goal[index].tolist()
        side = 2 * self.task.box_half
        return [
            Disc((gx, gy), self.task.deliver_radius, "goal"),
            Box((x, y), (side, side), "wall", yaw, label="box"),
        ]

    def _make_bodies(self) -> PlanarBodies | WheelBodies:
        bodies = super()._make_bodies()
        bodies.add_box(self.task.box_half)
        return bodies

    def _begin(self) -> None:
        self.delivered[:] = 0
        self._progress[:] = 0.0
        self.box_velocity[...] = 0.0
        half, reach = self.task.box_half, self.world.goal_range
        clearance = 1.5 * half + self.world.robot_radius
        self.box[:, :2] = self._spread(1, reach, 0.0, clearance)[:, 0]
        self.box[:, 2] = self._rng.uniform(-np.pi, np.pi, self.batch)
        self._new_goals(np.ones(self.batch, bool))

    def _new_goals(self, where: NDArray[np.bool_]) -> None:
        """Goals away from the boxes, by rejection; the last of 100 draws stays."""
        todo = np.flatnonzero(where)
        for _ in range(100):
            reach = self.world.goal_range
            self.goal[todo] = self._rng.uniform(-reach, reach, (len(todo), 2))
            near = np.square(self.goal[todo] - self.box[todo, :2]).sum(-1)
            todo = todo[near < self.world.goal_distance**2]
            if not len(todo):
                break

    def _move(self, commands: NDArray[np.float64]) -> None:
        force, torque = self._pushes(commands)
        world, half = self.world, self.task.box_half
        strength = np.sqrt(np.square(force).sum(-1, keepdims=True))
        speed = world.box_mobility * np.maximum(strength - world.box_weight, 0.0)
        speed = np.minimum(speed, world.box_speed)
        self.box_velocity[:, :2] = speed / np.maximum(strength, 1e-9) * force
        # friction under a square holds it from turning with about 0.77 of its half side as arm
        spare = np.maximum(np.abs(torque) - 0.77 * half * world.box_weight, 0.0)
        self.box_velocity[:, 2] = world.box_turning * np.sign(torque) * spare
        side = world.arena - np.sqrt(2.0) * half
        now = self.box[:, :2]
        moved = np.clip(now + self.task.tick_s * self.box_velocity[:, :2], -side, side)
        self.box_velocity[:, :2] = (moved - now) / self.task.tick_s
        self._bodies.tick(self.poses, commands, (self.box, self.box_velocity))
        self.box += self.task.tick_s * self.box_velocity
        self.box[:, 2] = np.mod(self.box[:, 2] + np.pi, 2 * np.pi) - np.pi

    def _pushes(self, commands: NDArray[np.float64]) -> tuple[Floats, Floats]:
        """Force (B, 2) and torque (B,) of all robots on the box [pushes; map].

        A robot pushes with the share of its top speed that it drives into the face it touches.
        One with a fault has no force, unless it pushes the box away from its goal.
        """
        half, centre = self.task.box_half, self.box[:, None, :2]
        cos, sin = np.cos(self.box[:, 2])[:, None], np.sin(self.box[:, 2])[:, None]
        offset = self.poses[..., :2] - centre
        x = cos * offset[..., 0] + sin * offset[..., 1]
        y = cos * offset[..., 1] - sin * offset[..., 0]
        touched_x, touched_y = np.clip(x, -half, half), np.clip(y, -half, half)
        gap = np.hypot(x - touched_x, y - touched_y)
        inward = np.stack([touched_x - x, touched_y - y], axis=-1)
        inward /= np.maximum(gap, 1e-9)[..., None]
        yaw = self.poses[..., 2] - self.box[:, 2:]
        drive = commands[..., 0] * (np.cos(yaw) * inward[..., 0] + np.sin(yaw) * inward[..., 1])
        push = np.clip(drive / self.task.max_speed, 0.0, 1.0)
        push[gap > self.world.robot_radius + 0.02] = 0.0
        local = push[..., None] * inward
        force = np.stack(
            [cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]],
            axis=-1,
        )
        helps = (force * (self.goal - self.box[:, :2])[:, None]).sum(-1) > 0
        counts = self._working | ~helps
        torque = (touched_x * local[..., 1] - touched_y * local[..., 0]) * counts
        return (force * counts[..., None]).sum(1), torque.sum(1)

    def _happen(self) -> None:
        if (self.ticks - 1) % self.task.decision_ticks == 0:
            self.delivered[:] = 0
            self._progress[:] = 0.0
        to_goal = self.goal - self.box[:, :2]
        now = np.sqrt(np.square(to_goal).sum(-1))
        step = self.task.tick_s * self.box_velocity[:, :2]
        self._progress += np.sqrt(np.square(to_goal + step).sum(-1)) - now
        there = now < self.task.deliver_radius
        self.delivered += there
        if there.any():
            self._new_goals(there)

    def _judge(self) -> None:
        """The box shows how things stand."""

    def _read(self) -> None:
        """Box and goal are known to all."""

    def _obstacle(self) -> tuple[Floats, Floats] | None:
        return self.box, np.full(2, self.task.box_half)

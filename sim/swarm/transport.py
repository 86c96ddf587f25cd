"""The transport world: a box, who pushes it, and how it slides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.drive import directions_of
from eir_ros.contract.transport import Sensed, TransportTask
from sim.scene import Box, Disc, Line
from sim.swarm.arena import TRIES, SwarmSim, SwarmWorld
from sim.swarm.body import PlanarBodies
from sim.swarm.geometry import lengths, scatter, wrap
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

    def check(self, task: Any) -> None:
        """Raise a ValueError where no box and goal could be as is said."""
        super().check(task)
        if task.box_half + self.goal_range > self.arena:
            raise ValueError(
                f"goal_range is {self.goal_range:g} m and box_half {task.box_half:g} m; "
                f"expected a sum of at most {self.arena:g} m, where the walls are"
            )
        # from the middle, where a box may lie, to a corner
        furthest = 2**0.5 * self.goal_range
        if self.goal_distance >= furthest:
            raise ValueError(
                f"goal_distance is {self.goal_distance:g} m; expected less than {furthest:.3g} m, "
                "so that there is a place for every box"
            )


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
        self._half_sides = np.full(2, task.box_half)
        super().__init__(task, batch, seed, world or TransportWorld())

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
        worth = self._worth
        np.multiply(self._progress, 10.0, out=worth)
        delivered = self.scratch.copy("reward.delivered", self.delivered)
        delivered *= 3.0
        worth += delivered
        return worth

    def facts(self) -> list[NDArray[Any]]:
        """The box's x, y, cos and sin of four times its yaw, its velocities; the goal's x, y."""
        turned = self.scratch.copy("facts.yaw", self.box[:, 2])
        turned *= 4
        heading = self.scratch("facts.heading", (self.batch, 2))
        directions_of(turned, heading, self.scratch)
        return [self.box[:, :2], heading, self.box_velocity, self.goal]

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
        self._scatter(self.box[:, None, :2], reach, clearance=clearance)
        for rng, box in zip(self._rngs, self.box, strict=True):
            box[2] = rng.uniform(-np.pi, np.pi)
        self._new_goals(self._everybody[:, 0])

    def _new_goals(self, where: NDArray[np.bool_]) -> None:
        """Goals away from the boxes, by rejection; the last of the draws stays."""
        world = self.world
        for b, (rng, goal) in enumerate(zip(self._rngs, self.goal, strict=True)):
            if where[b]:
                box = [self.box[b, :2].tolist()]
                goal[...] = scatter(rng, 1, world.goal_range, 0.0, box, world.goal_distance, TRIES)[
                    0
                ]

    def _move(self, commands: Floats) -> None:
        lend, world, half = self.scratch, self.world, self.task.box_half
        force, torque = self._pushes(commands)
        # a friction of `box_weight` holds it; it follows what is pushed beyond that
        strength = lengths(force, "move.strength", lend)
        speed = lend.copy("move.speed", strength)
        speed -= world.box_weight
        np.maximum(speed, 0.0, out=speed)
        speed *= world.box_mobility
        np.minimum(speed, world.box_speed, out=speed)
        np.maximum(strength, 1e-9, out=strength)
        speed /= strength
        force *= lend.spread("move.each", speed[:, None], force.shape)
        # friction under a square holds it from turning with about 0.77 of its half side as arm
        spare = lend("move.spare", torque.shape)
        np.abs(torque, out=spare)
        spare -= 0.77 * half * world.box_weight
        np.maximum(spare, 0.0, out=spare)
        spare *= world.box_turning
        np.copysign(spare, torque, out=spare)
        self.box_velocity[:, 2] = spare
        # walls stop its middle, and it shall not be seen to move on
        side = world.arena - np.sqrt(2.0) * half
        now = lend.copy("move.now", self.box[:, :2])
        force *= self.task.tick_s
        force += now
        np.clip(force, -side, side, out=force)
        force -= now
        force /= self.task.tick_s
        self.box_velocity[:, :2] = force
        self._bodies.tick(self.poses, commands, (self.box, self.box_velocity))
        step = lend.copy("move.step", self.box_velocity)
        step *= self.task.tick_s
        self.box += step
        wrap(self.box[:, 2], lend)

    def _pushes(self, commands: Floats) -> tuple[Floats, Floats]:
        """Force (B, 2) and torque (B,) of all robots on the box [pushes; map].

        A robot pushes with the share of its top speed that it drives into the face it touches.
        One with a fault has no force, unless it pushes the box away from its goal.
        """
        lend, half, shape = self.scratch, self.task.box_half, self._working.shape
        turn = lend("pushes.turn", (self.batch, 2))
        directions_of(self.box[:, 2], turn, lend)
        offset = lend.copy("pushes.offset", self.poses[..., :2])
        offset -= lend.spread("pushes.box", self.box[:, None, :2], offset.shape)
        local = self._turned(offset, turn, -1.0, "pushes.local")
        touched = lend.copy("pushes.touched", local)
        np.clip(touched, -half, half, out=touched)
        inward = lend.copy("pushes.inward", touched)
        inward -= local
        gap = lengths(inward, "pushes.gap", lend)
        away = lend("pushes.away", shape, np.bool_)
        np.greater(gap, self.world.robot_radius + 0.02, out=away)
        np.maximum(gap, 1e-9, out=gap)
        inward /= lend.spread("pushes.each", gap[..., None], inward.shape)
        yaw = lend.copy("pushes.yaw", self.poses[..., 2])
        yaw -= lend.spread("pushes.box_yaw", self.box[:, 2:], shape)
        heading = lend("pushes.heading", inward.shape)
        directions_of(yaw, heading, lend)
        heading *= inward
        push = lend("pushes.push", shape)
        np.add(heading[..., 0], heading[..., 1], out=push)
        push *= lend.copy("pushes.forward", commands[..., 0])
        push /= self.task.max_speed
        np.clip(push, 0.0, 1.0, out=push)
        np.copyto(push, 0.0, where=away)
        inward *= lend.spread("pushes.each", push[..., None], inward.shape)
        force = self._turned(inward, turn, 1.0, "pushes.force")
        idle = self._useless(force)
        np.copyto(force, 0.0, where=idle[..., None])
        np.copyto(inward, 0.0, where=idle[..., None])
        # the moment of each push about the middle of the box
        moment = lend.copy("pushes.moment", inward[..., ::-1])
        moment *= touched
        torque = lend("pushes.torque", shape)
        np.subtract(moment[..., 0], moment[..., 1], out=torque)
        total, turning = lend("pushes.total", (self.batch, 2)), lend("pushes.sum", (self.batch,))
        np.add.reduce(force, axis=1, out=total)
        np.add.reduce(torque, axis=1, out=turning)
        return total, turning

    def _turned(self, vectors: Floats, turn: Floats, sign: float, name: str) -> Floats:
        """Vectors (B, N, 2) turned by the box's yaw, of which `turn` (B, 2) holds cos and sin."""
        lend, shape = self.scratch, vectors.shape[:2]
        x, y = lend.copy("turned.x", vectors[..., 0]), lend.copy("turned.y", vectors[..., 1])
        cos = lend.spread("turned.cos", turn[:, :1], shape)
        sin = lend.spread("turned.sin", turn[:, 1:], shape)
        sin *= sign
        found, part = lend(name, vectors.shape), lend("turned.part", shape)
        other = lend("turned.other", shape)
        np.subtract(np.multiply(cos, x, out=part), np.multiply(sin, y, out=other), out=part)
        found[..., 0] = part
        np.add(np.multiply(sin, x, out=part), np.multiply(cos, y, out=other), out=part)
        found[..., 1] = part
        return found

    def _useless(self, force: Floats) -> NDArray[np.bool_]:
        """Robots with a fault whose force (B, N, 2) would help, (B, N): they have none."""
        lend = self.scratch
        wanted = lend.copy("useless.wanted", self.goal)
        wanted -= lend.copy("useless.box", self.box[:, :2])
        product = lend.spread("useless.product", wanted[:, None], force.shape)
        product *= force
        gain = lend("useless.gain", force.shape[:2])
        np.add(product[..., 0], product[..., 1], out=gain)
        helps = lend("useless.helps", gain.shape, np.bool_)
        np.greater(gain, 0.0, out=helps)
        broken = lend("useless.broken", gain.shape, np.bool_)
        helps &= np.logical_not(self._working, out=broken)
        return helps

    def _happen(self) -> None:
        if (self.ticks - 1) % self.task.decision_ticks == 0:
            self.delivered[:] = 0
            self._progress[:] = 0.0
        lend = self.scratch
        ahead = lend.copy("happen.ahead", self.goal)
        ahead -= lend.copy("happen.box", self.box[:, :2])
        now = lengths(ahead, "happen.now", lend)
        step = lend.copy("happen.step", self.box_velocity[:, :2])
        step *= self.task.tick_s
        ahead += step
        self._progress += lengths(ahead, "happen.before", lend)
        self._progress -= now
        there = lend("happen.there", now.shape, np.bool_)
        np.less(now, self.task.deliver_radius, out=there)
        self.delivered += lend.copy("happen.delivered", there, np.int64)
        if there.any():
            self._new_goals(there)

    def _judge(self) -> None:
        """The box shows how things stand."""

    def _read(self) -> None:
        """Box and goal are known to all."""

    def _obstacle(self) -> tuple[Floats, Floats] | None:
        return self.box, self._half_sides

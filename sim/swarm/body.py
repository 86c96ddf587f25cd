"""Planar bodies: differential-drive robots as PyBullet spheres that push each other apart.

One physics client holds one arena. A batch of arenas shares it in turns: their poses are set,
the tick is simulated and read back. That is as fast as many arenas side by side in one client, and
an arena's result cannot depend on its neighbours or on the batch size: contact warm-starting, the
one thing a client would remember from the arena before, is off. Where nobody is near enough to
touch anybody, the engine would only add up displacements, so that is done here, to the same bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.drive import directions_of
from eir_ros.contract.scratch import Scratch
from sim.swarm.bullet import Boxes, add_box, add_walls, connect, put_box, pybullet, substeps
from sim.swarm.geometry import lengths, wrap

#: The engine sees a contact coming from this far, and from no further [m].
_MARGIN = 0.03
_UPRIGHT = (0.0, 0.0, 0.0, 1.0)


class PlanarBodies:
    """Moves `num_robots` discs for one tick at a time.

    Parameters
    ----------
    num_robots
        Robots in an arena.
    radius
        Radius of a robot [m].
    arena
        Half the side of the square arena [m]; walls stand there.
    tick_s
        Duration of a tick [s].
    """

    def __init__(self, num_robots: int, radius: float, arena: float, tick_s: float) -> None:
        self._client = -1  # where connecting fails
        self._client = connect(tick_s, solverResidualThreshold=0.0)
        self._tick_s, self._radius, self._half_side = tick_s, radius, arena
        self._robots = [self._sphere(radius, index) for index in range(num_robots)]
        add_walls(self._client, arena)
        self._pairs = np.triu_indices(num_robots, 1)
        self._scratch = Scratch()
        self._box: int | None = None

    def add_box(self, half: float) -> None:
        """Put a square box into every arena, whose motion `tick` is told; `half` its side [m]."""
        self._box, self._box_reach = add_box(self._client, half, flat=True), 2**0.5 * half

    def _sphere(self, radius: float, index: int) -> int:
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_SPHERE, radius=radius, physicsClientId=self._client
        )
        body = pybullet.createMultiBody(
            1.0, shape, -1, [index, 0, 0], useMaximalCoordinates=1, physicsClientId=self._client
        )
        pybullet.changeDynamics(
            body, -1, lateralFriction=0, linearDamping=0, restitution=0,
            physicsClientId=self._client,
        )  # fmt: skip
        return int(body)

    def tick(
        self,
        poses: NDArray[np.float64],
        commands: NDArray[np.float64],
        boxes: Boxes | None = None,
    ) -> None:
        """Advance `poses` (B, N, 3) [m, m, rad; map] in place by one tick.

        `commands` (B, N, 2) are forward speed and yaw rate [m/s, rad/s; base_link]. The heading
        follows the yaw rate exactly; the disc moves along the heading of the middle of the tick,
        and contacts may push it sideways. `boxes` say where the boxes are and how they move.
        """
        lend, steps = self._scratch, substeps(self._tick_s)
        turn = lend.copy("tick.turn", commands[..., 1])
        turn *= self._tick_s
        yaw = lend.copy("tick.yaw", poses[..., 2])
        course = lend.copy("tick.course", turn)
        course *= 0.5
        course += yaw
        velocity = lend("tick.velocity", commands.shape)
        directions_of(course, velocity, lend)
        velocity *= lend.spread("tick.forward", commands[..., :1], commands.shape)
        place = lend.copy("tick.place", poses[..., :2])
        moved, step = lend.copy("tick.moved", place), lend.copy("tick.step", velocity)
        step *= self._tick_s / steps
        for _ in range(steps):
            # one by one: the sum rounds as the engine's does
            moved += step
        crowded = self._crowded(place, velocity)
        if boxes is not None:
            crowded |= self._near_box(place, velocity, *boxes)
        for b, touching in enumerate(crowded):
            if not touching:
                continue
            if boxes is not None and self._box is not None:
                box, motion = (part[b].tolist() for part in boxes)
                put_box(self._client, self._box, box, motion, flat=True)
            moved[b] = self._arena(place[b].tolist(), velocity[b].tolist())
        yaw += turn
        wrap(yaw, lend)
        poses[..., :2], poses[..., 2] = moved, yaw

    def _crowded(
        self, place: NDArray[np.float64], velocity: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Arenas in which robots may touch walls or each other during this tick, (B,)."""
        lend, (one, other) = self._scratch, self._pairs
        reach = lengths(velocity, "crowded.reach", lend)
        reach *= self._tick_s
        reach += self._radius + _MARGIN
        out, outmost = lend.copy("crowded.out", place), lend("crowded.outmost", reach.shape)
        np.abs(out, out=out)
        np.maximum(out[..., 0], out[..., 1], out=outmost)
        outmost += reach
        by_wall = lend("crowded.by_wall", reach.shape, np.bool_)
        np.greater_equal(outmost, self._half_side, out=by_wall)
        between, there = (
            lend("between", (len(place), len(one), 2)),
            lend("there", (len(place), len(one), 2)),
        )
        # the mode makes it write straight away; no index is out of range
        np.take(place, one, axis=1, out=between, mode="clip")
        np.take(place, other, axis=1, out=there, mode="clip")
        between -= there
        gap = lengths(between, "crowded.gap", lend, squared=True)
        both, theirs = lend("crowded.both", gap.shape), lend("crowded.theirs", gap.shape)
        np.take(reach, one, axis=1, out=both, mode="clip")
        np.take(reach, other, axis=1, out=theirs, mode="clip")
        both += theirs
        np.square(both, out=both)
        near = lend("crowded.near", gap.shape, np.bool_)
        np.less_equal(gap, both, out=near)
        found, met = (lend(name, (len(place),), np.bool_) for name in ("crowded", "crowded.met"))
        np.logical_or.reduce(by_wall, axis=-1, out=found)
        np.logical_or.reduce(near, axis=-1, out=met)
        found |= met
        return found

    def _near_box(
        self,
        place: NDArray[np.float64],
        velocity: NDArray[np.float64],
        box: NDArray[np.floating[Any]],
        motion: NDArray[np.floating[Any]],
    ) -> NDArray[np.bool_]:
        """Arenas in which a robot may touch the box during this tick, (B,)."""
        lend = self._scratch
        offset, closing = lend.copy("box.offset", place), lend.copy("box.closing", velocity)
        offset -= lend.spread("box.place", box[:, None, :2], place.shape)
        closing -= lend.spread("box.motion", motion[:, None, :2], place.shape)
        gap = lengths(offset, "box.gap", lend)
        gap -= self._box_reach + self._radius + 2 * _MARGIN
        speed = lengths(closing, "box.speed", lend)
        speed *= self._tick_s
        near = lend("box.near", gap.shape, np.bool_)
        np.less_equal(gap, speed, out=near)
        found = lend("box.found", (len(place),), np.bool_)
        return np.logical_or.reduce(near, axis=-1, out=found)

    def _arena(self, places: list[list[float]], speeds: list[list[float]]) -> list[tuple]:
        client, robots = self._client, self._robots
        for robot, (x, y), (vx, vy) in zip(robots, places, speeds, strict=True):
            pybullet.resetBasePositionAndOrientation(robot, (x, y, 0.0), _UPRIGHT, client)
            pybullet.resetBaseVelocity(robot, (vx, vy, 0.0), (0, 0, 0), physicsClientId=client)
        pybullet.stepSimulation(client)
        return [pybullet.getBasePositionAndOrientation(r, client)[0][:2] for r in robots]

    def close(self) -> None:
        """Free the physics client."""
        if self._client >= 0:
            pybullet.disconnect(self._client)
            self._client = -1

    def __del__(self) -> None:
        self.close()

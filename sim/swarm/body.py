"""Planar bodies: differential-drive robots as PyBullet spheres that push each other apart.

One physics client holds one arena. A batch of arenas shares it in turns: their poses are set,
the tick is simulated and read back. That is as fast as many arenas side by side in one client
(56,000 ticks per CPU-second with four robots), and an arena's result cannot depend on its
neighbours or on the batch size: contact warm-starting, the one thing a client would remember
from the arena before, is off.
"""

import numpy as np
from numpy.typing import NDArray

from sim.swarm.bullet import pybullet

#: Physics steps per second.
PHYSICS_HZ = 60
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
        self._client = pybullet.connect(pybullet.DIRECT)
        self._tick_s = tick_s
        pybullet.setPhysicsEngineParameter(
            fixedTimeStep=tick_s,
            numSubSteps=max(1, round(tick_s * PHYSICS_HZ)),
            deterministicOverlappingPairs=1,
            solverResidualThreshold=0.0,
            warmStartingFactor=0.0,
            physicsClientId=self._client,
        )
        self._robots = [self._sphere(radius, index) for index in range(num_robots)]
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            self._wall(x, y, arena)

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

    def _wall(self, x: int, y: int, arena: float) -> None:
        thick = 0.5
        extent = [thick if x else arena + 1, thick if y else arena + 1, 1.0]
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=extent, physicsClientId=self._client
        )
        place = [x * (arena + thick), y * (arena + thick), 0]
        wall = pybullet.createMultiBody(0, shape, -1, place, physicsClientId=self._client)
        pybullet.changeDynamics(wall, -1, lateralFriction=0, physicsClientId=self._client)

    def tick(self, poses: NDArray[np.float64], commands: NDArray[np.float64]) -> None:
        """Advance `poses` (B, N, 3) [m, m, rad; map] in place by one tick.

        `commands` (B, N, 2) are forward speed and yaw rate [m/s, rad/s; base_link]. The heading
        follows the yaw rate exactly; the disc moves along the heading of the middle of the tick,
        and contacts may push it sideways.
        """
        turn = commands[..., 1] * self._tick_s
        course = poses[..., 2] + 0.5 * turn
        velocity = np.zeros_like(poses)
        velocity[..., 0] = commands[..., 0] * np.cos(course)
        velocity[..., 1] = commands[..., 0] * np.sin(course)
        place = poses.copy()
        place[..., 2] = 0.0
        starts: list[list[list[float]]] = place.tolist()
        speeds: list[list[list[float]]] = velocity.tolist()
        poses[..., :2] = [self._arena(*arena) for arena in zip(starts, speeds, strict=True)]
        poses[..., 2] = np.mod(poses[..., 2] + turn + np.pi, 2 * np.pi) - np.pi

    def _arena(self, places: list[list[float]], speeds: list[list[float]]) -> list[tuple]:
        client, robots = self._client, self._robots
        for robot, place, speed in zip(robots, places, speeds, strict=True):
            pybullet.resetBasePositionAndOrientation(robot, place, _UPRIGHT, client)
            pybullet.resetBaseVelocity(robot, speed, (0, 0, 0), physicsClientId=client)
        pybullet.stepSimulation(client)
        return [pybullet.getBasePositionAndOrientation(r, client)[0][:2] for r in robots]

    def close(self) -> None:
        """Free the physics client."""
        if self._client >= 0:
            pybullet.disconnect(self._client)
            self._client = -1

    def __del__(self) -> None:
        self.close()

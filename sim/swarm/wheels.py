"""Wheel-level bodies: differential-drive robots from a URDF, with motors, a caster and slip.

Unlike planar bodies these have a state that poses do not show (wheels turn, contacts slide), so
every arena has a client of its own that it stays in. Side by side in one client arenas would be
no faster, and not independent: the engine sorts motors by groups of touching bodies and, within a
group, in an order that depends on all the others.
"""

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from sim.swarm.bullet import Boxes, add_box, add_walls, connect, put_box, pybullet, substeps

#: The robot; the numbers below are its own.
URDF: Final = Path(__file__).parent / "assets" / "robot.urdf"
HULL_RADIUS: Final = 0.12
WHEEL_RADIUS: Final = 0.035
TRACK: Final = 0.2
_COM_HEIGHT: Final = 0.04
#: After a second of driving, positions are within 2 cm of what 400 iterations give.
_SOLVER_ITERATIONS: Final = 12


class WheelDrive(Schema):
    """Motors and ground of wheel-level bodies. SI units."""

    #: Torque of a motor at most [Nm]: 0.08 gives 3.5 m/s^2.
    torque: float = Setting(0.08, gt=0)
    #: Coulomb friction of the wheels on the ground: they slip beyond it.
    friction: float = Setting(0.8, gt=0)
    #: The same of the caster.
    caster_friction: float = Setting(0.02, ge=0)


class WheelBodies:
    """Moves `num_robots` wheeled robots in each of `batch` arenas; see `body.PlanarBodies`.

    Parameters
    ----------
    batch
        Arenas, B.
    num_robots
        Robots in an arena, N.
    arena
        Half the side of the square arena [m]; walls stand there.
    tick_s
        Duration of a tick [s].
    drive
        Motors and ground.
    """

    def __init__(
        self, batch: int, num_robots: int, arena: float, tick_s: float, drive: WheelDrive
    ) -> None:
        self._arenas = [_Arena(num_robots, arena, tick_s, drive) for _ in range(batch)]
        #: Poses as they were given out, (B, N, 3): whoever stands elsewhere was put there.
        self._told = np.full((batch, num_robots, 3), np.nan)

    def add_box(self, half: float) -> None:
        """Put a square box into every arena, whose motion `tick` is told; `half` its side [m]."""
        for arena in self._arenas:
            arena.add_box(half)

    def tick(
        self,
        poses: NDArray[np.float64],
        commands: NDArray[np.float64],
        boxes: Boxes | None = None,
    ) -> None:
        """Advance `poses` (B, N, 3) [m, m, rad; map] in place by one tick.

        `commands` (B, N, 2) are forward speed and yaw rate [m/s, rad/s; base_link]; the wheels'
        motors are told the speeds that a rolling robot would need. A robot whose pose is not the
        one that it had after the last tick is put there first, at rest. `boxes` say where the boxes
        are and how they move.
        """
        moved = poses != self._told
        for b, i in np.argwhere(moved.any(-1)).tolist() if moved.any() else ():
            self._arenas[b].put(i, *poses[b, i].tolist())
        forward, turn = commands[..., 0], 0.5 * TRACK * commands[..., 1]
        speeds = np.stack([forward - turn, forward + turn], axis=-1) / WHEEL_RADIUS
        for b, arena in enumerate(self._arenas):
            if boxes is not None:
                box, motion = (part[b].tolist() for part in boxes)
                arena.put_box(box, motion)
            poses[b] = arena.tick(speeds[b].tolist())
        self._told[...] = poses

    def close(self) -> None:
        """Free the physics clients."""
        for arena in self._arenas:
            arena.close()


class _Arena:
    """One arena and its client."""

    def __init__(self, num_robots: int, half_side: float, tick_s: float, drive: WheelDrive) -> None:
        self._client = connect(
            tick_s, numSolverIterations=_SOLVER_ITERATIONS, minimumSolverIslandSize=1
        )
        pybullet.setGravity(0, 0, -9.81, physicsClientId=self._client)
        shape = pybullet.createCollisionShape(pybullet.GEOM_PLANE, physicsClientId=self._client)
        ground = pybullet.createMultiBody(0, shape, physicsClientId=self._client)
        # the engine multiplies the friction of the two surfaces
        pybullet.changeDynamics(ground, -1, lateralFriction=1.0, physicsClientId=self._client)
        add_walls(self._client, half_side)
        self._robots = [self._robot(drive) for _ in range(num_robots)]
        # the engine makes an impulse of the limit and the whole tick, and grants it at every step
        self._limits = [drive.torque / substeps(tick_s)] * 2

    def _robot(self, drive: WheelDrive) -> int:
        robot = pybullet.loadURDF(str(URDF), [0, 0, 5], physicsClientId=self._client)
        joints = range(pybullet.getNumJoints(robot, self._client))
        links = [pybullet.getJointInfo(robot, j, self._client)[12].decode() for j in joints]
        self._wheels = [links.index("left_wheel"), links.index("right_wheel")]
        friction = {"caster": drive.caster_friction, "base_link": 0.0}
        for link, name in enumerate(["base_link", *links], start=-1):
            pybullet.changeDynamics(
                robot, link, lateralFriction=friction.get(name, drive.friction), restitution=0,
                linearDamping=0, angularDamping=0, physicsClientId=self._client,
            )  # fmt: skip
        return int(robot)

    def add_box(self, half: float) -> None:
        """See `WheelBodies`."""
        self._box = add_box(self._client, half, flat=False)

    def put_box(self, pose: list[float], velocity: list[float]) -> None:
        """Where the box is and how it moves during the coming tick."""
        put_box(self._client, self._box, pose, velocity, flat=False)

    def put(self, index: int, x: float, y: float, yaw: float) -> None:
        """Let robot `index` stand there."""
        robot, client = self._robots[index], self._client
        turned = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
        pybullet.resetBasePositionAndOrientation(robot, (x, y, _COM_HEIGHT), turned, client)
        pybullet.resetBaseVelocity(robot, (0, 0, 0), (0, 0, 0), physicsClientId=client)
        for wheel in self._wheels:
            pybullet.resetJointState(robot, wheel, 0.0, 0.0, physicsClientId=client)

    def tick(self, speeds: list[list[float]]) -> list[tuple[float, float, float]]:
        """Poses after a tick with these speeds of left and right wheels [rad/s]."""
        client, wheels, limits = self._client, self._wheels, self._limits
        for robot, speed in zip(self._robots, speeds, strict=True):
            pybullet.setJointMotorControlArray(
                robot, wheels, pybullet.VELOCITY_CONTROL,
                targetVelocities=speed, forces=limits, physicsClientId=client,
            )  # fmt: skip
        pybullet.stepSimulation(client)
        return [_planar(*pybullet.getBasePositionAndOrientation(r, client)) for r in self._robots]

    def close(self) -> None:
        """Free the client."""
        if self._client >= 0:
            pybullet.disconnect(self._client)
            self._client = -1

    def __del__(self) -> None:
        self.close()


def _planar(
    position: tuple[float, ...], orientation: tuple[float, ...]
) -> tuple[float, float, float]:
    """x, y, yaw [m, m, rad] of a position and a quaternion."""
    x, y, z, w = orientation
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return position[0], position[1], yaw

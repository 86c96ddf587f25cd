"""Wheel-level bodies: differential-drive robots from a URDF, with motors, a caster and slip.

One physics client holds one arena, and a batch of arenas shares it in turns, like planar bodies:
side by side they would be no faster, and not independent. These bodies have a state that poses do
not show (wheels turn, contacts slide), so all of it is kept for each arena and set before its turn.
What the engine remembers of contacts is lost on the way, in every arena alike: the robots are taken
apart before.
"""

import itertools
import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.scratch import Scratch
from sim.swarm.bullet import Boxes, add_box, add_walls, connect, put_box, pybullet, substeps

#: The robot; the numbers below are its own.
URDF: Final = Path(__file__).parent / "assets" / "robot.urdf"
HULL_RADIUS: Final = 0.12
WHEEL_RADIUS: Final = 0.035
TRACK: Final = 0.2
_COM_HEIGHT: Final = 0.04
#: After a second of driving, positions are within 2 cm of what 400 iterations give.
_SOLVER_ITERATIONS: Final = 12
#: Numbers that say how a robot moves; see `WheelBodies._state_of`.
_STATE: Final = 17
#: Where robots wait for their turn [m].
_ALOFT: Final = 50.0
_UPRIGHT: Final = (0.0, 0.0, 0.0, 1.0)


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
        self._client = -1  # where connecting fails
        # all iterations for all: otherwise who touches nobody would need fewer when alone
        self._client = connect(
            tick_s, numSolverIterations=_SOLVER_ITERATIONS, solverResidualThreshold=0.0
        )
        pybullet.setGravity(0, 0, -9.81, physicsClientId=self._client)
        shape = pybullet.createCollisionShape(pybullet.GEOM_PLANE, physicsClientId=self._client)
        ground = pybullet.createMultiBody(0, shape, physicsClientId=self._client)
        # the engine multiplies the friction of the two surfaces
        pybullet.changeDynamics(ground, -1, lateralFriction=1.0, physicsClientId=self._client)
        add_walls(self._client, arena)
        self._robots = [self._robot(drive) for _ in range(num_robots)]
        for one, other in itertools.pairwise(self._robots):
            self._tie(one, other)
        self._box: int | None = None
        # the engine makes an impulse of the limit and the whole tick, and grants it at every step
        self._limits = [drive.torque / substeps(tick_s)] * 2
        #: Poses as they were given out, (B, N, 3): whoever stands elsewhere was put there.
        self._told = np.full((batch, num_robots, 3), np.nan)
        self._state = np.zeros((batch, num_robots, _STATE))
        self._scratch = Scratch()

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
        """Put a square box into every arena, whose motion `tick` is told; `half` its side [m]."""
        self._box = add_box(self._client, half, flat=False)
        self._tie(self._robots[-1], self._box)

    def _tie(self, one: int, other: int) -> None:
        """Let the engine solve two bodies together, whether they touch or not.

        It sorts what it solves by groups of bodies that are, or a while ago were, near each other:
        which would be those of another arena. A tie that bears no force makes one group of all.
        """
        tie = pybullet.createConstraint(
            one, -1, other, -1, pybullet.JOINT_POINT2POINT, [0, 0, 0], [0, 0, 0], [0, 0, 0],
            physicsClientId=self._client,
        )  # fmt: skip
        pybullet.changeConstraint(tie, maxForce=0, physicsClientId=self._client)

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
        lend = self._scratch
        self._put_where_told(poses)
        forward, turn = lend.copy("forward", commands[..., 0]), lend.copy("turn", commands[..., 1])
        turn *= 0.5 * TRACK
        speeds, speed = lend("speeds", commands.shape), lend("speed", turn.shape)
        speeds[..., 0] = np.subtract(forward, turn, out=speed)
        speeds[..., 1] = np.add(forward, turn, out=speed)
        speeds /= WHEEL_RADIUS
        for b in range(len(poses)):
            self._take_apart()
            if boxes is not None and self._box is not None:
                box, motion = (part[b].tolist() for part in boxes)
                put_box(self._client, self._box, box, motion, flat=False)
            for robot, state, speed in zip(
                self._robots, self._state[b].tolist(), speeds[b].tolist(), strict=True
            ):
                self._set(robot, state, speed)
            pybullet.stepSimulation(self._client)
            for i, robot in enumerate(self._robots):
                self._state[b, i] = state = self._state_of(robot)
                poses[b, i] = _planar(state)
        self._told[...] = poses

    def _put_where_told(self, poses: NDArray[np.float64]) -> None:
        """Let robots whose poses were changed from outside stand there."""
        moved = self._scratch("moved", poses.shape, np.bool_)
        if not np.not_equal(poses, self._told, out=moved).any():
            return
        for b, arena in enumerate(moved):
            for i, robot in enumerate(arena):
                if robot.any():
                    x, y, yaw = poses[b, i].tolist()
                    self._state[b, i] = 0.0
                    self._state[b, i, :7] = (
                        x,
                        y,
                        _COM_HEIGHT,
                        0,
                        0,
                        math.sin(yaw / 2),
                        math.cos(yaw / 2),
                    )

    def _take_apart(self) -> None:
        """Let nobody touch anything, so that the engine forgets all contacts."""
        client = self._client
        for i, robot in enumerate(self._robots):
            pybullet.resetBasePositionAndOrientation(robot, (i, 0, _ALOFT), _UPRIGHT, client)
        if self._box is not None:
            place = (0, 10.0, _ALOFT)
            pybullet.resetBasePositionAndOrientation(self._box, place, _UPRIGHT, client)
        pybullet.performCollisionDetection(client)

    def _set(self, robot: int, state: list[float], speeds: list[float]) -> None:
        """Give a robot the state that it has in this arena, and its motors their speeds [rad/s]."""
        client = self._client
        pybullet.resetBasePositionAndOrientation(robot, state[:3], state[3:7], client)
        for k, wheel in enumerate(self._wheels):
            angle, rate = state[13 + 2 * k : 15 + 2 * k]
            pybullet.resetJointState(robot, wheel, angle, rate, physicsClientId=client)
        pybullet.resetBaseVelocity(robot, state[7:10], state[10:13], physicsClientId=client)
        pybullet.setJointMotorControlArray(
            robot, self._wheels, pybullet.VELOCITY_CONTROL,
            targetVelocities=speeds, forces=self._limits, physicsClientId=client,
        )  # fmt: skip

    def _state_of(self, robot: int) -> tuple[float, ...]:
        """Position, quaternion, both velocities, and angle and speed of each wheel."""
        client = self._client
        place, turned = pybullet.getBasePositionAndOrientation(robot, client)
        velocity, spin = pybullet.getBaseVelocity(robot, client)
        left, right = pybullet.getJointStates(robot, self._wheels, client)
        return (*place, *turned, *velocity, *spin, *left[:2], *right[:2])

    def close(self) -> None:
        """Free the physics client."""
        if self._client >= 0:
            pybullet.disconnect(self._client)
            self._client = -1

    def __del__(self) -> None:
        self.close()


def _planar(state: tuple[float, ...]) -> tuple[float, float, float]:
    """x, y, yaw [m, m, rad] of a robot's state."""
    x, y, z, w = state[3:7]
    yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return state[0], state[1], yaw

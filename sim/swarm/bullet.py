"""A physics client for an arena, and PyBullet without its banner.

Importing pybullet writes its build time to standard error; import it from here instead.
"""

import math
import os
import sys
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Poses and velocities of a box in each arena, both (B, 3) [m, m, rad; m/s, m/s, rad/s; map].
Boxes: TypeAlias = tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]


def _import_quietly() -> None:
    """Import pybullet with file descriptor 2 pointed at nothing; exceptions still pass."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        import pybullet  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


_import_quietly()

import pybullet  # noqa: E402

__all__ = ["PHYSICS_HZ", "Boxes", "add_box", "add_walls", "connect", "put_box", "pybullet"]

#: Physics steps per second.
PHYSICS_HZ = 60


def connect(tick_s: float, **parameters: float) -> int:
    """A client whose `stepSimulation` advances by one tick, and which repeats itself exactly.

    Contacts start from nothing at every step: what was there before leaves no trace. `parameters`
    are further ones of `setPhysicsEngineParameter`.
    """
    client: int = pybullet.connect(pybullet.DIRECT)
    pybullet.setPhysicsEngineParameter(
        fixedTimeStep=tick_s,
        numSubSteps=substeps(tick_s),
        deterministicOverlappingPairs=1,
        warmStartingFactor=0.0,
        physicsClientId=client,
        **parameters,
    )
    return client


def substeps(tick_s: float) -> int:
    """Physics steps per tick."""
    return max(1, round(tick_s * PHYSICS_HZ))


def add_walls(client: int, half_side: float, centre: tuple[float, float] = (0.0, 0.0)) -> None:
    """Four walls without friction around a square arena [m]."""
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        thick = 0.5
        extent = [thick if x else half_side + 1, thick if y else half_side + 1, 1.0]
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=extent, physicsClientId=client
        )
        out = half_side + thick
        place = [centre[0] + x * out, centre[1] + y * out, 0]
        wall = pybullet.createMultiBody(0, shape, -1, place, physicsClientId=client)
        pybullet.changeDynamics(wall, -1, lateralFriction=0, physicsClientId=client)


#: Half the height of a box that stands on the ground [m].
_BOX_HALF_HEIGHT = 0.08


def add_box(client: int, half: float, flat: bool) -> int:
    """A square box, too heavy for anything to stop it, without friction.

    `flat` for bodies that move in one plane at height zero and do not turn.
    """
    height = 1.0 if flat else _BOX_HALF_HEIGHT
    shape = pybullet.createCollisionShape(
        pybullet.GEOM_BOX, halfExtents=[half, half, height], physicsClientId=client
    )
    place = [0, 0, 10.0]
    box = pybullet.createMultiBody(
        1e6, shape, -1, place, useMaximalCoordinates=int(flat), physicsClientId=client
    )
    pybullet.changeDynamics(
        box, -1, lateralFriction=0, linearDamping=0, angularDamping=0, restitution=0,
        physicsClientId=client,
    )  # fmt: skip
    return int(box)


def put_box(client: int, box: int, pose: list[float], velocity: list[float], flat: bool) -> None:
    """Set pose and velocity of a box for the coming tick."""
    x, y, yaw = pose
    vx, vy, turn = velocity
    turned = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    z = 0.0 if flat else _BOX_HALF_HEIGHT
    pybullet.resetBasePositionAndOrientation(box, (x, y, z), turned, client)
    pybullet.resetBaseVelocity(box, (vx, vy, 0.0), (0.0, 0.0, turn), physicsClientId=client)

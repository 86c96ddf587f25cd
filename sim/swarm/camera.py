"""The swarm as PyBullet's camera sees it, drawn by the CPU: no window, no graphics card.

The camera has a client of its own, a stage that is built anew for every picture: the physics
clients hold bare shapes, and no sites or goals. Robots stand on it as the physics says, in x, y
and yaw. What the camera cannot write is written over its picture: who is who.
"""

import itertools
import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sim.pen import FILL, FLOOR, INK, PAPER, Pen, channels
from sim.scene import Box, Disc, Line, Point, Scene
from sim.swarm.bullet import pybullet
from sim.swarm.wheels import TRACK, WHEEL_RADIUS

#: Where the camera is and what it looks at, in half sides of the arena; z is up.
_EYE: Final = (0.0, -2.2, 3.0)
_TARGET: Final = (0.0, -0.16, 0.0)
#: Its vertical angle [deg], and width over height of its pictures.
_ANGLE, _ASPECT = 30.0, 1.33
#: Pixels that are averaged to one, along each side.
_SMOOTHING = 2
_LIGHT: Final = {
    "lightDirection": (-2, -3, 7),
    "lightAmbientCoeff": 0.64,
    "lightDiffuseCoeff": 0.42,
    "lightSpecularCoeff": 0.0,
}
#: Heights above the ground [m]; flat things lie on each other in this order.
_FAINT, _PAD, _MARK, _WALL, _BOX = 0.004, 0.010, 0.016, 0.10, 0.16
#: Half the width of a line on the ground [m].
_STROKE = 0.015
#: Hull of a robot on the ground, and on wheels [m, bottom and top].
_DISC_HULL, _WHEEL_HULL = (0.0, 0.10), (0.035, 0.095)
_CORNERS = 40
#: x, y, z
Place = tuple[float, float, float]


class Camera:
    """Looks at a scene of the swarm at an angle; a `sim.drawing.Look`.

    Parameters
    ----------
    half_side
        Half the side of the arena [m].
    wheels
        Whether robots stand on wheels.
    """

    def __init__(self, half_side: float, wheels: bool = False) -> None:
        self._half_side, self._wheels = half_side, wheels
        eye, target = ([half_side * v for v in place] for place in (_EYE, _TARGET))
        self._view = pybullet.computeViewMatrix(eye, target, (0, 0, 1))
        self._lens = pybullet.computeProjectionMatrixFOV(_ANGLE, _ASPECT, 0.1, 10 * half_side)
        self._client = pybullet.connect(pybullet.DIRECT)

    def aspect(self, scene: Scene) -> float:
        """Width over height of its picture."""
        return _ASPECT

    def paint(self, scene: Scene, pen: Pen) -> None:
        """Photograph the scene, and write the robots' names over it."""
        stage = _Stage(self._client, self._wheels)
        stage.ground(self._half_side)
        for item in scene.items:
            if isinstance(item, Disc):
                stage.disc(item)
            elif isinstance(item, Box):
                stage.box(item)
            else:
                stage.line(item)
        pen.lay(self._photograph(round(_SMOOTHING * pen.width), round(_SMOOTHING * pen.height)))
        for place, words, ink in stage.names:
            halo = FLOOR if ink == INK else ""
            pen.text(self._pixel(place, pen), words, 12, ink, "mb", halo)

    def close(self) -> None:
        """Free the client."""
        if self._client >= 0:
            pybullet.disconnect(self._client)
            self._client = -1

    def __del__(self) -> None:
        self.close()

    def _photograph(self, width: int, height: int) -> Image.Image:
        _, _, pixels, _, _ = pybullet.getCameraImage(
            width, height, self._view, self._lens, shadow=0,
            renderer=pybullet.ER_TINY_RENDERER, physicsClientId=self._client, **_LIGHT,
        )  # fmt: skip
        rgba = np.asarray(pixels, np.uint8).reshape(height, width, 4)
        return Image.fromarray(rgba[..., :3])

    def _pixel(self, place: Place, pen: Pen) -> Point:
        """Where a place [m; map] is in the picture."""
        # PyBullet gives matrices column by column
        view, lens = (np.reshape(m, (4, 4)).T for m in (self._view, self._lens))
        x, y, _, depth = lens @ view @ (*place, 1.0)
        return 0.5 * pen.width * (1 + x / depth), 0.5 * pen.height * (1 - y / depth)


@dataclass
class _Stage:
    """What stands in front of the camera; an empty one at first."""

    client: int
    wheels: bool
    #: Where names belong [m; map], the names, and their colours
    names: list[tuple[Place, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        pybullet.resetSimulation(physicsClientId=self.client)

    def ground(self, half_side: float) -> None:
        """The floor, with walls around it, and what is outside, which nothing sticks out of."""
        self._block((0, 0), (2 * half_side, 2 * half_side), (-0.1, 0.0), FLOOR)
        thick, middle, length = 0.06, half_side + 0.03, 2 * half_side + 0.12
        for side in (-middle, middle):
            self._block((side, 0), (thick, length), (-0.1, _WALL), FILL["wall"])
            self._block((0, side), (length, thick), (-0.1, _WALL), FILL["wall"])
            self._block((2 * side, 0), (2 * middle - thick, 4 * length), (-0.1, _MARK), PAPER)
            self._block((0, 2 * side), (length, 2 * middle - thick), (-0.1, _MARK), PAPER)

    def disc(self, disc: Disc) -> None:
        """A robot where it has a heading; otherwise an evader, or a place on the ground."""
        colour = FILL[disc.role]
        if disc.heading is not None:
            self._robot(disc, disc.heading)
        elif disc.role == "opponent":
            self._round(disc.centre, (disc.radius, 0.0), (0.0, 3.2 * disc.radius), colour)
        else:
            top = _FAINT if disc.role == "faint" else _PAD
            self._round(disc.centre, (disc.radius, disc.radius), (0.0, top), colour)
            if disc.role == "done":
                (x, y), r = disc.centre, disc.radius
                tick = [(-0.45, -0.02), (-0.12, -0.36), (0.48, 0.34)]
                self._strokes([(x + a * r, y + b * r) for a, b in tick], 0.07 * r, _MARK, PAPER)

    def box(self, box: Box) -> None:
        """A box on the ground."""
        self._block(box.centre, box.size, (0.0, _BOX), FILL[box.role], box.angle)
        if box.label:
            self.names.append(((*box.centre, _BOX), box.label, PAPER))

    def line(self, line: Line) -> None:
        """A line on the ground; walls stand already."""
        if line.role != "wall":
            self._strokes(list(line.points), _STROKE, _MARK, FILL[line.role])

    def _robot(self, disc: Disc, yaw: float) -> None:
        """A hull with a bar towards the front; one with a fault is crossed out."""
        (x, y), r = disc.centre, disc.radius
        bottom, top = hull = _WHEEL_HULL if self.wheels else _DISC_HULL

        def ahead(distance: float, angle: float = 0.0) -> Point:
            return x + distance * math.cos(yaw + angle), y + distance * math.sin(yaw + angle)

        self._round(disc.centre, (r, r), hull, FILL[disc.role])
        self._block(ahead(0.95 * r), (0.8 * r, 0.3 * r), (bottom, top + 0.012), INK, yaw)
        if self.wheels:
            for side in (-math.pi / 2, math.pi / 2):
                wheel = ahead(TRACK / 2, side)
                self._block(wheel, (2 * WHEEL_RADIUS, 0.025), (0.0, bottom + 0.005), INK, yaw)
        if disc.role == "faulty":
            for turn in (math.pi / 4, -math.pi / 4):
                self._block((x, y), (2.7 * r, 0.22 * r), (top, top + 0.01), INK, yaw + turn)
        self.names.append(((x, y + 1.2 * r, top), disc.label, INK))

    def _strokes(self, points: list[Point], half: float, height: float, colour: str) -> None:
        """Bars from each point to the next."""
        for (ax, ay), (bx, by) in itertools.pairwise(points):
            long = math.hypot(bx - ax, by - ay) + 2 * half
            middle = ((ax + bx) / 2, (ay + by) / 2)
            angle = math.atan2(by - ay, bx - ax)
            self._block(middle, (long, 2 * half), (0.0, height), colour, angle)

    def _block(
        self, centre: Point, size: Point, span: Point, colour: str, yaw: float = 0.0
    ) -> None:
        """A box of that size [m] from a height to another."""
        low, high = span
        shape = pybullet.createVisualShape(
            pybullet.GEOM_BOX,
            halfExtents=[size[0] / 2, size[1] / 2, (high - low) / 2],
            rgbaColor=_rgba(colour),
            physicsClientId=self.client,
        )
        self._put(shape, (*centre, (low + high) / 2), yaw)

    def _round(self, centre: Point, radii: Point, span: Point, colour: str) -> None:
        """A cylinder or cone, with radii of bottom and top [m], from a height to another."""
        vertices, normals, indices = _frustum(*radii, *span)
        shape = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=vertices.tolist(),
            normals=normals.tolist(),
            indices=indices.tolist(),
            rgbaColor=_rgba(colour),
            physicsClientId=self.client,
        )
        self._put(shape, (*centre, 0.0), 0.0)

    def _put(self, shape: int, place: Place, yaw: float) -> None:
        turned = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
        pybullet.createMultiBody(0, -1, shape, place, turned, physicsClientId=self.client)


def _frustum(
    bottom: float, top: float, low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Vertices and normals (V, 3) and triangles (3T,): PyBullet's own cylinder has no sharp rim."""
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    rim = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    up = np.array([0.0, 0.0, 1.0])
    outward = (high - low) * rim + (bottom - top) * up
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
    ring = bottom * rim + low * up, top * rim + high * up
    vertices = np.concatenate([*ring, ring[1], [high * up]])
    normals = np.concatenate([outward, outward, np.broadcast_to(up, (_CORNERS + 1, 3))])
    a = np.arange(_CORNERS)
    b = np.roll(a, -1)
    n = _CORNERS
    side = np.stack([a, b, b + n, a, b + n, a + n], axis=-1)
    lid = np.stack([a + 2 * n, b + 2 * n, np.full(n, 3 * n)], axis=-1)
    return vertices, normals, np.concatenate([side.ravel(), lid.ravel()])


def _rgba(colour: str) -> list[float]:
    return [*(value / 255 for value in channels(colour)), 1.0]

"""From scenes to pictures: seen from above, with captions, a legend and beliefs.

No meaning hangs on colour alone: a faulty agent is crossed out, an opponent has a second rim, a
goal that is done a tick.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sim.pen import FILL, FLOOR, INK, PAPER, RULE, SOFT, Pen, channels, ink_on, length
from sim.scene import Box, Disc, Line, Point, Scene

#: A line needs more ink than an area to be seen as faintly.
_FAINT_LINE = "#a0a0a0"
#: Less than that is not worth a tag, which would hide others.
_LEAST_DOUBT = 0.1
#: What the legend calls a role; `faint` needs no explanation.
WORDS = {
    "agent": "agent",
    "faulty": "faulty agent",
    "opponent": "opponent",
    "goal": "goal",
    "done": "goal, done",
    "wall": "wall, obstacle",
}
#: Sizes of the finished picture [pixels].
_MARGIN, _COLUMN, _TEXT, _LEAST_TEXT = 14, 220, 14, 10
_LINE, _LEGEND_LINE = 20, 22


@dataclass(frozen=True)
class Beliefs:
    """What every agent believes of every other at one moment."""

    #: p(adversary), row: who believes, column: about whom, (N, N); NaN on the diagonal. None: the
    #: team keeps no beliefs
    p_adversary: NDArray[np.floating[Any]] | None
    #: Which agents really are of another type than cooperative, (N,) bool
    faulty: NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """One moment of an episode."""

    scene: Scene
    beliefs: Beliefs | None = None


class Look(Protocol):
    """A way to look at scenes."""

    def aspect(self, scene: Scene) -> float:
        """Width over height of its picture."""

    def paint(self, scene: Scene, pen: Pen) -> None:
        """Fill `pen` with the scene."""


class FromAbove:
    """Looks straight down."""

    def aspect(self, scene: Scene) -> float:
        """That of the scene's bounds."""
        x0, y0, x1, y1 = scene.bounds
        return (x1 - x0) / (y1 - y0)

    def paint(self, scene: Scene, pen: Pen) -> None:
        """Draw every item, back to front."""
        width, height, view = pen.width, pen.height, _View(scene, pen.width)
        pen.polygon([(0, 0), (width, 0), (width, height), (0, height)], FLOOR, FLOOR)
        for item in scene.items:
            if isinstance(item, Disc):
                _draw_disc(pen, item, view)
            elif isinstance(item, Box):
                _draw_box(pen, item, view)
            else:
                _draw_line(pen, item, view)
        for item in scene.items:
            if isinstance(item, Disc) and item.doubt is not None and item.doubt >= _LEAST_DOUBT:
                _draw_doubt(pen, view(item.centre), item.radius * view.scale, item.doubt)
        edge = [(0.5, 0.5), (width - 0.5, 0.5), (width - 0.5, height - 0.5), (0.5, height - 0.5)]
        pen.line([*edge, edge[0]], SOFT, 1)


FROM_ABOVE = FromAbove()


def draw(
    scene: Scene,
    beliefs: Beliefs | None = None,
    side: int = 420,
    roles: Iterable[str] | None = None,
    look: Look = FROM_ABOVE,
    least: float = 300,
) -> Image.Image:
    """Draw one scene with its captions, a legend and, where there are any, the beliefs beside it.

    Parameters
    ----------
    side
        Of the scene [pixels] if it is a square; others get as much area.
    roles
        What the legend explains; None: the roles that are in this scene.
    look
        From where.
    least
        Height that the picture has room for [pixels], as `beside_height` says of other moments.
    """
    width, height = _size(look.aspect(scene), side)
    shown = sorted_roles(scene.items if roles is None else roles)
    room = math.ceil(max(height, least, beside_height(scene, beliefs, shown)))
    pen = Pen(width + _COLUMN + 3 * _MARGIN, room + 2 * _MARGIN)
    _draw_scene(pen, look, scene, (_MARGIN, _MARGIN), (width, height))
    x, y = 2.0 * _MARGIN + width, float(_MARGIN)
    for line in _wrapped(scene.captions, _COLUMN):
        pen.text((x, y), line, _TEXT)
        y += _LINE
    y = _draw_legend(pen, shown, x, y + 10)
    if beliefs is not None:
        _draw_beliefs(pen, beliefs, x, y + 12)
    return pen.finished()


def beside_height(scene: Scene, beliefs: Beliefs | None, roles: Collection[str]) -> float:
    """Height of what `draw` writes beside a scene [pixels]."""
    words = len(_wrapped(scene.captions, _COLUMN)) * _LINE
    return words + 10 + len(roles) * _LEGEND_LINE + 12 + _beliefs_height(beliefs)


def draw_sheet(frames: list[Frame], side: int = 280, look: Look = FROM_ABOVE) -> Image.Image:
    """Draw moments of one episode side by side, with one legend below all of them."""
    scenes = [frame.scene for frame in frames]
    width, height = _size(look.aspect(scenes[0]), side)
    columns = min(3 if width < 1.2 * side else 2, len(frames))
    lines = [_wrapped(scene.captions, width) for scene in scenes]
    squares = max((_beliefs_height(frame.beliefs) for frame in frames), default=0)
    cell = height + max(map(len, lines)) * _LINE + squares + 2 * _MARGIN
    rows = -(-len(frames) // columns)
    roles = sorted_roles(item for scene in scenes for item in scene.items)
    pen = Pen(columns * (width + _MARGIN) + _MARGIN, rows * cell + 2 * _MARGIN + _LINE)
    for k, frame in enumerate(frames):
        x = _MARGIN + (k % columns) * (width + _MARGIN)
        y = _MARGIN + (k // columns) * cell
        _draw_scene(pen, look, frame.scene, (x, y), (width, height))
        y += height + 6
        for line in lines[k]:
            pen.text((x, y), line, _TEXT)
            y += _LINE
        if frame.beliefs is not None:
            _draw_beliefs(pen, frame.beliefs, x, y + 4)
    _draw_legend(pen, roles, _MARGIN, rows * cell + _MARGIN, across=True)
    return pen.finished()


def sorted_roles(things: Iterable[Any]) -> list[str]:
    """The roles of items (or roles), once each, in the order of the legend."""
    found = {thing if isinstance(thing, str) else thing.role for thing in things}
    return [role for role in WORDS if role in found]


class _View:
    """Where a scene's own coordinates are in the picture."""

    def __init__(self, scene: Scene, width: float) -> None:
        self._x0, _, x1, self._y1 = scene.bounds
        self.scale = width / (x1 - self._x0)

    def __call__(self, point: Point) -> Point:
        return (point[0] - self._x0) * self.scale, (self._y1 - point[1]) * self.scale


def _size(aspect: float, side: int) -> tuple[int, int]:
    """Width and height [pixels] of as much area as a square of that side has, or a little less."""
    width = round(side * min(math.sqrt(aspect), 1.5))
    return width, round(width / aspect)


def _draw_scene(pen: Pen, look: Look, scene: Scene, at: Point, size: tuple[int, int]) -> None:
    """The scene on a pen of its own, so that nothing sticks out of its frame."""
    inner = Pen(*size)
    look.paint(scene, inner)
    pen.paste(inner, *at)


def _draw_line(pen: Pen, line: Line, view: _View) -> None:
    ink = _FAINT_LINE if line.role == "faint" else FILL[line.role]
    pen.line([view(point) for point in line.points], ink, 1.2)


def _draw_box(pen: Pen, box: Box, view: _View) -> None:
    (x, y), (w, h) = box.centre, box.size
    cos, sin = math.cos(box.angle), math.sin(box.angle)
    corners = [(-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)]
    turned = [view((x + cos * a - sin * b, y + sin * a + cos * b)) for a, b in corners]
    pen.polygon(turned, FILL[box.role], INK if box.role != "faint" else RULE)
    if box.label:
        _label(pen, view(box.centre), box.label, w * view.scale, h * view.scale, FILL[box.role])


def _draw_disc(pen: Pen, disc: Disc, view: _View) -> None:
    centre, radius = view(disc.centre), disc.radius * view.scale
    rim = RULE if disc.role == "faint" else INK
    pen.circle(centre, radius, FILL[disc.role], rim, 1.2)
    _mark(pen, disc.role, centre, radius, labelled=bool(disc.label))
    if disc.heading is not None:
        dx, dy = math.cos(disc.heading), -math.sin(disc.heading)
        inner, outer = 0.55 * radius, 1.35 * radius
        points = [(centre[0] + r * dx, centre[1] + r * dy) for r in (inner, outer)]
        pen.line(points, INK, max(2.0, 0.16 * radius))
    if disc.ring is not None:
        share, width = min(max(disc.ring, 0.0), 1.0), max(2.0, 0.18 * radius)
        pen.circle(centre, radius + 1.0 + width, None, RULE, width)
        pen.arc(centre, radius + 1.0 + width, share, INK, width)
    if disc.label:
        _label(pen, centre, disc.label, 1.8 * radius, 1.6 * radius, FILL[disc.role])


def _draw_doubt(pen: Pen, centre: Point, radius: float, doubt: float) -> None:
    """A tag above a disc, or below where there is no room: how sure the others are of it."""
    words, colour = f"{100 * doubt:.0f}%", belief_colour(doubt)
    half, high = length(words, _LEAST_TEXT) / 2 + 3, _LEAST_TEXT + 4
    x = min(max(centre[0], half + 1), pen.width - half - 1)
    away = 1.5 * radius + high / 2 + 1
    y = centre[1] - away if centre[1] - away > high / 2 else centre[1] + away
    top, bottom = y - high / 2, y + high / 2
    tag = [(x - half, top), (x + half, top), (x + half, bottom), (x - half, bottom)]
    pen.polygon(tag, colour, PAPER)
    pen.text((x, y), words, _LEAST_TEXT, ink_on(colour), "mm")


def _mark(pen: Pen, role: str, centre: Point, radius: float, labelled: bool) -> None:
    """What tells a role apart without its colour."""
    x, y = centre
    if role == "faulty":
        # short strokes at the corners where a label needs the middle
        for angle in (45, 135, 225, 315):
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            start = 0.62 if labelled else 0.0
            ends = [(x + s * radius * dx, y + s * radius * dy) for s in (start, 1.3)]
            pen.line(ends, INK, max(1.8, 0.14 * radius))
    elif role == "opponent":
        pen.circle(centre, 0.78 * radius, None, INK, max(1.0, 0.07 * radius))
    elif role == "done" and not labelled:
        tick = [(-0.45, 0.02), (-0.12, 0.36), (0.48, -0.34)]
        points = [(x + a * radius, y + b * radius) for a, b in tick]
        pen.line(points, PAPER, max(1.5, 0.16 * radius))


def _label(pen: Pen, at: Point, words: str, width: float, height: float, fill: str) -> None:
    """Words as large as fit; beside the thing where they would be too small to read on it."""
    size = min(height * 0.9, 22.0)
    size = min(size, size * width / max(length(words, size), 1e-9))
    if size >= _LEAST_TEXT:
        pen.text(at, words, size, ink_on(fill), "mm")
        return
    x, y = at[0] + 0.42 * width + 3, at[1] - 0.42 * height - 2
    anchor = "lm"
    if x + length(words, _LEAST_TEXT) > pen.width:
        x, anchor = at[0] - 0.42 * width - 3, "rm"
    pen.text((x, y), words, _LEAST_TEXT, INK, anchor, halo=FLOOR)


def _draw_legend(pen: Pen, roles: list[str], x: float, y: float, across: bool = False) -> float:
    """One swatch and word per role; returns where it ends, downwards."""
    for role in roles:
        centre = (x + 8, y + 9)
        if role == "wall":
            box = [(x + 1, y + 2), (x + 15, y + 2), (x + 15, y + 16), (x + 1, y + 16)]
            pen.polygon(box, FILL[role], INK)
        else:
            pen.circle(centre, 7, FILL[role], INK, 1)
            _mark(pen, role, centre, 7, labelled=False)
        pen.text((x + 24, y + 9), WORDS[role], _TEXT, SOFT, "lm")
        if across:
            x += 44 + length(WORDS[role], _TEXT)
        else:
            y += _LEGEND_LINE
    return y


def _belief_cell(count: int) -> float:
    return min(30.0, (_COLUMN - 34) / count)


def _beliefs_height(beliefs: Beliefs | None) -> float:
    if beliefs is None or beliefs.p_adversary is None:
        return 0.0
    count = len(beliefs.faulty)
    return 66 + count * _belief_cell(count)


def _draw_beliefs(pen: Pen, beliefs: Beliefs, x: float, y: float) -> None:
    """Who holds whom for an adversary, in per cent; a marked column is one."""
    p, count = beliefs.p_adversary, len(beliefs.faulty)
    if p is None:
        return
    cell = _belief_cell(count)
    pen.text((x, y), "how sure each row is that", _TEXT)
    pen.text((x, y + 17), "a column is an adversary [%]", _TEXT)
    left, top = x + 22, y + 62
    for i in range(count):
        middle = (left + (i + 0.5) * cell, top - 12)
        if beliefs.faulty[i]:
            pen.circle(middle, 9, FILL["faulty"], INK, 1)
        pen.text(middle, str(i), 12, PAPER if beliefs.faulty[i] else INK, "mm")
        pen.text((x + 8, top + (i + 0.5) * cell), str(i), 12, INK, "mm")
    for i in range(count):
        for j in range(count):
            a, b = left + j * cell, top + i * cell
            corners = [(a, b), (a + cell, b), (a + cell, b + cell), (a, b + cell)]
            known = not math.isnan(p[i, j])
            colour = belief_colour(float(p[i, j])) if known else PAPER
            pen.polygon(corners, colour, PAPER)
            if known and cell >= 20:
                words = str(round(100 * float(p[i, j])))
                pen.text((a + cell / 2, b + cell / 2), words, 12, ink_on(colour), "mm")


def belief_colour(p: float) -> str:
    """Blue for trust, grey for doubt, vermilion for distrust, as `#rrggbb`."""
    low, middle, high = FILL["agent"], "#bbbbbb", FILL["faulty"]
    start, end, share = (low, middle, 2 * p) if p < 0.5 else (middle, high, 2 * p - 1)
    mixed = (
        round(a + share * (b - a)) for a, b in zip(channels(start), channels(end), strict=True)
    )
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _wrapped(lines: Iterable[str], width: float) -> list[str]:
    """Lines no longer than `width`, broken between words."""
    found: list[str] = []
    for line in lines:
        found.append("")
        for word in line.split():
            longer = f"{found[-1]} {word}".strip()
            if found[-1] and length(longer, _TEXT) > width:
                found.append(word)
            else:
                found[-1] = longer
    return found

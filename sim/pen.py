"""A pen that smooths what it draws, and the colours of all pictures.

Colours are those of Okabe & Ito, *Color Universal Design* (2008).
"""

from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from sim.scene import Point

INK, SOFT, RULE, PAPER, FLOOR = "#222222", "#666666", "#c8c8c8", "#ffffff", "#f6f6f3"
FILL = {
    "agent": "#0072b2",
    "faulty": "#d55e00",
    "opponent": "#cc79a7",
    "goal": "#f0e442",
    "done": "#009e73",
    "wall": "#5b5b5b",
    "faint": "#dcdcd8",
}
#: Drawn larger by this factor and then averaged down, which smooths every edge.
_OVERSAMPLING = 3


class Pen:
    """An oversampled picture; positions and sizes are those of the finished one [pixels]."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        size = (round(width) * _OVERSAMPLING, round(height) * _OVERSAMPLING)
        self._image = Image.new("RGB", size, PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def finished(self) -> Image.Image:
        """The picture in its own size."""
        return self._image.reduce(_OVERSAMPLING)

    def lay(self, image: Image.Image) -> None:
        """Cover everything with a picture, scaled to fit."""
        self._image.paste(image.resize(self._image.size, Image.Resampling.LANCZOS))

    def paste(self, other: "Pen", x: float, y: float) -> None:
        """Put another picture there, in its own size."""
        self._image.paste(other._image, (round(x * _OVERSAMPLING), round(y * _OVERSAMPLING)))

    def circle(
        self, centre: Point, radius: float, fill: str | None, rim: str, width: float
    ) -> None:
        """A disc with a rim of that width inside."""
        x, y, r = *centre, radius
        box = [v * _OVERSAMPLING for v in (x - r, y - r, x + r, y + r)]
        self._draw.ellipse(box, fill, rim, round(width * _OVERSAMPLING))

    def arc(self, centre: Point, radius: float, share: float, ink: str, width: float) -> None:
        """A part of a circle, clockwise from the top."""
        x, y, r = *centre, radius
        box = [v * _OVERSAMPLING for v in (x - r, y - r, x + r, y + r)]
        if share > 0:
            self._draw.arc(box, -90, -90 + 360 * share, ink, round(width * _OVERSAMPLING))

    def polygon(self, points: list[Point], fill: str, rim: str) -> None:
        """A filled polygon with a thin rim."""
        scaled = [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points]
        self._draw.polygon(scaled, fill, rim, _OVERSAMPLING)

    def line(self, points: list[Point], ink: str, width: float) -> None:
        """An open polyline."""
        scaled = [(x * _OVERSAMPLING, y * _OVERSAMPLING) for x, y in points]
        self._draw.line(scaled, ink, round(width * _OVERSAMPLING), joint="curve")

    def text(
        self, at: Point, words: str, size: float, ink: str = INK, anchor: str = "la", halo: str = ""
    ) -> None:
        """A line of text, anchored as in Pillow; a halo sets it off from what lies behind."""
        self._draw.text(
            (at[0] * _OVERSAMPLING, at[1] * _OVERSAMPLING),
            words,
            ink,
            _font(round(size * _OVERSAMPLING)),
            anchor,
            stroke_width=_OVERSAMPLING if halo else 0,
            stroke_fill=halo or None,
        )


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of `#rrggbb`, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def ink_on(fill: str) -> str:
    """Black or white, whichever reads better (relative luminance, ITU-R BT.709)."""
    red, green, blue = channels(fill)
    return INK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 140 else PAPER


def length(words: str, size: float) -> float:
    """Width of words [pixels]."""
    return _font(64).getlength(words) * size / 64


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)

"""A world as simple shapes: what a picture of it is drawn from, in its own units of length."""

from dataclasses import dataclass, field

Point = tuple[float, float]
#: Colours by meaning; the one who draws chooses them, so that all worlds look alike.
ROLES = ("agent", "faulty", "opponent", "goal", "done", "wall", "faint")


@dataclass(frozen=True)
class Disc:
    """A filled circle."""

    centre: Point
    radius: float
    role: str = "agent"
    #: Written on it
    label: str = ""
    #: Direction of a tick from the centre to the rim [rad, counter-clockwise from x]
    heading: float | None = None
    #: Share of a ring around it that is filled, 0 to 1: health, progress, or p(adversary)
    ring: float | None = None
    #: Index of the agent that it is; then what is believed of it is drawn with it
    agent: int | None = None
    #: How sure the others are, on average, that it is an adversary, 0 to 1
    doubt: float | None = None


@dataclass(frozen=True)
class Box:
    """A filled rectangle, turned by `angle` [rad] about its centre."""

    centre: Point
    size: Point
    role: str = "wall"
    angle: float = 0.0
    label: str = ""


@dataclass(frozen=True)
class Line:
    """An open polyline."""

    points: tuple[Point, ...]
    role: str = "faint"


@dataclass(frozen=True)
class Scene:
    """Everything to be drawn, back to front."""

    #: x0, y0, x1, y1 of what is shown; y points up
    bounds: tuple[float, float, float, float]
    items: list[Disc | Box | Line] = field(default_factory=list)
    #: Lines of text beside the picture: time, score
    captions: tuple[str, ...] = ()

"""Which teammates a robot tracks: range, line of sight and drop-outs, all worked out analytically.

What is not tracked is not visible in `contract.coverage.Sensed`, and reaches neither a policy nor
the wire. With the default settings everybody sees everybody.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.types import teammates

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


class Sensing(Schema):
    """What limits the tracks of teammates. SI units."""

    #: Teammates further away than this are not seen [m, centre to centre]; None: no limit.
    range_m: float | None = Setting(None, gt=0)
    #: Whether bodies hide what is behind them.
    occlusion: bool = False
    #: Share of the time at which a track is lost, for each (observer, teammate) on its own.
    dropout: float = Setting(0.0, ge=0, lt=1)
    #: Mean duration of such a gap [s].
    dropout_s: float = Setting(0.5, gt=0)

    @model_validator(mode="after")
    def _possible(self) -> "Sensing":
        if self.dropout and self.dropout_s < 0.1:
            raise ValueError(
                f"gaps of {self.dropout_s:g} s are shorter than a tick; expected at least 0.1 s"
            )
        return self

    @property
    def limited(self) -> bool:
        """Whether a teammate can ever be out of sight."""
        return self.range_m is not None or self.occlusion or self.dropout > 0


class Sight:
    """Who tracks whom in B arenas of N robots.

    Drop-outs are a two-state Markov chain for each ordered pair, started in its stationary
    distribution: a gap lasts `dropout_s` on average and gaps fill the share `dropout` of the time.

    Parameters
    ----------
    settings
        What limits sight.
    batch, num_robots
        B and N.
    radius
        Of a robot's body [m].
    tick_s
        Time between two calls of `look` [s].
    """

    def __init__(
        self, settings: Sensing, batch: int, num_robots: int, radius: float, tick_s: float
    ) -> None:
        self.settings = settings
        #: (B, N, N-1): teammates in the order of `contract.types.teammates`
        self.visible = np.ones((batch, num_robots, num_robots - 1), bool)
        self._radius = radius
        self._mates = teammates(num_robots)
        self._lost: Bools | None = None
        self._back = min(1.0, tick_s / settings.dropout_s)
        self._away = min(1.0, settings.dropout / (1.0 - settings.dropout) * self._back)

    def reset(self) -> None:
        """Forget which tracks were lost."""
        self._lost = None

    def look(
        self, places: Floats, rng: np.random.Generator, box: tuple[Floats, Floats] | None = None
    ) -> None:
        """Bring `visible` up to date.

        Parameters
        ----------
        places : (B, N, 2)
            Of the robots [m; map].
        rng
            Decides on drop-outs; no number is drawn while there are none.
        box
            Pose (B, 3) [m, m, rad; map] and half sides (2,) [m] of a box that hides robots, too.
        """
        limits = self.settings
        if not limits.limited:
            return
        seen = places[:, self._mates]
        offset = seen - places[:, :, None]
        self.visible[...] = True
        if limits.range_m is not None:
            self.visible &= np.square(offset).sum(-1) <= limits.range_m**2
        if limits.occlusion:
            self.visible &= ~self._behind_robots(places, offset)
            if box is not None:
                self.visible &= ~behind_box(places[:, :, None], seen, *box)
        if limits.dropout:
            self.visible &= ~self._dropped(rng)

    def sees(self, places: Floats, target: Floats) -> Bools:
        """Whether each robot sees something small at `target` (B, 2), but for drop-outs; (B, N)."""
        offset = target[:, None] - places
        seen = np.ones(places.shape[:2], bool)
        if self.settings.range_m is not None:
            seen &= np.square(offset).sum(-1) <= self.settings.range_m**2
        if self.settings.occlusion:
            to_third = places[:, None] - places[:, :, None]
            cuts = _disc_cuts(offset[:, :, None], to_third, self._radius)
            seen &= ~(cuts & ~np.eye(places.shape[1], dtype=bool)).any(-1)
        return seen

    def _behind_robots(self, places: Floats, offset: Floats) -> Bools:
        """Whether a third robot's disc cuts the line between two centres, (B, N, N-1)."""
        to_third = (places[:, None] - places[:, :, None])[:, :, None]
        cuts = _disc_cuts(offset[:, :, :, None], to_third, self._radius)
        everyone = np.arange(places.shape[1])
        ends = everyone == everyone[:, None, None]
        ends = ends | (everyone == self._mates[:, :, None])
        return (cuts & ~ends).any(-1)

    def _dropped(self, rng: np.random.Generator) -> Bools:
        luck = rng.random(self.visible.shape)
        if self._lost is None:
            self._lost = luck < self.settings.dropout
        else:
            self._lost = np.where(self._lost, luck >= self._back, luck < self._away)
        return self._lost


def _disc_cuts(line: Floats, centre: Floats, radius: float) -> Bools:
    """Whether discs around `centre` (..., 2) cut segments from the origin to `line` (..., 2)."""
    length = np.maximum(np.square(line).sum(-1), 1e-12)
    along = np.clip((centre * line).sum(-1) / length, 0.0, 1.0)
    cuts: Bools = np.square(centre - along[..., None] * line).sum(-1) < radius**2
    return cuts


def behind_box(start: Floats, end: Floats, pose: Floats, half: Floats) -> Bools:
    """Whether the segment from `start` to `end` crosses a box, by the slab method; (B, ...) bool.

    Parameters
    ----------
    start, end : (B, ..., 2)
        [m; map], broadcast against each other.
    pose : (B, 3)
        Centre and angle of the box [m, m, rad; map].
    half : (2,)
        Half sides [m].
    """
    lead = (len(pose),) + (1,) * (end.ndim - 2)
    cos, sin = (f(pose[:, 2]).reshape(lead) for f in (np.cos, np.sin))
    first, last = (_turned(p - pose[:, :2].reshape(*lead, 2), cos, sin) for p in (start, end))
    way = last - first
    way = np.where(np.abs(way) < 1e-12, 1e-12, way)
    enter = np.minimum((-half - first) / way, (half - first) / way).max(-1)
    leave = np.maximum((-half - first) / way, (half - first) / way).min(-1)
    crosses: Bools = np.maximum(enter, 0.0) <= np.minimum(leave, 1.0)
    return crosses


def _turned(vectors: Floats, cos: Floats, sin: Floats) -> Floats:
    """Vectors (..., 2) in axes turned by the angle of that cosine and sine."""
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=-1)

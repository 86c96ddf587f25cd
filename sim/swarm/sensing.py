"""Which teammates a robot tracks: range, line of sight and drop-outs, all worked out analytically.

What is not tracked is not visible in `contract.coverage.Sensed`, and reaches neither a policy nor
the wire. With the default settings everybody sees everybody.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.drive import directions_of
from eir_ros.contract.scratch import Scratch
from eir_ros.contract.types import teammates
from sim.swarm.geometry import lengths

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
        self._lost = np.zeros_like(self.visible)
        self._new = True
        self._scratch = Scratch()
        everyone = np.arange(num_robots)
        #: (N, N-1, N): who is observer or teammate, and so not in between
        self._ends = (everyone == everyone[:, None, None]) | (everyone == self._mates[:, :, None])
        self._back = min(1.0, tick_s / settings.dropout_s)
        self._away = min(1.0, settings.dropout / (1.0 - settings.dropout) * self._back)

    def reset(self) -> None:
        """Forget which tracks were lost."""
        self._new = True

    def look(
        self,
        places: Floats,
        rngs: Sequence[np.random.Generator],
        box: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Bring `visible` up to date.

        Parameters
        ----------
        places : (B, N, 2)
            Of the robots [m; map].
        rngs
            Decide on drop-outs, for each arena its own; no number is drawn while there are none.
        box
            Pose (B, 3) [m, m, rad; map] and half sides (2,) [m] of a box that hides robots, too.
        """
        limits = self.settings
        if not limits.limited:
            return
        lend, visible = self._scratch, self.visible
        seen = lend("look.seen", (*visible.shape, 2))
        np.take(lend.copy("look.places", places), self._mates, axis=1, out=seen, mode="clip")
        offset = lend.copy("look.offset", seen)
        offset -= lend.spread("look.own", places[:, :, None], seen.shape)
        visible[...] = True
        if limits.range_m is not None:
            visible &= self._within(offset, limits.range_m)
        if limits.occlusion:
            self._hide(self._behind_robots(places, offset), visible)
            if box is not None:
                start = lend.spread("look.own", places[:, :, None], seen.shape)
                self._hide(behind_box(start, seen, *box, lend), visible)
        if limits.dropout:
            self._drop(rngs)
            self._hide(self._lost, visible)

    def sees(self, places: Floats, target: Floats) -> Bools:
        """Whether each robot sees something small at `target` (B, 2), but for drop-outs; (B, N).

        The array belongs to this object.
        """
        lend, (batch, count, _) = self._scratch, places.shape
        seen: Bools = lend("sees", (batch, count), np.bool_)
        seen[...] = True
        offset = lend.spread("sees.offset", target[:, None], places.shape)
        offset -= lend.copy("sees.places", places)
        if self.settings.range_m is not None:
            seen &= self._within(offset, self.settings.range_m)
        if self.settings.occlusion:
            shape = (batch, count, count, 2)
            third = lend.spread("sees.third", places[:, None], shape)
            third -= lend.spread("sees.own", places[:, :, None], shape)
            line = lend.spread("sees.line", offset[:, :, None], shape)
            cuts = _disc_cuts(line, third, self._radius, lend)
            for i in range(count):
                cuts[:, i, i] = False
            self._hide(
                np.logical_or.reduce(cuts, axis=-1, out=lend("sees.cut", seen.shape, np.bool_)),
                seen,
            )
        return seen

    def _within(self, offset: Floats, range_m: float) -> Bools:
        """Which offsets (..., 2) are no longer than that, (...)."""
        square = lengths(offset, "within.square", self._scratch, squared=True)
        found = self._scratch("within", square.shape, np.bool_)
        return np.less_equal(square, range_m**2, out=found)

    def _hide(self, hidden: Bools, visible: Bools) -> None:
        """What is hidden is not visible."""
        np.copyto(visible, False, where=hidden)

    def _behind_robots(self, places: Floats, offset: Floats) -> Bools:
        """Whether a third robot's disc cuts the line between two centres, (B, N, N-1)."""
        lend, count = self._scratch, places.shape[1]
        shape = (*self.visible.shape, count, 2)
        third = lend.spread("behind.third", places[:, None, None], shape)
        third -= lend.spread("behind.own", places[:, :, None, None], shape)
        line = lend.spread("behind.line", offset[:, :, :, None], shape)
        cuts = _disc_cuts(line, third, self._radius, lend)
        np.copyto(cuts, False, where=self._ends)
        found = lend("behind", self.visible.shape, np.bool_)
        return np.logical_or.reduce(cuts, axis=-1, out=found)

    def _drop(self, rngs: Sequence[np.random.Generator]) -> None:
        """Lose tracks, and find lost ones again."""
        lend, lost = self._scratch, self._lost
        luck = lend("drop.luck", lost.shape)
        for rng, row in zip(rngs, luck, strict=True):
            rng.random(out=row)
        if self._new:
            np.less(luck, self.settings.dropout, out=lost)
            self._new = False
            return
        stays = lend("drop.stays", lost.shape, np.bool_)
        np.greater_equal(luck, self._back, out=stays)
        stays &= lost
        goes = lend("drop.goes", lost.shape, np.bool_)
        np.less(luck, self._away, out=goes)
        np.copyto(goes, False, where=lost)
        np.logical_or(stays, goes, out=lost)


def _disc_cuts(line: Floats, centre: Floats, radius: float, lend: Scratch) -> Bools:
    """Whether discs around `centre` (..., 2) cut segments from the origin to `line` (..., 2)."""
    length = lengths(line, "cuts.length", lend, squared=True)
    np.maximum(length, 1e-12, out=length)
    product = lend.copy("cuts.product", centre)
    product *= line
    along = lend("cuts.along", length.shape)
    np.add(product[..., 0], product[..., 1], out=along)
    along /= length
    np.clip(along, 0.0, 1.0, out=along)
    nearest = lend.spread("cuts.product", along[..., None], line.shape)
    nearest *= line
    nearest -= centre
    gap = lengths(nearest, "cuts.gap", lend, squared=True)
    cuts: Bools = lend("cuts", gap.shape, np.bool_)
    return np.less(gap, radius**2, out=cuts)


def behind_box(start: Floats, end: Floats, pose: Floats, half: Floats, lend: Scratch) -> Bools:
    """Whether the segment from `start` to `end` crosses a box, by the slab method; (B, ...) bool.

    Parameters
    ----------
    start, end : (B, ..., 2)
        [m; map].
    pose : (B, 3)
        Centre and angle of the box [m, m, rad; map].
    half : (2,)
        Half sides [m].
    lend
        Room to work in.
    """
    turn = lend("box.turn", (len(pose), 2))
    directions_of(pose[:, 2], turn, lend)
    enter, leave = lend("box.enter", end.shape[:-1]), lend("box.leave", end.shape[:-1])
    enter[...], leave[...] = 0.0, 1.0
    first, way = lend("box.first", enter.shape), lend("box.way", enter.shape)
    one, other = lend("box.one", enter.shape), lend("box.other", enter.shape)
    for axis in range(2):
        _along(start, pose, turn, axis, first, lend)
        _along(end, pose, turn, axis, way, lend)
        way -= first
        np.abs(way, out=one)
        parallel = lend("box.parallel", enter.shape, np.bool_)
        np.copyto(way, 1e-12, where=np.less(one, 1e-12, out=parallel))
        # where the line meets both sides, as shares of its length
        np.subtract(-half[axis], first, out=one)
        one /= way
        np.subtract(half[axis], first, out=other)
        other /= way
        np.minimum(one, other, out=first)
        np.maximum(enter, first, out=enter)
        np.maximum(one, other, out=first)
        np.minimum(leave, first, out=leave)
    crosses: Bools = lend("box.crosses", enter.shape, np.bool_)
    return np.less_equal(enter, leave, out=crosses)


def _along(
    points: Floats, pose: Floats, turn: Floats, axis: int, out: Floats, lend: Scratch
) -> None:
    """Coordinate `axis` of points (B, ..., 2) in the box's own axes, of cosine and sine `turn`."""
    lead = (len(pose),) + (1,) * (points.ndim - 2)
    out[...] = 0.0
    # x' = cos x + sin y, y' = -sin x + cos y
    for k, weight, sign in ((0, axis, 1 - 2 * axis), (1, 1 - axis, 1)):
        part = lend.copy("along.part", points[..., k])
        part -= lend.spread("along.box", pose[:, k].reshape(lead), part.shape)
        part *= lend.spread("along.turn", turn[:, weight].reshape(lead), part.shape)
        part *= sign
        out += part

"""The ladder of trust: from a belief about a teammate to what is done about it, by plain rules.

A teammate is cooperated with, discounted, or quarantined. It goes up one rung at a time, when the
belief has stayed high for a while, and comes down as slowly, when it has stayed low for longer.
Never is a majority quarantined: who mistrusts most of its team is more likely mistaken itself.
`hold`, where the robot stands, is the operator's to order; or the rule's, if it may, when more
are suspected than can be quarantined. Each step is an audit line.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from eir_ros.contract.trust import LadderSettings, Level

__all__ = ["Ladder", "LadderSettings", "Level", "Step"]

#: Times of decisions are sums of ticks [s].
_ROUNDING_S: Final = 1e-6


@dataclass(frozen=True)
class Step:
    """One step on the ladder: an audit line."""

    #: [s of mission time]
    time_s: float
    #: The teammate's column; -1: the robot itself holds.
    mate: int
    before: Level
    after: Level
    reason: str


class Ladder:
    """One robot's trust in its teammates.

    Parameters
    ----------
    mates
        Number of teammates, M.
    threshold
        Of the bundle: what counts as a detection.
    """

    def __init__(self, settings: LadderSettings, mates: int, threshold: float) -> None:
        self.settings = settings
        self._mates = mates
        self._quarantine_at = max(settings.quarantine_at or threshold, settings.discount_at)
        #: Teammates that may be in quarantine at the same time: with the robot itself, those that
        #: are trusted are always more.
        self.most = mates // 2
        self.reset()

    def reset(self) -> None:
        """Begin a mission: everybody is cooperated with, and no order of an operator holds."""
        self._levels = np.zeros(self._mates, np.int64)
        self._ordered: dict[int, tuple[Level, str]] = {}
        #: When the belief went above or below what the next step needs [s]; NaN: it has not.
        self._high_since = np.full((2, self._mates), np.nan)
        self._low_since = np.full(self._mates, np.nan)
        self._outnumbered = False

    @property
    def levels(self) -> NDArray[np.int64]:
        """The present level of each teammate, (M,) codes of `Level`."""
        return self._levels.copy()

    @property
    def quarantined(self) -> NDArray[np.bool_]:
        """Teammates that are quarantined, or before which the robot holds, (M,)."""
        return self._levels >= Level.QUARANTINE

    @property
    def holds(self) -> bool:
        """Whether the robot stands."""
        return self._outnumbered or bool((self._levels == Level.HOLD).any())

    def ordered(self, mate: int) -> str:
        """The reason of the operator's order about a teammate; empty: the rules decide."""
        return self._ordered[mate][1] if mate in self._ordered else ""

    def override(self, mate: int, level: Level | None, reason: str, time_s: float) -> list[Step]:
        """The operator's word about a teammate, until it is taken back by a level of None.

        Raises
        ------
        EirError
            No reason is given, or a majority would be quarantined.
        """
        if not reason.strip():
            raise EirError("an operator's order about trust needs a reason; it goes on record.")
        if level is not None and level >= Level.QUARANTINE:
            others = int(np.delete(self.quarantined, mate).sum())
            if others >= self.most:
                raise EirError(
                    f"{others + 1} of {self._mates} teammates would be in quarantine, and at most "
                    f"{self.most} may be: never a majority; release another one first."
                )
        if level is None:
            self._ordered.pop(mate, None)
            level = min(Level(int(self._levels[mate])), Level.QUARANTINE)
        else:
            self._ordered[mate] = level, reason.strip()
        return self._move(mate, level, f"operator: {reason.strip()}", time_s)

    def update(self, time_s: float, belief: NDArray[np.floating[Any]]) -> list[Step]:
        """Take the beliefs of one decision, (M,); returns the steps that follow.

        A belief that is not a number moves nobody, up or down.
        """
        settings = self.settings
        for row, at in enumerate((settings.discount_at, self._quarantine_at)):
            self._high_since[row] = _since(self._high_since[row], belief >= at, time_s)
        self._low_since = _since(self._low_since, belief <= settings.release_at, time_s)
        steps: list[Step] = []
        # the surest suspicion first, for what room there is
        for mate in np.argsort(-np.nan_to_num(belief), kind="stable").tolist():
            if mate not in self._ordered:
                steps += self._by_rule(mate, time_s, float(belief[mate]))
        return steps + self._count(time_s)

    def skip(self, duration_s: float) -> None:
        """Nothing was learned for so long [s]: what has to last goes on from where it was."""
        self._high_since += duration_s
        self._low_since += duration_s

    def _by_rule(self, mate: int, time_s: float, p: float) -> list[Step]:
        level, settings = Level(int(self._levels[mate])), self.settings
        if level < Level.QUARANTINE and self._lasts(
            self._high_since[level][mate], settings.up_s, time_s
        ):
            if level == Level.DISCOUNT and self.quarantined.sum() >= self.most:
                return []
            why = f"belief {p:.2f} for {settings.up_s:g} s"
            return self._move(mate, Level(level + 1), why, time_s)
        if level > Level.COOPERATE and self._lasts(self._low_since[mate], settings.down_s, time_s):
            # the next rung down has to be earned anew
            self._low_since[mate] = time_s
            why = f"belief {p:.2f} for {settings.down_s:g} s"
            return self._move(mate, Level(min(level, Level.QUARANTINE) - 1), why, time_s)
        return []

    def _lasts(self, since: float, needed_s: float, time_s: float) -> bool:
        return bool(time_s - since >= needed_s - _ROUNDING_S)

    def _count(self, time_s: float) -> list[Step]:
        """Whether more are suspected than may be quarantined, as far as that is of interest."""
        if not self.settings.hold_when_outnumbered:
            return []
        lasting = [self._lasts(since, self.settings.up_s, time_s) for since in self._high_since[1]]
        many = int((np.array(lasting) | self.quarantined).sum()) > self.most
        if many == self._outnumbered:
            return []
        self._outnumbered = many
        before, after = (Level.COOPERATE, Level.HOLD)[:: 1 if many else -1]
        why = f"{'more' if many else 'no more'} than {self.most} of {self._mates} are suspected"
        return [Step(time_s, -1, before, after, why)]

    def _move(self, mate: int, level: Level, reason: str, time_s: float) -> list[Step]:
        before = Level(int(self._levels[mate]))
        self._levels[mate] = level
        return [Step(time_s, mate, before, level, reason)]


def _since(
    before: NDArray[np.float64], holds: NDArray[np.bool_], time_s: float
) -> NDArray[np.float64]:
    """When a condition began to hold, elementwise; NaN where it does not."""
    return np.where(holds, np.where(np.isnan(before), time_s, before), np.nan)

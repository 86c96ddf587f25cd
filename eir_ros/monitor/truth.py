"""Who was faulty when: what was injected, who was away, and how long nobody could decide."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.report import EStopSpan, FaultSpan

#: Slack in comparing mission times, which are multiples of a tick that went through floats [s].
_SLACK_S: Final = 1e-6

#: Kind of the fault of a robot whose agent is not there: nobody injects it, it is noticed.
ABSENT: Final = "absent"

#: Faults that take the agent away, and it may be away for longer than they last.
_TAKING: Final = (FaultKind.HANG.word, FaultKind.CRASH.word)

#: An agent that says nothing for so long is away [s]; it says something once a second.
_AWAY_S: Final = 1.5


class _Voice:
    """When an agent was heard [s of mission time]."""

    def __init__(self) -> None:
        self.last_s: float | None = None
        self._gaps: list[tuple[float, float]] = []

    def hear(self, t_s: float) -> None:
        if self.last_s is None:
            self.last_s = t_s
        if t_s > self.last_s + _AWAY_S:
            self._gaps.append((self.last_s, t_s))
        self.last_s = max(self.last_s, t_s)

    def back_s(self, t_s: float) -> float | None:
        """When an agent that may be away at `t_s` is heard again; None: not yet."""
        if self.last_s is None:  # nobody ever heard it, and nobody will tell when it is back
            return t_s
        if self.last_s <= t_s:
            return None
        return next((back for gone, back in self._gaps if gone <= t_s < back), t_s)


class Truth:
    """The ground truth of a mission, as far as it is known.

    A robot whose agent is killed or stopped by a fault is faulty until its agent is heard again.

    Parameters
    ----------
    team
        The robots in roster order.
    """

    def __init__(self, team: Iterable[str]) -> None:
        self.team = tuple(team)
        self._injected: dict[str, tuple[FaultSpan, ...]] = {}
        self._absences: dict[str, list[FaultSpan]] = {robot: [] for robot in self.team}
        self._voices = {robot: _Voice() for robot in self.team}
        self._heard_s = 0.0
        #: Robots with faults that may last for longer than is said.
        self._taken: set[str] = set()
        self._stops: tuple[EStopSpan, ...] = ()
        self._spans: dict[str, tuple[FaultSpan, ...]] = dict.fromkeys(self.team, ())
        #: How often it was found to be different from what was known.
        self._changes = 0

    @property
    def faults(self) -> list[FaultSpan]:
        """Every fault that is known, by its start."""
        spans = [span for found in self._spans.values() for span in found]
        return sorted(spans, key=lambda span: (span.start_s, span.robot))

    def set_faults(self, robot: str, spans: Iterable[FaultSpan]) -> None:
        """Replace what is known about the faults of `robot`; strangers are ignored."""
        if robot in self._spans:
            self._injected[robot] = tuple(spans)
            if any(span.kind in _TAKING for span in self._injected[robot]):
                self._taken.add(robot)
            self._renew(robot)

    def set_absent(self, robot: str, t_s: float, *, absent: bool) -> None:
        """Note that `robot` is not heard since mission time `t_s` [s], or that it is back."""
        spans = self._absences[robot]
        if absent and not self.absent(robot):
            spans.append(FaultSpan(robot=robot, kind=ABSENT, start_s=round(t_s, 3)))
        elif not absent and self.absent(robot):
            spans[-1] = spans[-1].model_copy(update={"end_s": round(t_s, 3)})
        else:
            return
        self._renew(robot)

    def set_stops(self, stops: Iterable[EStopSpan]) -> None:
        """Replace what is known about when the e-stop held the swarm."""
        self._stops = tuple(stops)
        self._changes += 1

    def hear(self, robot: str, t_s: float) -> None:
        """Note that the agent of `robot` said something at mission time `t_s` [s]."""
        self._heard_s = max(self._heard_s, t_s)
        self._voices[robot].hear(t_s)
        for taken in self._taken:
            self._renew(taken)

    def silent(self, robot: str, t_s: float) -> bool:
        """Whether nothing is heard of the agent of `robot` any more at mission time `t_s` [s]."""
        last_s = self._voices[robot].last_s
        return last_s is not None and last_s < t_s - _AWAY_S

    def absent(self, robot: str) -> bool:
        """Whether nothing is heard of `robot` now."""
        spans = self._absences[robot]
        return bool(spans) and spans[-1].end_s is None

    def absent_at(self, robot: str, t_s: float) -> bool:
        """Whether nothing was heard of `robot` at mission time `t_s` [s]."""
        return any(covers(span, t_s) for span in self._absences[robot])

    def fault_of(self, robot: str, t_s: float) -> FaultSpan | None:
        """The fault that `robot` has at mission time `t_s` [s]; the latest if there are several."""
        return _latest(span for span in self._spans.get(robot, ()) if covers(span, t_s))

    def injected(self, robot: str, t_s: float) -> FaultSpan | None:
        """Like `fault_of`, of those that somebody broke the robot by."""
        spans = self._spans.get(robot, ())
        return _latest(span for span in spans if span.kind != ABSENT and covers(span, t_s))

    def delay_s(self, fault: FaultSpan, t_s: float) -> float:
        """Time from the start of a fault to `t_s` in which somebody could find it out [s].

        While the e-stop holds nobody decides, and beliefs wait: that time does not count.
        """
        held_s = 0.0
        for stop in self._stops:
            end_s = t_s if stop.end_s is None else min(stop.end_s, t_s)
            held_s += max(0.0, end_s - max(stop.start_s, fault.start_s))
        return max(0.0, t_s - fault.start_s - held_s)

    def _renew(self, robot: str) -> None:
        injected = (self._lasting(span) for span in self._injected.get(robot, ()))
        spans = (*injected, *self._absences[robot])
        if spans != self._spans[robot]:
            self._spans[robot] = spans
            self._changes += 1

    def _lasting(self, span: FaultSpan) -> FaultSpan:
        """The fault, or how long it lasted if its robot was without an agent at its end."""
        if span.kind not in _TAKING or span.end_s is None or span.end_s > self._heard_s:
            return span
        back_s = self._voices[span.robot].back_s(span.end_s)
        end_s = None if back_s is None else max(span.end_s, round(back_s, 3))
        return span.model_copy(update={"end_s": end_s})


def covers(span: FaultSpan, t_s: float) -> bool:
    """Whether a fault holds at mission time `t_s` [s]."""
    ended = span.end_s is not None and t_s >= span.end_s - _SLACK_S
    return t_s >= span.start_s - _SLACK_S and not ended


def covered(span: FaultSpan, t_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a fault holds at each of these mission times (T,) [s]."""
    end_s = np.inf if span.end_s is None else span.end_s
    return (t_s >= span.start_s - _SLACK_S) & (t_s < end_s - _SLACK_S)


def _latest(spans: Iterable[FaultSpan]) -> FaultSpan | None:
    return max(spans, key=lambda span: span.start_s, default=None)

"""Ground truth of one robot: which fault it has when, by schedule or by an operator's hand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import Fault, FaultKind, parse_fault

#: Mission times are sums of ticks: a fault that starts "at" a tick acts on that tick [s].
_ROUNDING_S: Final = 1e-6


@dataclass(frozen=True)
class Span:
    """One fault from `start_s` to `end_s` [s after the start of the mission]."""

    kind: FaultKind
    start_s: float
    #: None: until cleared.
    end_s: float | None
    source: Literal["schedule", "operator"]

    def holds(self, time_s: float) -> bool:
        """Whether the robot is faulty at `time_s`."""
        started = self.start_s <= time_s + _ROUNDING_S
        return started and (self.end_s is None or time_s + _ROUNDING_S < self.end_s)


class Timeline:
    """The faults of one robot, past and to come; a later one replaces an earlier one."""

    def __init__(self, schedule: Iterable[Fault] = ()) -> None:
        self._spans: list[Span] = []
        for fault in sorted(schedule, key=lambda fault: fault.start_s):
            self._cut(fault.start_s)
            self._spans.append(Span(fault.kind, fault.start_s, fault.end_s, "schedule"))

    @property
    def spans(self) -> tuple[Span, ...]:
        """All faults, by onset."""
        return tuple(self._spans)

    def at(self, time_s: float) -> FaultKind:
        """The fault that the robot has at `time_s`."""
        return next((span.kind for span in self._spans if span.holds(time_s)), FaultKind.NONE)

    def set(self, kind: FaultKind, now_s: float) -> None:
        """The operator's word: from `now_s` on `kind`, until the next scheduled onset.

        `FaultKind.NONE` clears the present fault, a scheduled one too; what is still to come
        stays scheduled.
        """
        if kind is self.at(now_s):
            return
        self._cut(now_s)
        if kind is not FaultKind.NONE:
            later = [span.start_s for span in self._spans if span.start_s > now_s]
            self._spans.append(Span(kind, now_s, min(later, default=None), "operator"))
            self._spans.sort(key=lambda span: span.start_s)

    def _cut(self, time_s: float) -> None:
        """End at `time_s` what holds then, also what has only just begun."""
        self._spans = [replace(s, end_s=time_s) if s.holds(time_s) else s for s in self._spans]


def read_schedule(texts: Sequence[str], team: Sequence[str]) -> dict[str, list[Fault]]:
    """Read entries `ROBOT:KIND[@START[-END]]` into the faults of each robot of `team`.

    Raises
    ------
    EirError
        An entry is malformed, of an unknown kind, or names a robot that is not in the team.
    """
    found: dict[str, list[Fault]] = {robot: [] for robot in team}
    for text in texts:
        fault = parse_fault(text)
        if fault.robot not in found:
            raise EirError(f"fault '{text}' names '{fault.robot}'; the team is {', '.join(team)}.")
        found[fault.robot].append(fault)
    return found

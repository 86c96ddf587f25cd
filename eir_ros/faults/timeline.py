"""Ground truth of one robot: which fault it has when, by schedule or by an operator's hand."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from eir_ros.contract.errors import EirError
from eir_ros.contract.fault_parameters import Values, columns
from eir_ros.contract.faults import Fault, FaultKind, parse_fault
from eir_ros.faults.acting import acting

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
    #: As given; what is left out is as in `contract.fault_parameters`.
    parameters: Values = field(default_factory=dict)
    #: Of its random numbers; None: that of the run.
    seed: int | None = None

    def holds(self, time_s: float) -> bool:
        """Whether the robot is faulty at `time_s`."""
        started = self.start_s <= time_s + _ROUNDING_S
        return started and (self.end_s is None or time_s + _ROUNDING_S < self.end_s)

    def acts(self, time_s: float) -> FaultKind:
        """What the robot does at `time_s`, at which the fault holds."""
        kind, since_s = np.array(self.kind, np.int8), np.array(time_s - self.start_s)
        return FaultKind(int(acting(kind, since_s, self.values)))

    @property
    def onset_s(self) -> float:
        """When there is anything to be found out: later than the start for a late switch [s]."""
        late = self.kind is FaultKind.LATE_SWITCH
        return self.start_s + (float(self.values[0]) if late else 0.0)

    @property
    def values(self) -> np.ndarray:
        """Parameters as an array, (P,)."""
        return np.array(columns(self.kind.word, self.parameters))


class Timeline:
    """The faults of one robot, past and to come; a later one replaces an earlier one."""

    def __init__(self, schedule: Iterable[Fault] = ()) -> None:
        self._spans: list[Span] = []
        for fault in sorted(schedule, key=lambda fault: fault.start_s):
            self._cut(fault.start_s)
            self._spans.append(
                Span(
                    fault.kind,
                    fault.start_s,
                    fault.end_s,
                    "schedule",
                    fault.parameters,
                    fault.seed,
                )
            )

    @property
    def spans(self) -> tuple[Span, ...]:
        """All faults, by onset."""
        return tuple(self._spans)

    def span_at(self, time_s: float) -> Span | None:
        """The fault that the robot has at `time_s`, with everything about it."""
        return next((span for span in self._spans if span.holds(time_s)), None)

    def at(self, time_s: float) -> FaultKind:
        """The fault that the robot has at `time_s`."""
        span = self.span_at(time_s)
        return FaultKind.NONE if span is None else span.kind

    def acts(self, time_s: float) -> FaultKind:
        """What the robot does at `time_s`; `NONE`: it works like a healthy one."""
        span = self.span_at(time_s)
        return FaultKind.NONE if span is None else span.acts(time_s)

    def set(
        self,
        kind: FaultKind,
        now_s: float,
        parameters: Values | None = None,
        length_s: float | None = None,
    ) -> None:
        """The operator's word: from `now_s` on `kind`, for `length_s` or until cleared.

        It ends at the next scheduled onset in any case. `FaultKind.NONE` clears the present fault,
        a scheduled one too; what is still to come stays scheduled.
        """
        given = parameters or {}
        present = self.span_at(now_s)
        if length_s is None and present is not None:
            if (present.kind, present.parameters) == (kind, given):
                return
        elif present is None and kind is FaultKind.NONE:
            return
        self._cut(now_s)
        if kind is not FaultKind.NONE:
            ends = [span.start_s for span in self._spans if span.start_s > now_s]
            ends += [] if length_s is None else [now_s + length_s]
            self._spans.append(Span(kind, now_s, min(ends, default=None), "operator", given))
            self._spans.sort(key=lambda span: span.start_s)

    def _cut(self, time_s: float) -> None:
        """End at `time_s` what holds then, also what has only just begun."""
        self._spans = [replace(s, end_s=time_s) if s.holds(time_s) else s for s in self._spans]


def read_schedule(texts: Sequence[str], team: Sequence[str]) -> dict[str, list[Fault]]:
    """Read entries `ROBOT:KIND[(NAME=VALUE,...)][@START[-END]]` into the faults of each robot.

    Raises
    ------
    EirError
        An entry is malformed, of an unknown kind, or names a robot that is not in the team.
    """
    return by_robot(map(parse_fault, texts), team)


def by_robot(faults: Iterable[Fault], team: Sequence[str]) -> dict[str, list[Fault]]:
    """The faults of each robot of `team`; `EirError` where one names another robot."""
    found: dict[str, list[Fault]] = {robot: [] for robot in team}
    for fault in faults:
        for name in (fault.robot, fault.parameters.get("name") or fault.robot):
            if name not in found:
                raise EirError(f"{fault.sentence} names '{name}'; the team is {', '.join(team)}.")
        if fault.parameters.get("name") == fault.robot:
            raise EirError(f"{fault.sentence} gives {fault.robot} its own name; name a teammate.")
        found[fault.robot].append(fault)
    return found

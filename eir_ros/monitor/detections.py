"""Who found out whom, how soon, and how good the beliefs were: beliefs against ground truth."""

from array import array
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.detection import Detector, auroc
from eir_ros.contract.report import BeliefQuality, Detection, FalseAlarm, FaultSpan

#: Slack in comparing mission times, which are multiples of a tick that went through floats [s].
_SLACK_S = 1e-6

#: Kind of the fault of a robot whose agent is not there: nobody injects it, it is noticed.
ABSENT = "absent"


class Alarm(NamedTuple):
    """`observer` has held `suspect` for an adversary for long enough to say so."""

    t_s: float
    observer: str
    suspect: str


class Held(NamedTuple):
    """Beliefs, one a row, and whether they were about a faulty robot; (T,) each."""

    t_s: NDArray[np.float64]
    #: Places in the team.
    observer: NDArray[np.uint8]
    suspect: NDArray[np.uint8]
    p_adversary: NDArray[np.float32]
    faulty: NDArray[np.bool_]


class Judge:
    """Debounces every observer's beliefs and compares them with the faults that were injected.

    All beliefs are kept until the end, because a fault may be announced after the first belief
    about it: 14 bytes each, about 3 MB per hour for four robots at five decisions a second.

    Parameters
    ----------
    team
        The robots in roster order.
    threshold
        The bundle's calibrated p(adversary).
    """

    def __init__(self, team: Iterable[str], threshold: float) -> None:
        self.team = tuple(team)
        self._index = {robot: i for i, robot in enumerate(self.team)}
        shape = (len(self.team),)
        self._detectors = {robot: Detector(threshold, shape) for robot in self.team}
        self._faults: dict[str, tuple[FaultSpan, ...]] = {}
        self._absences: dict[str, list[FaultSpan]] = {robot: [] for robot in self.team}
        self._alarms: list[Alarm] = []
        self._t_s, self._p = array("d"), array("f")
        self._observer, self._suspect = array("B"), array("B")

    @property
    def faults(self) -> list[FaultSpan]:
        """Every fault that is known, by its start."""
        spans = [span for robot in self.team for span in self._of(robot)]
        return sorted(spans, key=lambda span: (span.start_s, span.robot))

    def set_faults(self, robot: str, spans: Iterable[FaultSpan]) -> None:
        """Replace what is known about the faults of `robot`; strangers are ignored."""
        if robot in self._index:
            self._faults[robot] = tuple(spans)

    def set_absent(self, robot: str, t_s: float, *, absent: bool) -> None:
        """Note that `robot` is not heard since mission time `t_s` [s], or that it is back."""
        spans = self._absences[robot]
        if absent and not self.absent(robot):
            spans.append(FaultSpan(robot=robot, kind=ABSENT, start_s=round(t_s, 3)))
        elif not absent and self.absent(robot):
            spans[-1] = spans[-1].model_copy(update={"end_s": round(t_s, 3)})

    def absent(self, robot: str) -> bool:
        """Whether nothing is heard of `robot` now."""
        spans = self._absences[robot]
        return bool(spans) and spans[-1].end_s is None

    def _of(self, robot: str) -> list[FaultSpan]:
        return [*self._faults.get(robot, ()), *self._absences.get(robot, ())]

    def fault_of(self, robot: str, t_s: float) -> FaultSpan | None:
        """The fault that `robot` has at mission time `t_s` [s]; the latest if there are several."""
        active = [span for span in self._of(robot) if _covers(span, t_s)]
        return max(active, key=lambda span: span.start_s, default=None)

    def believe(self, t_s: float, observer: str, p_adversary: Mapping[str, float]) -> list[Alarm]:
        """Take one decision's beliefs of `observer`; the alarms that they complete.

        Robots that are not in the team, and beliefs that are not numbers in [0, 1], are ignored.
        """
        if observer not in self._index:
            return []
        now = np.full(len(self.team), np.nan)
        for suspect, p in p_adversary.items():
            if suspect in self._index and suspect != observer and 0.0 <= p <= 1.0:
                now[self._index[suspect]] = p
        for suspect_index in np.flatnonzero(~np.isnan(now)):
            self._t_s.append(t_s)
            self._p.append(now[suspect_index])
            self._observer.append(self._index[observer])
            self._suspect.append(int(suspect_index))
        raised = np.flatnonzero(self._detectors[observer].update(now))
        alarms = [Alarm(t_s, observer, self.team[i]) for i in raised]
        self._alarms += alarms
        return alarms

    def detections(self) -> list[Detection]:
        """Alarms of healthy observers about a robot that was faulty at the time."""
        found = []
        for alarm in self._alarms:
            fault = self.fault_of(alarm.suspect, alarm.t_s)
            if fault and not self.fault_of(alarm.observer, alarm.t_s):
                found.append(
                    Detection(
                        observer=alarm.observer,
                        suspect=alarm.suspect,
                        t_s=round(alarm.t_s, 3),
                        delay_s=round(max(0.0, alarm.t_s - fault.start_s), 3),
                    )
                )
        return found

    def false_alarms(self) -> list[FalseAlarm]:
        """Alarms of healthy observers about a healthy robot."""
        return [
            FalseAlarm(observer=alarm.observer, suspect=alarm.suspect, t_s=round(alarm.t_s, 3))
            for alarm in self._alarms
            if not self.fault_of(alarm.suspect, alarm.t_s)
            and not self.fault_of(alarm.observer, alarm.t_s)
        ]

    def quality(self) -> BeliefQuality:
        """AUROC and Brier score of all beliefs that healthy observers held."""
        held = self.held()
        return quality(held.p_adversary, held.faulty)

    def held(self) -> Held:
        """All beliefs that healthy observers held, in the order in which they were told."""
        t_s, p = np.array(self._t_s), np.array(self._p)
        observer, suspect = np.array(self._observer), np.array(self._suspect)
        faulty = np.zeros((len(self.team), len(t_s)), bool)
        for robot in self.team:
            for span in self._of(robot):
                end_s = np.inf if span.end_s is None else span.end_s
                active = (t_s >= span.start_s - _SLACK_S) & (t_s < end_s - _SLACK_S)
                faulty[self._index[robot]] |= active
        row = np.arange(len(t_s))
        trusted = ~faulty[observer, row]
        columns = (t_s, observer, suspect, p, faulty[suspect, row])
        return Held(*(column[trusted] for column in columns))


def quality(p_adversary: NDArray[np.floating[Any]], faulty: NDArray[np.bool_]) -> BeliefQuality:
    """AUROC and Brier score of beliefs (T,) about robots that were `faulty` (T,) or not."""
    if not len(p_adversary):
        return BeliefQuality()
    error = np.asarray(p_adversary, np.float64) - faulty
    return BeliefQuality(auroc=auroc(p_adversary, faulty), brier=float(np.mean(error**2)))


def _covers(span: FaultSpan, t_s: float) -> bool:
    ended = span.end_s is not None and t_s >= span.end_s - _SLACK_S
    return t_s >= span.start_s - _SLACK_S and not ended

"""Who found out whom, how soon, and how good the beliefs were: beliefs against ground truth."""

from array import array
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.detection import Detector, auroc
from eir_ros.contract.report import BeliefQuality, Detection, FalseAlarm, FaultSpan
from eir_ros.monitor.truth import Truth, covered, covers

#: An alarm that comes back sooner is of a belief that swings round the threshold [s].
_SWING_S: Final = 10.0


class Alarm(NamedTuple):
    """`observer` has held `suspect` for an adversary for long enough to say so."""

    t_s: float
    observer: str
    suspect: str


class Word(StrEnum):
    """What an alarm is, by the ground truth."""

    #: A healthy observer blames a faulty robot, for the first time since that is faulty.
    DETECTION = "detection"
    #: It does so anew.
    AGAIN = "again"
    #: It does so anew, so soon that there is nothing to say.
    SWING = "swing"
    #: A healthy observer blames a healthy robot.
    FALSE = "false"
    #: The observer is faulty itself, and what it says counts for nothing.
    BROKEN = "broken"


class Verdict(NamedTuple):
    """What an alarm is, and which fault the suspect had."""

    word: Word
    fault: FaultSpan | None = None
    #: Of a detection: time since the fault in which it could be found out [s].
    delay_s: float | None = None


class Held(NamedTuple):
    """Beliefs, one a row, and whether they were about a faulty robot; (T,) each."""

    t_s: NDArray[np.float64]
    #: Places in the team.
    observer: NDArray[np.uint8]
    suspect: NDArray[np.uint8]
    p_adversary: NDArray[np.float32]
    faulty: NDArray[np.bool_]


class Judge(Truth):
    """Debounces every observer's beliefs and compares them with the ground truth.

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
        super().__init__(team)
        self._index = {robot: i for i, robot in enumerate(self.team)}
        shape = (len(self.team),)
        self._detectors = {robot: Detector(threshold, shape) for robot in self.team}
        self._alarms: list[Alarm] = []
        self._verdicts: dict[Alarm, Verdict] = {}
        #: How much was known when the verdicts were found.
        self._known = (0, 0)
        self._t_s, self._p = array("d"), array("f")
        self._observer, self._suspect = array("B"), array("B")

    def believe(self, t_s: float, observer: str, p_adversary: Mapping[str, float]) -> list[Alarm]:
        """Take one decision's beliefs of `observer`; the alarms that they complete.

        Robots that are not in the team, and beliefs that are not numbers in [0, 1], are ignored.
        """
        if observer not in self._index:
            return []
        self.hear(observer, t_s)
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

    def verdicts(self) -> Mapping[Alarm, Verdict]:
        """What each alarm is, in the order in which they were raised."""
        known = (self._changes, len(self._alarms))
        if known != self._known:
            self._known = known
            last_s: dict[tuple[str, str, str, float], float] = {}
            self._verdicts = {alarm: self._verdict(alarm, last_s) for alarm in self._alarms}
        return self._verdicts

    def _verdict(self, alarm: Alarm, last_s: dict[tuple[str, str, str, float], float]) -> Verdict:
        """One of them; `last_s` is when each observer blamed each faulty robot last [s]."""
        fault = self.fault_of(alarm.suspect, alarm.t_s)
        if self.fault_of(alarm.observer, alarm.t_s):
            return Verdict(Word.BROKEN, fault)
        if fault is None:
            return Verdict(Word.FALSE)
        key = (alarm.observer, alarm.suspect, fault.kind, fault.start_s)
        before_s = last_s.get(key)
        last_s[key] = alarm.t_s
        if before_s is None:
            return Verdict(Word.DETECTION, fault, self.delay_s(fault, alarm.t_s))
        return Verdict(Word.SWING if alarm.t_s < before_s + _SWING_S else Word.AGAIN, fault)

    def detections(self) -> list[Detection]:
        """The first alarm of each healthy observer about each fault, while it lasted."""
        return [
            Detection(
                observer=alarm.observer,
                suspect=alarm.suspect,
                t_s=round(alarm.t_s, 3),
                delay_s=round(verdict.delay_s, 3),
            )
            for alarm, verdict in self.verdicts().items()
            if verdict.delay_s is not None
        ]

    def found_out_s(self, fault: FaultSpan, observer: str) -> float | None:
        """When a healthy `observer` first blamed the robot that had this fault [s]."""
        times = (
            alarm.t_s
            for alarm, verdict in self.verdicts().items()
            if (alarm.observer, alarm.suspect) == (observer, fault.robot)
            and verdict.word is not Word.BROKEN
            and covers(fault, alarm.t_s)
        )
        return min(times, default=None)

    def false_alarms(self) -> list[FalseAlarm]:
        """Alarms of healthy observers about a healthy robot."""
        return [
            FalseAlarm(observer=alarm.observer, suspect=alarm.suspect, t_s=round(alarm.t_s, 3))
            for alarm, verdict in self.verdicts().items()
            if verdict.word is Word.FALSE
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
        for span in self.faults:
            faulty[self._index[span.robot]] |= covered(span, t_s)
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

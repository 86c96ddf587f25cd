"""What a terminal is told while the swarm runs: one short line for each thing that happens."""

from collections.abc import Iterator
from typing import Final

from eir_ros.contract.report import FaultSpan
from eir_ros.monitor.detections import Alarm, Word
from eir_ros.monitor.state import State
from eir_ros.monitor.truth import ABSENT

#: A robot that is faster is said to move [m/s].
_MOVING: Final = 0.02


class News:
    """Turns the state into lines; nothing is said twice."""

    def __init__(self) -> None:
        self._moved = False
        self._paused = self._estop = False
        self._begun: set[tuple[str, float]] = set()
        self._over: set[tuple[str, float]] = set()
        self._recorder_level = 0
        self._restarts: dict[str, int] = {}
        self._absent: set[str] = set()
        self._shared: dict[str, str] = {}

    def lines(self, state: State) -> Iterator[str]:
        """Lines about what changed since the last call; call a few times a second."""
        if not self._moved and any(robot.speed > _MOVING for robot in state.robots.values()):
            self._moved = True
            yield "the robots move"
        for span in state.judge.faults:
            if span.kind == ABSENT:
                continue
            yield from self._about_fault(span, state.time_s)
        for name in state.robots:
            yield from self._about_presence(name, state)
            yield from self._about_senders(name, state)
        if state.paused != self._paused:
            self._paused = state.paused
            yield "the world is paused" if state.paused else "the world goes on"
        if state.estop != self._estop:
            self._estop = state.estop
            yield (
                "e-stop: every robot is told to stand" if state.estop else "the e-stop is released"
            )

        level = state.recorder.get("level", 0)
        if level != self._recorder_level:
            self._recorder_level = level
            yield f"recorder: {state.recorder['said']}"

    def _about_presence(self, name: str, state: State) -> Iterator[str]:
        restarts = state.counters.restarts(name)
        if restarts > self._restarts.get(name, 0):
            self._restarts[name] = restarts
            yield f"{name} is back with a new agent: its beliefs start from the prior"
        absent = state.judge.absent(name)
        if absent and name not in self._absent:
            self._absent.add(name)
            yield f"{name} is not there: nothing is heard of its agent"
        elif not absent and name in self._absent:
            self._absent.discard(name)
            yield f"{name} is there again"

    def _about_senders(self, name: str, state: State) -> Iterator[str]:
        shared = state.robots[name].gate.get("shared", "")
        if shared != self._shared.get(name, ""):
            self._shared[name] = shared
            if shared:
                yield f"{name} has more than one sender of {shared}"
            else:
                yield f"{name} has one sender of each of its topics again"

    def _about_fault(self, span: FaultSpan, time_s: float) -> Iterator[str]:
        key = (span.robot, span.start_s)
        if key not in self._begun and span.start_s <= time_s:
            self._begun.add(key)
            yield f"at {span.start_s:.1f} s {span.robot} is broken: {span.kind}"
        ended = span.end_s is not None and span.end_s <= time_s
        if ended and key in self._begun and key not in self._over:
            self._over.add(key)
            yield f"at {span.end_s:.1f} s {span.robot} is well again"


def about_alarm(alarm: Alarm, state: State) -> str:
    """Return the line about one alarm, empty where a belief only swings round the threshold."""
    verdict = state.judge.verdicts()[alarm]
    who = f"at {alarm.t_s:.1f} s {alarm.observer}"
    fault, health = verdict.fault, "" if verdict.fault else ", which is healthy"
    if verdict.word is Word.SWING:
        return ""
    if verdict.word is Word.BROKEN:  # what the broken say is no false alarm of the team
        return f"{who}, which is broken itself, blames {alarm.suspect}{health}"
    if fault is None:
        if state.judge.silent(alarm.suspect, alarm.t_s):  # too short to be absent
            health = ", whose agent is silent"
        return f"{who} blames {alarm.suspect}{health}"
    if verdict.delay_s is None:
        return f"{who} blames {alarm.suspect} again"
    if fault.kind == ABSENT:
        return f"{who} has noticed that {alarm.suspect} is absent"
    return f"{who} found out {alarm.suspect}, {verdict.delay_s:.1f} s after its fault"

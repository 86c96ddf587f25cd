"""What the operator is shown: the newest word on everything, as one JSON-ready picture."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eir_ros.contract.report import EStopSpan, Percentiles, TrustStep
from eir_ros.monitor.counters import Counters
from eir_ros.monitor.detections import Alarm, Judge
from eir_ros.monitor.intruders import Intruders

#: Seconds of beliefs that a page which has just been opened gets to see.
HISTORY_S = 180.0
#: Alarms that the page lists; the report has them all.
MAX_ALARMS = 200

#: A robot whose agent has not reported for so long is not there [s].
ABSENT_S = 5.0

#: What /swarm/score tells as shares, in [0, 1].
_SHARES = ("served_fraction", "all_served_fraction")


@dataclass
class Robot:
    """The newest word on one robot; None where nothing was heard yet."""

    #: x, y, yaw [m, m, rad; map]
    pose: tuple[float, float, float] | None = None
    #: [m/s]
    speed: float = 0.0
    #: When that was heard [s; steady clock]
    heard_s: float = -math.inf
    action: str | None = None
    #: p(adversary) and status word of each teammate, by name.
    beliefs: dict[str, tuple[float, str]] = field(default_factory=dict)
    #: What it does about each teammate, by name: words of `contract.trust.Level`.
    trust: Mapping[str, str] = field(default_factory=dict)
    #: Key-value pairs of the latest diagnostics.
    agent: Mapping[str, str] = field(default_factory=dict)
    #: When its agent last reported [s; steady clock], and at which time of the mission [s].
    reported_s: float | None = None
    reported_t_s: float = 0.0
    gate: Mapping[str, str] = field(default_factory=dict)


class State:
    """The present of the swarm, and enough of its past for a timeline.

    Parameters
    ----------
    team
        The robots in roster order.
    judge, counters
        Hold the detections and the agents' totals; the state shows them.
    """

    def __init__(self, team: Iterable[str], judge: Judge, counters: Counters) -> None:
        self.robots = {robot: Robot() for robot in team}
        self.judge = judge
        self.counters = counters
        #: Site positions [m; map], by id.
        self.sites: dict[int, tuple[float, float]] = {}
        #: The robot that serves each site, by id; missing where nobody does.
        self.served_by: dict[int, str] = {}
        self.score: dict[str, float] = {}
        #: Mission time [s] and control steps.
        self.time_s = 0.0
        self.ticks = 0
        #: Of all robots together.
        self.decisions = 0
        self.paused = False
        #: The last order on /swarm/estop; None before the first.
        self.estop_ordered: bool | None = None
        #: When the swarm was stopped, up to now.
        self.estops: list[EStopSpan] = []
        self.intruders = Intruders()
        #: What the recorder says of itself; empty while nothing is recorded.
        self.recorder: dict[str, Any] = {}
        self.alarms: deque[Alarm] = deque(maxlen=MAX_ALARMS)
        #: Every step on every ladder of trust.
        self.trust_steps: list[TrustStep] = []
        self._history: deque[list[float | None]] = deque()
        #: Since when it is looked who is absent [s; steady clock].
        self._looks_since_s: float | None = None

    def believe(
        self, t_s: float, observer: str, beliefs: Mapping[str, tuple[float, str]]
    ) -> list[Alarm]:
        """Take one decision's beliefs of `observer`, {suspect: (p_adversary, status word)}."""
        self.time_s = max(self.time_s, t_s)
        self.robots[observer].beliefs = dict(beliefs)
        raised = self.judge.believe(t_s, observer, {name: p for name, (p, _) in beliefs.items()})
        self.alarms += raised
        return raised

    def set_score(self, values: Mapping[str, str]) -> None:
        """Take one status of /swarm/score; values that cannot be read keep what was there."""
        reward = _number(values.get("mean_reward"))
        if reward is not None:
            self.score["mean_reward"] = reward
        for name in _SHARES:
            share = _number(values.get(name))
            if share is not None:
                self.score[name] = min(max(share, 0.0), 1.0)
        self.time_s = max(self.time_s, _number(values.get("time_s")) or 0.0)
        self.ticks = max(self.ticks, int(_number(values.get("ticks")) or 0))
        self.paused = _true(values.get("paused"))
        self.counters.over = _true(values.get("over"))
        if "served_by" in values:
            named = enumerate(values["served_by"].split(","))
            self.served_by = {site: robot for site, robot in named if robot in self.robots}

    def set_diagnostics(
        self, robot: str, part: str, values: Mapping[str, str], now_s: float = 0.0
    ) -> None:
        """Take one status of /diagnostics of the `agent` or the `gate` of `robot`.

        `now_s` is the present [s; steady clock].
        """
        if part == "agent":
            seen = self.robots[robot]
            seen.agent, seen.reported_s, seen.reported_t_s = values, now_s, self.time_s
            self.counters.update(robot, values)
            self.judge.hear(robot, self.time_s)
        else:
            self.robots[robot].gate = values
            self._note_estop()

    def set_recorder(self, level: int, said: str, values: Mapping[str, str]) -> None:
        """Take one status of /diagnostics of the recorder; `level` as in DiagnosticStatus."""
        self.recorder = {"level": level, "said": said, "size_mb": _number(values.get("size_mb"))}

    @property
    def reported(self) -> bool:
        """Whether any agent has reported yet."""
        return any(robot.reported_s is not None for robot in self.robots.values())

    def look_for_absent(self, now_s: float) -> None:
        """Note who is not there at `now_s` [s; steady clock], and who is back."""
        if self._looks_since_s is None:
            self._looks_since_s = now_s
        for name, robot in self.robots.items():
            if robot.reported_s is None:
                absent = min(self.time_s, now_s - self._looks_since_s) > ABSENT_S
            else:
                absent = now_s - robot.reported_s > ABSENT_S
            back_s = self.time_s if not absent else robot.reported_t_s
            self.judge.set_absent(name, back_s, absent=absent)

    def trust(self, robot: str, levels: Mapping[str, str], step: TrustStep | None) -> None:
        """Take how far `robot` trusts each teammate, by name, and the step that led there."""
        self.robots[robot].trust = dict(levels)
        if step is not None:
            self.trust_steps.append(step)

    def decide(self, robot: str, action: str) -> None:
        """Take one decision of `robot`."""
        self.robots[robot].action = action
        self.decisions += 1

    def order_estop(self, on: bool) -> None:
        """Take one order of the e-stop: True for stop, False for release."""
        self.estop_ordered = on
        self._note_estop()

    def _note_estop(self) -> None:
        now, last = round(self.time_s, 3), self.estops[-1] if self.estops else None
        held = last is not None and last.end_s is None
        if self.estop == held:
            return
        if last is not None and held:
            self.estops[-1] = last.model_copy(update={"end_s": now})
        else:
            self.estops.append(EStopSpan(start_s=now))
        self._tell_stops()

    def _tell_stops(self) -> None:
        self.judge.set_stops(self.estops)

    @property
    def estop(self) -> bool:
        """Whether the swarm is stopped: what was ordered last, or else what the gates say."""
        if self.estop_ordered is not None:
            return self.estop_ordered
        return any(_true(robot.gate.get("estop")) for robot in self.robots.values())

    def suspicion(self, suspect: str) -> list[float]:
        """p(adversary) that each of the others gives `suspect`."""
        return [
            robot.beliefs[suspect][0] for robot in self.robots.values() if suspect in robot.beliefs
        ]

    def remember(self) -> None:
        """Note the present suspicions for the timeline; call a few times a second."""
        now = round(self.time_s, 2)
        if self._history and self._history[-1][0] == now:
            return
        self._history.append([now, *(_mean(self.suspicion(name)) for name in self.robots)])
        while self._history[-1][0] - self._history[0][0] > HISTORY_S:  # type: ignore[operator]
            self._history.popleft()

    def history(self) -> list[list[float | None]]:
        """Rows of mission time [s] and mean suspicion of every robot in roster order."""
        return list(self._history)

    def picture(self, now_s: float) -> dict[str, Any]:
        """Everything a page shows, at `now_s` [s; steady clock]."""
        return {
            "time_s": round(self.time_s, 2),
            "paused": self.paused,
            "estop": self.estop,
            "score": self.score,
            "tick_ms": self.counters.percentiles("tick_ms").model_dump(),
            "inference_us": self.counters.percentiles("inference_us").model_dump(),
            "sites": [
                {"id": site, "x": round(x, 3), "y": round(y, 3), "by": self.served_by.get(site)}
                for site, (x, y) in sorted(self.sites.items())
            ],
            "robots": [self._robot(name, robot, now_s) for name, robot in self.robots.items()],
            "faults": [span.model_dump() for span in self.judge.faults],
            "alarms": [self._alarm(alarm) for alarm in self.alarms],
            "estops": [span.model_dump() for span in self.estops[-MAX_ALARMS:]],
            "recorder": self.recorder,
            "trust_steps": [step.model_dump() for step in self.trust_steps[-MAX_ALARMS:]],
        }

    def _robot(self, name: str, robot: Robot, now_s: float) -> dict[str, Any]:
        fault = self.judge.injected(name, self.time_s)
        age_s = now_s - robot.heard_s
        return {
            "name": name,
            "pose": robot.pose and [round(value, 3) for value in robot.pose],
            "speed": round(robot.speed, 3),
            "age_s": round(age_s, 1) if math.isfinite(age_s) else None,
            "action": robot.action,
            "fault": fault.kind if fault else None,
            "absent": self.judge.absent_at(name, self.time_s),
            "beliefs": {
                suspect: [round(p, 3), status] for suspect, (p, status) in robot.beliefs.items()
            },
            "trust": dict(robot.trust),
            "state": robot.agent.get("state"),
            "bundle": robot.agent.get("bundle"),
            "tracks_source": robot.agent.get("tracks_source"),
            "gate": robot.gate.get("state"),
            "gate_reason": robot.gate.get("last_reason"),
            "shared": robot.gate.get("shared"),
            "tick_ms": _rounded(self.counters.percentiles("tick_ms", name)),
            "inference_us": _rounded(self.counters.percentiles("inference_us", name)),
            "overruns": self.counters.total("overruns", name),
            "stale_inputs": self.counters.total("stale_inputs", name),
            "restarts": self.counters.restarts(name),
        }

    def _alarm(self, alarm: Alarm) -> dict[str, Any]:
        verdict = self.judge.verdicts()[alarm]
        delay_s = verdict.delay_s
        return {
            "t_s": round(alarm.t_s, 2),
            "observer": alarm.observer,
            "suspect": alarm.suspect,
            "word": verdict.word,
            "kind": verdict.fault.kind if verdict.fault else None,
            "delay_s": None if delay_s is None else round(delay_s, 2),
        }


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def _rounded(percentiles: Percentiles) -> dict[str, float | None]:
    found = percentiles.model_dump()
    return {name: None if value is None else round(value, 2) for name, value in found.items()}


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _true(text: str | None) -> bool:
    return text is not None and text.lower() in ("true", "1")

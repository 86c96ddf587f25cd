"""What is measured while a recording is read once from its start to its end.

Each measure takes every event and answers at the end. None keeps more than some numbers per tick.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from eir_ros.contract.frames import Pose, compose
from eir_ros.contract.recording import About
from eir_ros.contract.recording_report import (
    GateWork,
    InputStream,
    Latency,
    Motion,
    Spread,
    TrustStep,
)
from eir_ros.monitor.bag_events import Command, Event, Status
from eir_ros.monitor.feed import beliefs_of

#: Inputs whose coming is watched, and those that a command has to wait for.
INPUTS, _AWAITED = ("odom", "tracks", "sites"), frozenset({"odom", "tracks"})

#: What rounding on the wire may add to a limit.
_SLACK = 1.001

#: A tick, where the recording does not say [s].
_TICK_S = 0.1


class Tick(NamedTuple):
    """When one tick of one robot was sensed, decided and passed on [s; senders' clocks]."""

    sensed_s: float
    policy_s: float
    #: None: no answer of the gate was recorded.
    base_s: float | None


class Latencies:
    """From what was sensed to what moved, tick by tick, by the times at which it was sent."""

    def __init__(self, about: About) -> None:
        self._tick_s = about.tick_s or _TICK_S
        self._sent: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(dict)

    def take(self, event: Event) -> None:
        """Note when an input or a command was sent."""
        if event.topic in _AWAITED or event.topic in ("cmd_vel_policy", "cmd_vel"):
            tick = (event.robot, round(event.stamp_s / self._tick_s))
            self._sent[tick].setdefault(event.topic, []).append(event.sent_s)

    def of(self, robot: str) -> Latency:
        """The three latencies of one robot [ms]."""
        ticks = self._answered(robot)
        return Latency(
            robot=robot,
            sense_to_policy=spread([t.policy_s - t.sensed_s for t in ticks], 1e3),
            policy_to_base=spread([t.base_s - t.policy_s for t in ticks if t.base_s], 1e3),
            sense_to_base=spread(self.samples(robot)),
        )

    def samples(self, robot: str) -> list[float]:
        """From the last input to the base, tick by tick [ms]."""
        return [1e3 * (t.base_s - t.sensed_s) for t in self._answered(robot) if t.base_s]

    def early(self, robot: str) -> float:
        """Share of ticks that were, it seems, answered before they were sensed."""
        wanted = sum(self._complete(sent) for (r, _), sent in self._sent.items() if r == robot)
        return 1.0 - len(self._answered(robot)) / wanted if wanted else 0.0

    @staticmethod
    def _complete(sent: Mapping[str, list[float]]) -> bool:
        return sent.keys() >= _AWAITED and "cmd_vel_policy" in sent

    def _answered(self, robot: str) -> list[Tick]:
        found = []
        for (whose, _), sent in self._sent.items():
            if whose != robot or not self._complete(sent):
                continue
            here_s = max(min(sent[topic]) for topic in _AWAITED)
            # what was sent before is no answer: an agent that misses something tells to stand
            policy_s = min((s for s in sent["cmd_vel_policy"] if s >= here_s), default=None)
            if policy_s is None:
                continue
            # a tick is told again until somebody answers: the last time before the answer counts
            sensed_s = max(max(s for s in sent[topic] if s <= policy_s) for topic in _AWAITED)
            base_s = min((s for s in sent.get("cmd_vel", ()) if s >= policy_s), default=None)
            found.append(Tick(sensed_s, policy_s, base_s))
        return found


class Streams:
    """How steadily inputs came, on the axis of mission time."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], list[float]] = defaultdict(list)

    def take(self, event: Event) -> None:
        """Note an input."""
        if event.topic in INPUTS:
            self._times[event.robot, event.topic].append(event.t_s)

    def of(self, robot: str, topic: str) -> InputStream:
        """What is known of one input; `longest_gap_s` leaves out the time before the first."""
        times = np.array(self._times[robot, topic])
        gaps = np.diff(times)
        longest = int(gaps.argmax()) if len(gaps) else None
        return InputStream(
            robot=robot,
            topic=topic,
            count=len(times),
            # repeats of a tick while time stands still are no period
            period_s=_rounded(np.median(gaps[gaps > 0])) if (gaps > 0).any() else None,
            longest_gap_s=None if longest is None else _rounded(gaps[longest]),
            gap_at_s=None if longest is None else _rounded(times[longest]),
        )


class Motions:
    """Speeds, distances and the fence."""

    def __init__(self, about: About, origins: Mapping[str, Pose]) -> None:
        self._about, self._origins = about, origins
        self._most: dict[tuple[str, str], float] = defaultdict(float)
        self._beyond: Counter[str] = Counter()
        self._places: dict[str, tuple[float, float, float]] = {}
        self._margin: dict[str, tuple[float, float]] = {}
        self._nearest: dict[str, tuple[float, str, float]] = {}

    def take(self, event: Event) -> None:
        """Note a command of the gate or a pose."""
        if event.topic == "cmd_vel":
            self._command(event.robot, event.value)
        elif event.topic == "odom":
            self._raise(event.robot, "measured_speed", event.value.speed)
            self._raise(event.robot, "measured_yaw_rate", abs(event.value.yaw_rate))
            origin = self._origins.get(event.robot, (0.0, 0.0, 0.0))
            self._place(event.robot, compose(origin, event.value.pose), event.t_s)

    def _command(self, robot: str, command: Command) -> None:
        if not all(map(math.isfinite, command)):
            self._beyond[robot] += 1
            return
        v, w = abs(command.v), abs(command.w)
        self._raise(robot, "commanded_speed", v)
        self._raise(robot, "commanded_yaw_rate", w)
        limits = self._about.limits.get(robot)
        if limits and (v > limits.max_speed * _SLACK or w > limits.max_yaw_rate * _SLACK):
            self._beyond[robot] += 1

    def _place(self, robot: str, pose: Pose, t_s: float) -> None:
        x, y, _ = pose
        self._places[robot] = (x, y, t_s)
        fence, limits = self._about.fence, self._about.limits.get(robot)
        if fence and limits:
            inside = min(x - fence[0], y - fence[1], fence[2] - x, fence[3] - y) - limits.radius
            if inside < self._margin.get(robot, (math.inf, 0.0))[0]:
                self._margin[robot] = (inside, t_s)
        for other, (ox, oy, at_s) in self._places.items():
            # a robot that fell silent may be anywhere by now
            if other == robot or t_s - at_s > 0.5:
                continue
            distance = math.hypot(x - ox, y - oy)
            for one, two in ((robot, other), (other, robot)):
                if distance < self._nearest.get(one, (math.inf, "", 0.0))[0]:
                    self._nearest[one] = (distance, two, t_s)

    def _raise(self, robot: str, what: str, value: float) -> None:
        self._most[robot, what] = max(self._most[robot, what], value)

    def of(self, robot: str) -> Motion:
        """What one robot did."""
        limits = self._about.limits.get(robot)
        margin, margin_at = self._margin.get(robot, (None, None))
        distance, nearest, nearest_at = self._nearest.get(robot, (None, None, None))
        return Motion(
            robot=robot,
            commanded_speed=_rounded(self._most.get((robot, "commanded_speed"))),
            measured_speed=_rounded(self._most.get((robot, "measured_speed"))),
            max_speed=limits and limits.max_speed,
            commanded_yaw_rate=_rounded(self._most.get((robot, "commanded_yaw_rate"))),
            measured_yaw_rate=_rounded(self._most.get((robot, "measured_yaw_rate"))),
            max_yaw_rate=limits and limits.max_yaw_rate,
            beyond_limits=self._beyond[robot],
            fence_margin_m=_rounded(margin),
            fence_margin_at_s=_rounded(margin_at),
            nearest_m=_rounded(distance),
            nearest=nearest,
            nearest_at_s=_rounded(nearest_at),
        )


class Gates:
    """What gates changed, and why."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], dict[float, Command]] = defaultdict(dict)
        self._sent: dict[str, dict[float, Command]] = defaultdict(dict)
        self._counted: dict[str, Counter[str]] = defaultdict(Counter)
        self._told_last: dict[str, Counter[str]] = defaultdict(Counter)
        self._states: dict[str, Counter[str]] = defaultdict(Counter)
        self._interventions: dict[str, Counter[str]] = defaultdict(Counter)
        #: Stamps of the commands that were sent since the gate last told its state.
        self._untold: dict[str, list[float]] = defaultdict(list)
        #: What it then told, and those stamps.
        self._periods: dict[str, list[tuple[str, list[float]]]] = defaultdict(list)

    def take(self, event: Event) -> None:
        """Note a command before or after the gate, or what the gate says of itself."""
        robot = event.robot
        if event.topic in ("cmd_vel_policy", "cmd_vel_faulty"):
            self._asked[robot, event.topic][event.stamp_s] = event.value
        elif event.topic == "cmd_vel":
            if event.stamp_s not in self._sent[robot]:
                self._untold[robot].append(event.stamp_s)
            self._sent[robot][event.stamp_s] = event.value
        elif event.topic == "gate_events":
            told = [status.message for status in event.value]
            self._interventions[robot].update(why for why in told if why != "nominal")
        elif event.topic == "diagnostics":
            for status in event.value:
                name, _, part = status.name.partition("/")
                if part == "gate":
                    self._told(name, status)

    def _told(self, robot: str, status: Status) -> None:
        state = status.values.get("state", "") or "nominal"
        self._states[robot][state] += 1
        for reason, count in reasons_of(status.values).items():
            # a gate that was started again counts from zero
            last = self._told_last[robot][reason]
            self._counted[robot][reason] += count - last if count >= last else count
            self._told_last[robot][reason] = count
        reason = state if state != "nominal" else status.values.get("last_reason") or "unknown"
        self._periods[robot].append((reason, self._untold.pop(robot, [])))

    def _by_state(self, robot: str) -> Counter[str]:
        """What was changed or sent unasked, put down to what the gate told next."""
        found: Counter[str] = Counter()
        for reason, stamps in [*self._periods[robot], ("unknown", self._untold.get(robot, []))]:
            found[reason] += sum(
                self._changed(robot, stamp) or self._unasked(robot, stamp) for stamp in stamps
            )
        return +found

    def _before(self, robot: str) -> dict[float, Command]:
        """What the gate had to answer: the fault node's commands where there is one."""
        return self._asked.get((robot, "cmd_vel_faulty")) or self._asked[robot, "cmd_vel_policy"]

    def _changed(self, robot: str, stamp: float) -> bool:
        asked = self._before(robot).get(stamp)
        return asked is not None and asked != self._sent[robot].get(stamp, asked)

    def _unasked(self, robot: str, stamp: float) -> bool:
        return stamp not in self._before(robot)

    def of(self, robot: str) -> GateWork:
        """What one gate did."""
        asked, states = self._before(robot), self._states[robot]
        total = states.total()
        return GateWork(
            robot=robot,
            commands=len(asked),
            changed=sum(self._changed(robot, stamp) for stamp in asked),
            unasked=sum(self._unasked(robot, stamp) for stamp in self._sent[robot]),
            reasons=dict((+self._counted[robot] or self._by_state(robot)).most_common()),
            interventions=dict(self._interventions[robot].most_common()),
            states={name: round(n / total, 4) for name, n in states.most_common()},
        )


def reasons_of(values: Mapping[str, str]) -> dict[str, int]:
    """How often a gate took something away for each reason, from its status in /diagnostics.

    It tells it as `reduced_fence`, `reduced_estop` and so on.
    """
    found = {}
    for key, count in values.items():
        reason = key.removeprefix("reduced_")
        if reason != key and count.isdecimal():
            found[reason] = int(count)
    return found


class Trust:
    """Each change of an observer's attitude to a suspect; what is merely out of sight is none."""

    def __init__(self, team: Iterable[str]) -> None:
        self._team = tuple(team)
        self._now: dict[tuple[str, str], str] = {}
        self.steps: list[TrustStep] = []

    def take(self, event: Event) -> None:
        """Note the statuses of one decision's beliefs."""
        if event.topic != "beliefs":
            return
        for suspect, (_, status) in beliefs_of(event.value, self._team).items():
            pair = (event.robot, suspect)
            before = self._now.get(pair, "tracked")
            if status in ("not_visible", before):
                continue
            self._now[pair] = status
            self.steps.append(
                TrustStep(
                    t_s=round(event.stamp_s, 3),
                    observer=event.robot,
                    suspect=suspect,
                    status=status,
                )
            )


def spread(values: list[float], factor: float = 1.0) -> Spread:
    """Median, 99th percentile and maximum of values that are multiplied by `factor`."""
    if not values:
        return Spread()
    p50, p99 = np.percentile(values, [50, 99]) * factor
    return Spread(
        count=len(values),
        p50=_rounded(p50),
        p99=_rounded(p99),
        max=_rounded(max(values) * factor),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)

"""What must hold whatever happens, checked on a recording and on nothing else.

Times are those at which messages were sent, by the clock of the operator's computer: mission time
and the clocks of robots' computers are what chaos plays with.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from eir_ros.contract.frames import compose
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.bag_events import Command, Event, Events

#: Name of the status in /diagnostics by which whoever makes chaos tells what it does.
MARK: Final = "chaos"

#: Silence after which a robot stands [s], and what a message may take on a busy machine [s].
STAND_S: Final = 0.5
TRAVEL_S: Final = 0.3
#: By so much one may find a new sender before another does, on a busy machine [s].
FIND_S: Final = 1.0
#: A process is started again within [s]; and then it imports, connects, and listens for 1 s.
RESTART_S: Final = 2.0
REJOIN_S: Final = 12.0
#: Others decide five times a second; on a busy machine never more rarely than [s].
DECIDE_S: Final = 2.0
#: A robot whose cable is back decides, and is heard, within [s].
HEARD_S: Final = 5.0
#: The last of a recording that a killed recorder may lose [s].
LOSS_S: Final = 1.0

#: Numbers that floats on the wire may miss a limit by; a speed that is none [m/s, rad/s]; what a
#: fence may be passed by [m].
_SLACK, _STILL, _PASSED = 1.001, 0.02, 0.02
#: Poses beyond are lies of whoever makes chaos [m].
_LIE: Final = 100.0
#: A message did not travel for so long: its sender's clock is wrong [s].
_WRONG_CLOCK_S: Final = 60.0


class Verdict(NamedTuple):
    """One invariant."""

    name: str
    holds: bool
    #: What was found, in figures.
    found: str

    def __str__(self) -> str:
        """A line for the terminal."""
        return f"{'holds ' if self.holds else 'BROKEN'}  {self.name}: {self.found}"


class Mark(NamedTuple):
    """Something that chaos did or saw."""

    at_s: float
    #: `strike`, `over`, `gone`, `back` or `beat`.
    event: str
    kind: str
    target: str
    number: int


class Story:
    """A recording sorted by robot and topic; lists of (sent [s], value), in order of sending."""

    def __init__(self, path: Path) -> None:
        bag = Bag(path)
        events = Events(bag)
        self.about, self.team = bag.about, events.team
        self.commands: dict[str, list[tuple[float, Command]]] = defaultdict(list)
        self.asked: dict[str, list[float]] = defaultdict(list)
        self.decisions: dict[str, list[float]] = defaultdict(list)
        self.speeds: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.places: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.spoke: dict[str, list[float]] = defaultdict(list)
        #: When something of each robot's own making was recorded.
        self.heard: dict[str, list[float]] = defaultdict(list)
        #: When something was recorded that each robot had sent by a wrong clock.
        self.wrong: dict[str, list[float]] = defaultdict(list)
        self.estops: list[tuple[float, bool]] = []
        self.marks: list[Mark] = []
        for event in events:
            self._take(event)
        # what is drawn is not read, but that the monitor drew it
        self.spoke["monitor"] = [
            message.publish_time / 1e9
            for channel, message in bag.messages()
            if channel.topic == "/swarm/markers"
        ]
        for found in (
            self.commands, self.asked, self.decisions, self.speeds, self.spoke, self.heard
        ):  # fmt: skip
            for series in found.values():
                series.sort()  # type: ignore[attr-defined]
        self.estops.sort()
        self.marks.sort()

    def _take(self, event: Event) -> None:
        sent_s, robot = event.sent_s, event.robot
        if abs(sent_s - event.heard_s) > _WRONG_CLOCK_S:
            sent_s = event.heard_s
            self.wrong[robot].append(sent_s)
        if event.topic in ("cmd_vel", "cmd_vel_policy", "decision"):
            self.heard[robot].append(event.heard_s)
        match event.topic:
            case "cmd_vel":
                self.commands[robot].append((sent_s, event.value))
            case "cmd_vel_faulty":
                if all(map(math.isfinite, event.value)):
                    self.asked[robot].append(sent_s)
            case "decision":
                self.decisions[robot].append(sent_s)
                self.spoke[f"{robot}/agent"].append(sent_s)
            case "odom":
                self._moved(event)
            case "swarm/estop":
                self.estops.append((sent_s, event.value))
            case "diagnostics":
                for status in event.value:
                    if status.name == MARK:
                        self.marks.append(_mark(sent_s, dict(status.values)))
                    elif status.name.endswith("/gate"):
                        self.spoke[status.name].append(sent_s)

    def _moved(self, event: Event) -> None:
        x, y, _ = compose(self.about.odom_in_map.get(event.robot, (0.0,) * 3), event.value.pose)
        if max(abs(x), abs(y)) < _LIE:
            speed = max(event.value.speed, abs(event.value.yaw_rate))
            self.speeds[event.robot].append((event.sent_s, speed))
            self.places[event.robot].append((x, y))

    def struck(self, kinds: tuple[str, ...]) -> list[Mark]:
        """The strikes of these kinds."""
        return [mark for mark in self.marks if mark.event == "strike" and mark.kind in kinds]

    def stopped(self) -> Iterator[tuple[float, float]]:
        """From when to when the e-stop was set [s]."""
        since: float | None = None
        for at_s, on in self.estops:
            if on and since is None:
                since = at_s
            elif not on and since is not None:
                yield since, at_s
                since = None
        if since is not None:
            yield since, math.inf

    def free_s(self, since: float, until: float) -> float:
        """How much of that time robots might decide: not while the e-stop was set [s]."""
        held = (min(until, end) - max(since, start) for start, end in self.stopped())
        return until - since - sum(max(0.0, overlap) for overlap in held)


def _mark(at_s: float, values: dict[str, str]) -> Mark:
    target, number = values.get("target", ""), int(values.get("number", "0"))
    return Mark(at_s, values["event"], values.get("kind", ""), target, number)


def judge(path: Path, beats: int) -> list[Verdict]:
    """Every invariant of the recording at `path`; `beats` were sent before its recorder was killed.

    Raises
    ------
    EirError
        There is no recording.
    """
    story = Story(path)
    return [
        _limits(story),
        _estop(story),
        _stale(story),
        _silent_gate(story),
        _restarts(story),
        _unasked(story),
        _others(story),
        _cables(story),
        _clocks(story),
        _fence(story),
        _recorder(story, beats),
    ]


def _limits(story: Story) -> Verdict:
    count = broken = 0
    for robot, sent in story.commands.items():
        limits = story.about.limits[robot]
        for _, (v, w) in sent:
            fits = abs(v) <= limits.max_speed * _SLACK and abs(w) <= limits.max_yaw_rate * _SLACK
            count, broken = count + 1, broken + (not fits)
    found = f"{broken} of {count} commands of {len(story.commands)} robots beyond"
    complete = set(story.commands) == set(story.team)
    return Verdict("limits are never broken", count > 0 and complete and not broken, found)


def _estop(story: Story) -> Verdict:
    count, broken, spans = 0, 0, list(story.stopped())
    for since, until in spans:
        for sent in story.commands.values():
            for at_s, command in sent:
                if since + TRAVEL_S < at_s < until:
                    count, broken = count + 1, broken + any(command)
        for speeds in story.speeds.values():
            begin = since + TRAVEL_S + STAND_S
            broken += sum(begin < at_s < until and speed > _STILL for at_s, speed in speeds)
    found = f"{len(spans)} e-stops, {count} commands during them, {broken} that move"
    return Verdict("nothing moves while the e-stop is set", not broken, found)


def _stale(story: Story) -> Verdict:
    """Whoever is not told to move any more is told to stand."""
    gaps = broken = 0
    for robot, asked in story.asked.items():
        for last, following in pairwise([*asked, math.inf]):
            if following - last <= STAND_S or _flooded(story, robot, last, following):
                continue
            gaps += following != math.inf
            broken += sum(
                any(command)
                for at_s, command in story.commands[robot]
                # the gate may hear what is asked before the recorder does
                if last + STAND_S < at_s < following - TRAVEL_S
            )
    found = f"{gaps} silences of more than {STAND_S} s, {broken} commands that move in them"
    return Verdict(f"without commands a robot stands within {STAND_S} s", not broken, found)


def _flooded(story: Story, robot: str, since: float, until: float) -> bool:
    """Whether the robot was flooded in that time: with more than a busy recorder keeps."""
    marks = [m for m in story.marks if (m.kind, m.target) == ("flood", robot)]
    begun = max((m.at_s for m in marks if m.event == "strike" and m.at_s < until), default=None)
    return begun is not None and not any(begun < m.at_s < since for m in marks if m.event == "over")


def _silent_gate(story: Story) -> Verdict:
    """A base whose gate says nothing stands by itself."""
    gaps = broken = 0
    for robot, sent in story.commands.items():
        for (last, command), (following, _) in pairwise(sent):
            if following - last <= 2 * STAND_S or not any(command):
                continue
            gaps += 1
            begin = last + STAND_S + TRAVEL_S
            # the base may find its successor before the recorder does
            broken += any(
                begin < at_s < following - FIND_S and speed > _STILL
                for at_s, speed in story.speeds[robot]
            )
    found = f"{gaps} gates that fell silent in motion, {broken} robots that went on"
    return Verdict("without its gate a robot stands", not broken, found)


def _restarts(story: Story) -> Verdict:
    """Every process that was struck down is started again, and speaks again."""
    started, rejoined, missing = [], [], []
    end_s = max((mark.at_s for mark in story.marks), default=0.0)
    for strike in story.struck(("kill", "hang")):
        # what hangs is first noticed, which is a part of the promise
        back = [m.at_s for m in story.marks if m.event == "back" and m.target == strike.target]
        back = [at_s for at_s in back if at_s > strike.at_s]
        spoke = [at_s for at_s in story.spoke[strike.target] if back and at_s > back[0]]
        if not back and end_s - strike.at_s > RESTART_S + 1.0:
            missing.append(strike.target)
        started += [at_s - strike.at_s for at_s in back[:1]]
        if spoke:
            rejoined.append(spoke[0] - strike.at_s)
        elif back and end_s - back[0] > REJOIN_S:
            missing.append(strike.target)
    slowest, longest = max(started, default=0.0), max(rejoined, default=0.0)
    found = (
        f"{len(started)} started again within {slowest:.2f} s (promised: {RESTART_S:g}), heard "
        f"again within {longest:.1f} s"
    )
    if missing:
        found += f"; not back: {', '.join(missing)}"
    # 0.25 s is how often is looked
    holds = not missing and slowest <= RESTART_S + 0.25 and longest <= REJOIN_S
    return Verdict("who was killed or hung comes back", holds, found)


def _unasked(story: Story) -> Verdict:
    """Nothing but a strike ends a process."""
    ended = [mark for mark in story.marks if mark.event == "gone"]
    struck = story.struck(("kill", "hang"))
    alone = [
        mark.target
        for mark in ended
        if not any(s.target == mark.target and 0 <= mark.at_s - s.at_s < 5.0 for s in struck)
    ]
    found = f"{len(ended)} ends, {len(alone)} without a strike"
    return Verdict("nobody crashes", not alone, found + "".join(f"; {name}" for name in alone))


def _others(story: Story) -> Verdict:
    """What happens to one robot does not stop the decisions of another."""
    longest, who = 0.0, ""
    for robot in story.team:
        for last, following in pairwise(story.decisions[robot]):
            silent_s = story.free_s(last, following)
            if silent_s <= longest or _own(story, robot, last, following):
                continue
            longest, who = silent_s, robot
    found = f"longest silence of a robot that was left alone {longest:.2f} s"
    complete = all(story.decisions[robot] for robot in story.team)
    found += f" ({who})" if who else ""
    return Verdict(
        f"the others decide on, at least every {DECIDE_S:g} s",
        complete and longest <= DECIDE_S,
        found,
    )


def _own(story: Story, robot: str, since: float, until: float) -> bool:
    """Whether something was done to this robot itself in that time, or shortly before it."""
    return any(
        mark.target.split("/")[0] == robot and since - REJOIN_S < mark.at_s < until
        for mark in story.marks
        # a computer whose clock is set is no excuse
        if mark.event == "strike" and mark.kind != "time"
    )


def _cables(story: Story) -> Verdict:
    """Whose cable is out is not heard, and then decides again before long."""
    count, through, slowest, missing = 0, 0, 0.0, []
    for strike in story.struck(("flap",)):
        robot, end_s = strike.target, max(mark.at_s for mark in story.marks)
        back_s = min(
            (m.at_s for m in story.marks if (m.event, m.target, m.kind) == ("over", robot, "flap")
             and m.at_s > strike.at_s), default=math.inf,
        )  # fmt: skip
        # what was under way arrives
        through += sum(strike.at_s + TRAVEL_S < at_s < back_s for at_s in story.heard[robot])
        again_s = min((at_s for at_s in story.decisions[robot] if at_s > back_s), default=math.inf)
        count += 1
        if again_s < math.inf:
            slowest = max(slowest, story.free_s(back_s, again_s))
        elif end_s - back_s > HEARD_S:
            missing.append(robot)
    found = f"{count} cables pulled, {through} messages through them, back within {slowest:.1f} s"
    if missing:
        found += f"; not back: {', '.join(missing)}"
    holds = not through and not missing and slowest <= HEARD_S
    return Verdict(f"whose cable was out is heard again within {HEARD_S:g} s", holds, found)


def _clocks(story: Story) -> Verdict:
    """Whose computer's clock is set decides on: without a pause, which `_others` sees to."""
    strikes = story.struck(("time",))
    idle = [
        strike.target
        for strike in strikes
        if not any(0.0 < at_s - strike.at_s < REJOIN_S for at_s in story.wrong[strike.target])
    ]
    count = sum(map(len, story.wrong.values()))
    found = f"{len(strikes)} times set ahead, {count} messages by wrong clocks"
    found += f"; not one of {', '.join(idle)}" if idle else ""
    return Verdict("whose computer's clock is set goes on", not idle, found)


def _fence(story: Story) -> Verdict:
    least = math.inf
    assert story.about.fence is not None
    xmin, ymin, xmax, ymax = story.about.fence
    for robot, places in story.places.items():
        radius = story.about.limits[robot].radius
        for x, y in places:
            least = min(least, x - xmin - radius, xmax - x - radius, y - ymin - radius,
                        ymax - y - radius)  # fmt: skip
    found = f"nearest {least:.2f} m inside"
    return Verdict("nobody leaves the fence", -_PASSED <= least < math.inf, found)


def _recorder(story: Story, beats: int) -> Verdict:
    """Beats are 0.1 s apart, and the last of them was sent when the recorder was killed."""
    kept = max((mark.number for mark in story.marks if mark.event == "beat"), default=0)
    lost_s = (beats - kept) * 0.1
    return Verdict(
        f"a killed recorder loses at most {LOSS_S:g} s",
        kept > 0 and lost_s <= LOSS_S,
        f"the last {lost_s:.1f} s",
    )

"""A recording as the operator page shows it: entered anywhere, at any speed.

What happened is read once and kept, without what the page does not show. To enter at some time,
the state is made anew: from the words that hold until they are replaced, and from the last minutes
of everything else.
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from sys import intern
from typing import Any, Final

from eir_ros.contract.errors import EirError
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.bag_events import Event, Events, Status
from eir_ros.monitor.counters import Counters
from eir_ros.monitor.detections import Alarm, Judge
from eir_ros.monitor.feed import Feeder, feed
from eir_ros.monitor.state import HISTORY_S, MAX_ALARMS, State

#: p(adversary) that counts as an alarm where nobody says which.
_THRESHOLD: Final = 0.5
#: What the monitor shows when nobody says what the arena is [m; map].
_ARENA: Final = (-2.0, -2.0, 2.0, 2.0)
#: Mean beliefs are noted so often for the timeline [s].
_NOTE_S: Final = 0.2

#: Topics that the page shows; the newest word of those is enough, or all of them count.
_DENSE: Final = frozenset({"odom", "sites", "beliefs", "decision"})
_SPARSE: Final = frozenset({"diagnostics", "swarm/estop", "swarm/score", "trust"})


class _Shown(State):
    """A state whose judge knows the whole recording already."""

    def believe(
        self, t_s: float, observer: str, beliefs: Mapping[str, tuple[float, str]]
    ) -> list[Alarm]:
        """Take beliefs to show them; they have been judged."""
        self.time_s = max(self.time_s, t_s)
        self.robots[observer].beliefs = dict(beliefs)
        return []

    def _tell_stops(self) -> None:
        """It knows those to come as well."""


def _named(status: Status) -> Status:
    """A decision without its numbers, of which the page shows none."""
    return status._replace(message=intern(status.message), values={})


class Playback:
    """The state of a recorded swarm at `position_s`, which moves on when told.

    Parameters
    ----------
    threshold
        p(adversary) that counts as an alarm, in (0, 1); None: as the recording says.

    Raises
    ------
    EirError
        The recording cannot be read, or there is no robot in it.
    """

    def __init__(self, bag: Bag, threshold: float | None = None) -> None:
        self.bag, self.about = bag, bag.about
        self.threshold = threshold or self.about.threshold or _THRESHOLD
        self.position_s = self.duration_s = 0.0
        events = Events(bag)
        self.team = events.team
        if not self.team:
            raise EirError(
                f"{bag.path}: no robot is in this recording; expected odometry on /<robot>/odom."
            )
        self._judge = Judge(self.team, self.threshold)
        self._alarms: list[Alarm] = []
        self._dense: list[Event] = []
        self._sparse: list[Event] = []
        self._read(events)
        self.started_ns = events.first_ns
        self.seek(0.0)

    def _read(self, events: Events) -> None:
        """Keep what can be shown, and judge all beliefs once."""
        judged = State(self.team, self._judge, Counters(self.team))
        feeder = Feeder(judged, self.about.odom_in_map)
        xs, ys = [_ARENA[0], _ARENA[2]], [_ARENA[1], _ARENA[3]]
        for event in events:
            self.duration_s = max(self.duration_s, event.t_s)
            self._alarms += feeder.take(event)
            if event.topic == "odom":
                x, y, _ = judged.robots[event.robot].pose or (0.0, 0.0, 0.0)
                xs, ys = [min(xs[0], x), max(xs[1], x)], [min(ys[0], y), max(ys[1], y)]
            if event.topic == "decision":
                event = event._replace(value=[_named(status) for status in event.value])
            if event.topic == "sites" and event.robot != self.team[0]:
                continue
            if event.topic in _DENSE:
                self._dense.append(event)
            elif event.topic in _SPARSE:
                self._sparse.append(event)
        self._alarms.sort()
        self._alarm_times = [alarm.t_s for alarm in self._alarms]
        self.arena = self.about.arena or (
            math.floor(xs[0]), math.floor(ys[0]), math.ceil(xs[1]), math.ceil(ys[1])
        )  # fmt: skip

    def seek(self, position_s: float) -> None:
        """Go to a mission time [s]; before the start or after the end means there."""
        self.position_s = min(max(position_s, 0.0), self.duration_s)
        self.state = _Shown(self.team, self._judge, Counters(self.team))
        begin_s = self.position_s - HISTORY_S
        past = [event for event in self._sparse if event.t_s < begin_s]
        for event in past:
            self._show(event)
        self._next_sparse = len(past)
        self._next_dense = bisect_right(self._dense, begin_s, key=lambda event: event.t_s)
        now_s = max(0.0, begin_s)
        while now_s < self.position_s:
            now_s = min(now_s + _NOTE_S, self.position_s)
            self._show_until(now_s)
        self._show_until(self.position_s)

    def advance(self, duration_s: float) -> None:
        """Let time pass [s]; it stands still at the end."""
        end_s = min(self.position_s + duration_s, self.duration_s)
        while self.position_s < end_s:
            self.position_s = min(self.position_s + _NOTE_S, end_s)
            self._show_until(self.position_s)

    @property
    def at_end(self) -> bool:
        """Whether there is nothing more to come."""
        return self.position_s >= self.duration_s

    def picture(self) -> dict[str, Any]:
        """What a page shows at this moment."""
        return self.state.picture(self.position_s)

    def _show_until(self, t_s: float) -> None:
        while self._next_sparse < len(self._sparse):
            if self._sparse[self._next_sparse].t_s > t_s:
                break
            self._show(self._sparse[self._next_sparse])
            self._next_sparse += 1
        while self._next_dense < len(self._dense) and self._dense[self._next_dense].t_s <= t_s:
            self._show(self._dense[self._next_dense])
            self._next_dense += 1
        self.state.time_s = t_s
        known = bisect_right(self._alarm_times, t_s)
        self.state.alarms = deque(self._alarms[:known][-MAX_ALARMS:], maxlen=MAX_ALARMS)
        self.state.remember()

    def _show(self, event: Event) -> None:
        feed(self.state, event, self.about.odom_in_map)

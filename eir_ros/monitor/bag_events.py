"""What the messages of a recording say, on the axis of mission time; no ROS needed.

Message types come from `rosbags`, which carries Jazzy's definitions.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from sys import intern
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from eir_ros.contract.report import FaultSpan
from eir_ros.monitor.bag import Bag

_CLOCK, _FAULTS = "/clock", "/swarm/faults"
#: Within a robot's namespace.
_TRUST = "trust"

#: Types of a point's fields that are read, by their number in sensor_msgs/PointField.
_FIELD_TYPES: Final = {
    1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 8: "<f8",
}  # fmt: skip


class Status(NamedTuple):
    """One status of a `diagnostic_msgs/DiagnosticArray`."""

    name: str
    level: int
    message: str
    values: Mapping[str, str]


class Motion(NamedTuple):
    """What an odometry message says; x, y, yaw [m, m, rad; its frame], [m/s], [rad/s]."""

    pose: tuple[float, float, float]
    speed: float
    yaw_rate: float


class Command(NamedTuple):
    """Forward speed and yaw rate [m/s, rad/s; base_link]."""

    v: float
    w: float


class Event(NamedTuple):
    """One message."""

    #: Mission time at which it was recorded; never falls [s].
    t_s: float
    #: Mission time that the message is stamped with; `t_s` where it has no stamp [s].
    stamp_s: float
    #: When its publisher sent it, by that computer's clock [s].
    sent_s: float
    #: When it was recorded, by the recorder's clock [s].
    heard_s: float
    #: Whose it is; empty for topics of the whole swarm.
    robot: str
    #: Within the robot's namespace, or of the swarm: `odom`, `diagnostics`, ...
    topic: str
    #: Motion, Command, bool, a tuple of Status, a record array of points, or a list of FaultSpan.
    value: Any


class Events:
    """The events of a recording, in the order in which they were recorded.

    In simulation mission time is `/clock`; elsewhere it counts from the start of the recorder,
    which is started together with the robots' processes, or, in a recording of another recorder,
    from its first message.

    Attributes
    ----------
    team : tuple of str
        As the recording says, or else whoever has odometry in it, by name.
    unreadable : Counter of str
        Messages that could not be read, by topic.
    counts : Counter of str
        All messages, by topic.
    """

    def __init__(self, bag: Bag) -> None:
        self.bag = bag
        self.unreadable: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self._types = get_typestore(Stores.ROS2_JAZZY)
        about = bag.about
        self.simulated = about.mission_start_ns == 0
        self._start_ns = about.mission_start_ns
        self.team = about.team
        if self._start_ns is None or not self.team:
            self._look_ahead()
        #: Stamp of each robot's first word on its faults, from which these count [ns].
        self._truth_ns: dict[str, int] = {}
        #: When the first message was recorded, by the recorder's clock [ns].
        self.first_ns: int | None = None
        self.last_ns = 0

    def _look_ahead(self) -> None:
        """Find out what a recording of another recorder does not say."""
        robots, first_ns, clock = set(), None, False
        for channel, message in self.bag.messages():
            first_ns = message.log_time if first_ns is None else first_ns
            clock = clock or channel.topic == _CLOCK
            if channel.message_type == "nav_msgs/msg/Odometry":
                robots.add(channel.topic.strip("/").partition("/")[0])
        self.team = self.team or tuple(sorted(robots))
        if self._start_ns is None:
            self.simulated = clock
            self._start_ns = 0 if clock else first_ns or 0

    def __iter__(self) -> Iterator[Event]:
        now_s = 0.0
        for channel, message in self.bag.messages():
            self.counts[channel.topic] += 1
            if self.first_ns is None:
                self.first_ns = message.log_time
            self.last_ns = max(self.last_ns, message.log_time)
            robot, topic, read = _reader(channel.topic, channel.message_type, self.team)
            if not self.simulated:
                now_s = max(now_s, self._mission_s(message.log_time))
            if read is None:
                continue
            try:
                found = self._types.deserialize_cdr(message.data, channel.message_type)
                value = read(found)
            except Exception:  # whatever a deserializer makes of garbage
                self.unreadable[channel.topic] += 1
                continue
            if channel.topic == _CLOCK:
                now_s = max(now_s, self._mission_s(value)) if self.simulated else now_s
                continue
            header = getattr(found, "header", None)
            stamp_s = now_s if header is None else self._mission_s(_nanoseconds(header.stamp))
            if channel.topic == _FAULTS:
                value = self._truth(value, _nanoseconds(found.header.stamp))
            if topic == _TRUST:
                value = tuple(map(self._in_mission_time, value))
            sent_s, heard_s = message.publish_time / 1e9, message.log_time / 1e9
            yield Event(now_s, stamp_s, sent_s, heard_s, robot, topic, value)

    def _mission_s(self, time_ns: int) -> float:
        return (time_ns - (self._start_ns or 0)) / 1e9

    def _in_mission_time(self, status: Status) -> Status:
        """A step of trust, which its agent dates by the time of the day."""
        with suppress(KeyError, ValueError):
            time_s = float(status.values["time_s"]) - (self._start_ns or 0) / 1e9
            return status._replace(values={**status.values, "time_s": f"{time_s:.3f}"})
        return status

    def _truth(self, statuses: tuple[Status, ...], stamp_ns: int) -> dict[str, list[FaultSpan]]:
        """Faults by robot; the times of a fault node count from its own start."""
        spans: dict[str, list[FaultSpan]] = {}
        for status in statuses:
            origin_ns = 0 if self.simulated else self._truth_ns.setdefault(status.name, stamp_ns)
            shift_s = self._mission_s(origin_ns)
            found = spans.setdefault(status.name, [])
            if status.values["kind"] == "none":
                continue
            start_s, end = float(status.values["start_s"]), status.values["end_s"]
            found.append(
                FaultSpan(
                    robot=status.name,
                    kind=status.values["kind"],
                    start_s=round(start_s + shift_s, 3),
                    end_s=round(float(end) + shift_s, 3) if end else None,
                )
            )
        return spans


Read = Callable[[Any], Any]


def _reader(topic: str, message_type: str, team: tuple[str, ...]) -> tuple[str, str, Read | None]:
    """Whose topic it is, what it is called there, and what reads it."""
    robot, _, rest = topic.strip("/").partition("/")
    if robot in team and rest:
        return robot, rest, _ROBOT.get((rest, message_type))
    return "", topic.strip("/"), _SWARM.get((topic, message_type))


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")


def _odometry(message: Any) -> Motion:
    position, q = message.pose.pose.position, message.pose.pose.orientation
    twist = message.twist.twist
    _finite(position.x, position.y, q.z, q.w, twist.linear.x, twist.linear.y, twist.angular.z)
    yaw = math.remainder(2.0 * math.atan2(q.z, q.w), 2 * math.pi)
    speed = math.hypot(twist.linear.x, twist.linear.y)
    return Motion((position.x, position.y, yaw), speed, twist.angular.z)


def _twist(message: Any) -> Command:
    return Command(message.twist.linear.x, message.twist.angular.z)


def _statuses(message: Any) -> tuple[Status, ...]:
    return tuple(
        Status(
            status.name,
            int(status.level),
            status.message,
            {intern(value.key): value.value for value in status.values},
        )
        for status in message.status
    )


def _points(message: Any) -> NDArray[np.void]:
    """The points of a cloud, with whichever fields it has."""
    fields = tuple((f.name, f.datatype, f.offset) for f in message.fields if f.count == 1)
    dtype = _dtype(fields, message.point_step)
    return np.frombuffer(bytes(message.data), dtype, message.width * message.height)


@lru_cache(maxsize=64)
def _dtype(fields: tuple[tuple[str, int, int], ...], size: int) -> np.dtype[Any]:
    names, kinds, offsets = zip(*fields, strict=True)
    formats = [_FIELD_TYPES[kind] for kind in kinds]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


_CLOUD, _DIAGNOSTICS = "sensor_msgs/msg/PointCloud2", "diagnostic_msgs/msg/DiagnosticArray"
_TWIST = "geometry_msgs/msg/TwistStamped"

_ROBOT: Final[dict[tuple[str, str], Read]] = {
    ("odom", "nav_msgs/msg/Odometry"): _odometry,
    **{(topic, _CLOUD): _points for topic in ("tracks", "sites", "beliefs")},
    **{(topic, _TWIST): _twist for topic in ("cmd_vel_policy", "cmd_vel_faulty", "cmd_vel")},
    **{(topic, _DIAGNOSTICS): _statuses for topic in ("decision", "gate_events", "trust")},
}
_SWARM: Final[dict[tuple[str, str], Read]] = {
    (_CLOCK, "rosgraph_msgs/msg/Clock"): lambda message: _nanoseconds(message.clock),
    ("/swarm/estop", "std_msgs/msg/Bool"): lambda message: bool(message.data),
    **{(topic, _DIAGNOSTICS): _statuses for topic in ("/diagnostics", "/swarm/score", _FAULTS)},
}

"""Numbers to messages and back, for everything but clouds (`eir_ros.nodes.clouds`)."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from eir_ros.contract.fault_parameters import check, in_words
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.frames import MAP
from eir_ros.faults.timeline import Span
from eir_ros.nodes.clouds import InvalidMessageError

Floats = NDArray[np.floating[Any]]


class Motion(NamedTuple):
    """What an odometry message says."""

    #: x, y, yaw, (3,) [m, m, rad; frame of the message]
    pose: Floats
    #: (2,) [m/s; axes of that frame]
    velocity: Floats
    #: [rad/s]
    yaw_rate: float


#: No robot is so far away or so fast, and sums and squares of such numbers are finite [m, m/s].
LARGEST: Final = 1e9
#: Holds at no time: a robot without a fault has this one on the wire.
_HEALTHY = Span(FaultKind.NONE, 0.0, 0.0, "schedule")


def time_of(nanoseconds: int) -> Time:
    """The message of a time [ns]."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=seconds, nanosec=rest)


def nanoseconds_of(stamp: Time) -> int:
    """The time of a message [ns]."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def encode_odometry(motion: Motion, stamp: Time, frame: str, child: str) -> Odometry:
    """Pose in `frame`, twist in `child` (REP-105)."""
    message = Odometry()
    message.header.stamp = stamp
    message.header.frame_id = frame
    message.child_frame_id = child
    x, y, yaw = map(float, motion.pose)
    vx, vy = map(float, motion.velocity)
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x, pose.position.y = x, y
    pose.orientation.z, pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    cos, sin = math.cos(yaw), math.sin(yaw)
    twist.linear.x, twist.linear.y = vx * cos + vy * sin, vy * cos - vx * sin
    twist.angular.z = float(motion.yaw_rate)
    return message


def decode_odometry(message: Odometry) -> Motion:
    """Read an odometry message of a ground robot; the twist comes back in the pose's axes.

    Raises
    ------
    InvalidMessageError
        A number is not finite or beyond `LARGEST`, or the orientation is not a rotation about the
        vertical.
    """
    position, q = message.pose.pose.position, message.pose.pose.orientation
    linear, yaw_rate = message.twist.twist.linear, message.twist.twist.angular.z
    numbers = (position.x, position.y, q.x, q.y, q.z, q.w, linear.x, linear.y, yaw_rate)
    if not all(map(math.isfinite, numbers)):
        raise InvalidMessageError("holds a number that is not finite")
    if max(map(abs, numbers)) > LARGEST:
        raise InvalidMessageError(f"holds a number beyond {LARGEST:g}")
    if abs(q.z * q.z + q.w * q.w - 1.0) > 0.01:
        raise InvalidMessageError("is not upright: its orientation is no rotation about z")
    yaw = 2.0 * math.atan2(q.z, q.w)
    yaw = math.remainder(yaw, 2 * math.pi)
    cos, sin = math.cos(yaw), math.sin(yaw)
    velocity = (linear.x * cos - linear.y * sin, linear.x * sin + linear.y * cos)
    return Motion(np.array([position.x, position.y, yaw]), np.array(velocity), yaw_rate)


def check_origin(frame: str, odom_in_map: Sequence[float]) -> None:
    """Whether odometry in `frame` may be moved by `odom_in_map`, x, y, yaw [m, m, rad; map].

    Raises
    ------
    InvalidMessageError
        It is in the map already: a robot that is taken to be elsewhere has its fence elsewhere.
    """
    if frame.strip("/") == MAP and any(odom_in_map):
        raise InvalidMessageError(
            f"is in '{MAP}' already, and odom_in_map would move it once more; make that zero"
        )


def encode_twist(command: Floats, stamp: Time, frame: str) -> TwistStamped:
    """Forward speed and yaw rate `(2,)` [m/s, rad/s; base_link]."""
    message = TwistStamped()
    message.header.stamp = stamp
    message.header.frame_id = frame
    message.twist.linear.x = float(command[0])
    message.twist.angular.z = float(command[1])
    return message


def decode_twist(message: TwistStamped) -> Floats:
    """Forward speed and yaw rate, (2,) [m/s, rad/s; base_link].

    Raises
    ------
    InvalidMessageError
        A number is not finite, or the twist asks for what a ground robot cannot do.
    """
    linear, angular = message.twist.linear, message.twist.angular
    numbers = (linear.x, linear.y, linear.z, angular.x, angular.y, angular.z)
    if not all(map(math.isfinite, numbers)):
        raise InvalidMessageError("holds a number that is not finite")
    if linear.y or linear.z or angular.x or angular.y:
        raise InvalidMessageError("asks for more than forward speed and yaw rate")
    return np.array([linear.x, angular.z])


def status(
    name: str,
    values: Mapping[str, Any],
    *,
    hardware_id: str = "",
    message: str = "",
    level: bytes = DiagnosticStatus.OK,
) -> DiagnosticStatus:
    """A status of `diagnostic_msgs`, every value as text."""
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
    )


def diagnostics(stamp: Time, *statuses: DiagnosticStatus) -> DiagnosticArray:
    """An array of statuses of one moment."""
    message = DiagnosticArray(status=list(statuses))
    message.header.stamp = stamp
    return message


def about(robots: Collection[str], message: DiagnosticArray) -> DiagnosticArray:
    """The statuses that are in the name of one of `robots`."""
    own = [status for status in message.status if status.name.partition("/")[0] in robots]
    return DiagnosticArray(header=message.header, status=own)


def values_of(found: DiagnosticStatus) -> dict[str, str]:
    """The values of a status by key."""
    return {value.key: value.value for value in found.values}


def encode_faults(robot: str, spans: Sequence[Span], stamp: Time) -> DiagnosticArray:
    """Ground truth of one robot: all its faults, past and to come."""
    found = []
    for span in spans or (_HEALTHY,):
        values = {
            "kind": span.kind.word,
            "start_s": f"{span.start_s:.3f}",
            "end_s": "" if span.end_s is None else f"{span.end_s:.3f}",
            "source": span.source,
            "parameters": in_words(span.parameters),
            "seed": "" if span.seed is None else span.seed,
        }
        found.append(status(robot, values, hardware_id=robot, message=span.kind.word))
    return diagnostics(stamp, *found)


def decode_faults(message: DiagnosticArray) -> dict[str, list[Span]]:
    """All faults of every robot that the message is about; of a healthy one none.

    Raises
    ------
    InvalidMessageError
        A value is missing or malformed, or a kind of fault is unknown.
    """
    found: dict[str, list[Span]] = {}
    for told in message.status:
        try:
            span = _decode_fault(values_of(told))
        except (KeyError, ValueError, EirError) as error:
            raise InvalidMessageError(f"of '{told.name}' cannot be read: {error!r}") from error
        spans = found.setdefault(told.name, [])
        if span.kind is not FaultKind.NONE:
            spans.append(span)
    return found


def _decode_fault(values: Mapping[str, str]) -> Span:
    start_s, end_s = float(values["start_s"]), values["end_s"]
    times = (start_s, float(end_s) if end_s else None)
    if not all(time is None or math.isfinite(time) for time in times):
        raise ValueError(f"a time is not finite: {start_s}, {end_s}")
    kind = FaultKind.parse(values["kind"])
    given = dict(part.split("=") for part in values.get("parameters", "").split(",") if part)
    seed = int(values["seed"]) if values.get("seed") else None
    source: Any = "operator" if values["source"] == "operator" else "schedule"
    return Span(kind, *times, source, check(kind.word, given), seed)

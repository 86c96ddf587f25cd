"""Messages that no healthy sender produces, for every input of a robot."""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from eir_ros.nodes import clouds, messages, qos

#: What each input is, and how to offer it.
INPUTS: Final[dict[str, tuple[Any, Any]]] = {
    "odom": (Odometry, qos.sensor(0.25)),
    "tracks": (PointCloud2, qos.sensor(0.25)),
    "sites": (PointCloud2, qos.sensor(0.25)),
    "cmd_vel_policy": (TwistStamped, qos.COMMAND),
    "cmd_vel_faulty": (TwistStamped, qos.COMMAND),
}

#: No robot is there; recognised as a lie when a recording is judged [m].
_ELSEWHERE: Final = 777.0


def make(topic: str, spoil: str, robot: str, stamp: Time, rng: np.random.Generator) -> Any:
    """One message for an input of `robot`; `spoil` is one of `schedule.SPOILS`, or `plain`."""
    number = {"nan": math.nan, "huge": 1e30}.get(spoil, _ELSEWHERE)
    frame = "the_moon" if spoil == "frame" else f"{robot}/odom"
    made: Callable[[], Any] = {
        "odom": lambda: _odometry(number, stamp, frame, robot),
        "tracks": lambda: _cloud(clouds.TRACKS, number, stamp, frame),
        "sites": lambda: _cloud(clouds.SITES, number, stamp, "map" if spoil != "frame" else frame),
    }.get(topic, lambda: _twist(spoil, number, stamp, frame, rng))
    message = made()
    if spoil == "bytes" and isinstance(message, PointCloud2):
        message.data = rng.bytes(len(message.data) // 2 + 1)
    return message


def _odometry(number: float, stamp: Time, frame: str, robot: str) -> Odometry:
    motion = messages.Motion(np.array([number, number, 0.0]), np.zeros(2), 0.0)
    return messages.encode_odometry(motion, stamp, frame, f"{robot}/base_link")


def _cloud(dtype: np.dtype[Any], number: float, stamp: Time, frame: str) -> PointCloud2:
    points = np.zeros(3, dtype)
    points["id"] = (0, 1, 2)
    points["x"] = points["y"] = number
    return clouds.encode(points, stamp, frame)


def _twist(
    spoil: str, number: float, stamp: Time, frame: str, rng: np.random.Generator
) -> TwistStamped:
    command = rng.uniform((-0.5, -3.0), (0.5, 3.0)) if spoil == "plain" else np.full(2, number)
    message = messages.encode_twist(command, stamp, frame)
    if spoil == "bytes":
        message.twist.linear.z = 1.0
    return message

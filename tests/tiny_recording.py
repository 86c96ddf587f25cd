"""A recording of three robots that never ran: every number in it is known. No ROS needed.

r2 stands still from 5 s to 15 s. r0 finds it out at 7.4 s, r1 at 8.4 s, which blames r0 at 17.4 s
as well. From 10 s to 11 s the gate of r0 takes half of each command away, for the fence. The
odometry of r1 is not heard from 12 s to 13.5 s. The e-stop holds from 18 s to 19 s.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from eir_ros.contract.recording import About, RobotLimits
from eir_ros.monitor.recording import Recording

TEAM = ("r0", "r1", "r2")
LIMITS = RobotLimits(max_speed=0.5, max_yaw_rate=3.0, max_deceleration=5.0, radius=0.1)
ABOUT = About(
    team=TEAM,
    task="coverage",
    bundle="tiny v1",
    threshold=0.8,
    tick_s=0.1,
    fence=(-2.0, -2.0, 2.0, 2.0),
    limits=dict.fromkeys(TEAM, LIMITS),
    mission_start_ns=0,
)
DURATION_S = 20.0
#: When the first message was recorded [ns].
START_NS = 1_700_000_000_000_000_000

TYPES = get_typestore(Stores.ROS2_JAZZY)
_T = TYPES.types
_DIAGNOSTICS, _CLOUD = "diagnostic_msgs/msg/DiagnosticArray", "sensor_msgs/msg/PointCloud2"
_BELIEFS = [("id", "<u4"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("p_adversary", "<f4")]


class Writer:
    """Writes messages at mission times, by default one nanosecond after each other."""

    def __init__(self, folder: Path, about: About | None, without: Collection[str]) -> None:
        self.recording = Recording(folder, about)
        self._without = without

    def write(self, topic: str, kind: str, message: Any, t_s: float, late_s: float = 0.0) -> None:
        """Record a message of mission time `t_s`, sent and received `late_s` after that."""
        if any(topic.endswith(part) for part in self._without):
            return
        if topic not in self.recording:
            self.recording.add(topic, kind, [])
        at_ns = START_NS + round((t_s + late_s) * 1e9)
        data = bytes(TYPES.serialize_cdr(message, kind))
        self.recording.write(topic, at_ns + 300_000, data, at_ns)


def _header(t_s: float, frame: str = "map") -> Any:
    seconds, rest = divmod(round(t_s * 1e9), 10**9)
    return _T["std_msgs/msg/Header"](_T["builtin_interfaces/msg/Time"](seconds, rest), frame)


def _vector(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Any:
    return _T["geometry_msgs/msg/Vector3"](x, y, z)


def _twist(v: float, w: float) -> Any:
    return _T["geometry_msgs/msg/Twist"](_vector(v), _vector(z=w))


def odometry(t_s: float, x: float, y: float, speed: float) -> Any:
    """A robot that looks along x."""
    pose = _T["geometry_msgs/msg/Pose"](
        _T["geometry_msgs/msg/Point"](x, y, 0.0),
        _T["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
    )
    zeros = np.zeros(36)
    return _T["nav_msgs/msg/Odometry"](
        _header(t_s),
        "base_link",
        _T["geometry_msgs/msg/PoseWithCovariance"](pose, zeros),
        _T["geometry_msgs/msg/TwistWithCovariance"](_twist(speed, 0.0), zeros),
    )


def cloud(t_s: float, points: Any) -> Any:
    """A record array as a cloud."""
    kinds = {"<u4": 6, "<f4": 7}
    fields = [
        _T["sensor_msgs/msg/PointField"](name, place[1], kinds[place[0].str], 1)
        for name, place in points.dtype.fields.items()
    ]
    data = np.frombuffer(points.tobytes(), np.uint8)
    size = points.dtype.itemsize
    return _T[_CLOUD](
        _header(t_s), 1, len(points), fields, False, size, size * len(points), data, True
    )


def diagnostics(t_s: float, name: str, message: str = "", level: int = 0, **values: Any) -> Any:
    """One status."""
    pairs = [_T["diagnostic_msgs/msg/KeyValue"](key, str(value)) for key, value in values.items()]
    status = _T["diagnostic_msgs/msg/DiagnosticStatus"](level, name, message, "", pairs)
    return _T[_DIAGNOSTICS](_header(t_s), [status])


def beliefs(t_s: float, p_adversary: dict[int, tuple[float, int]]) -> Any:
    """{id: (p_adversary, status)} as a cloud."""
    points = np.zeros(len(p_adversary), [*_BELIEFS, ("status", "<u4")])
    points["id"] = list(p_adversary)
    points["p_adversary"] = [p for p, _ in p_adversary.values()]
    points["status"] = [status for _, status in p_adversary.values()]
    return cloud(t_s, points)


def suspicion(observer: int, t_s: float) -> dict[int, tuple[float, int]]:
    """What each robot believes when; 2 is the status of a detection."""
    loud = (0.9, 2)
    quiet = (0.1, 0)
    about = {suspect: quiet for suspect in range(3) if suspect != observer}
    if observer == 0 and 7.0 <= t_s < 16.0:
        about[2] = loud
    if observer == 1 and 8.0 <= t_s < 15.0:
        about[2] = loud
    if observer == 1 and 17.0 <= t_s < 18.0:
        about[0] = loud
    return about


def write_tiny_recording(
    folder: Path,
    *,
    about: About | None = ABOUT,
    without: Collection[str] = (),
    clock: bool = True,
    close: bool = True,
    commands_ahead_s: float = 0.0,
) -> Path:
    """Write the recording of the module's description.

    Parameters
    ----------
    without
        Ends of topics to leave out.
    commands_ahead_s
        How much earlier than they were the clock of who sent commands says that they were.
    """
    writer = Writer(folder, about, without if clock else (*without, "/clock"))
    shift_s = 0.0 if clock else START_NS / 1e9
    for tick in range(round(DURATION_S * 10) + 1):
        _write_tick(writer, tick, shift_s, commands_ahead_s)
        if tick % 5 == 4:
            writer.recording.flush()
    if close:
        writer.recording.close()
    return folder


def _write_tick(writer: Writer, tick: int, shift_s: float, ahead_s: float) -> None:
    t_s = tick / 10
    stamp_s = t_s + shift_s
    clock = _T["rosgraph_msgs/msg/Clock"](_header(t_s).stamp)
    writer.write("/clock", "rosgraph_msgs/msg/Clock", clock, t_s)
    if tick == 0:
        _write_faults(writer, stamp_s)
    if tick in (180, 190):
        stop = _T["std_msgs/msg/Bool"](tick == 180)
        writer.write("/swarm/estop", "std_msgs/msg/Bool", stop, t_s)
    for place, robot in enumerate(TEAM):
        _write_robot(writer, place, f"/{robot}", tick, stamp_s)
        _write_commands(writer, place, f"/{robot}", tick, stamp_s, ahead_s)
    if tick % 10 == 5:
        state = "fence" if 100 <= tick <= 110 else ""
        gate = diagnostics(stamp_s, "r0/gate", state=state or "nominal", last_reason="fence")
        writer.write("/diagnostics", _DIAGNOSTICS, gate, t_s)
    if tick % 2 == 0:
        score = diagnostics(stamp_s, "world", ticks=tick, time_s=t_s, served_fraction=0.75)
        writer.write("/swarm/score", _DIAGNOSTICS, score, t_s)


def _write_faults(writer: Writer, stamp_s: float) -> None:
    values = {"kind": "stop", "start_s": "5.000", "end_s": "15.000", "source": "schedule"}
    truth = diagnostics(stamp_s, "r2", **values)
    writer.write("/swarm/faults", _DIAGNOSTICS, truth, 0.0)


def _write_robot(writer: Writer, place: int, robot: str, tick: int, stamp_s: float) -> None:
    t_s = tick / 10
    x, y, speed = (-1.8 + 0.1 * t_s, 0.0, 0.1) if place == 0 else (0.0, float(place), 0.0)
    if not (place == 1 and 12.0 < t_s < 13.5):
        message = odometry(stamp_s, x, y, speed)
        writer.write(f"{robot}/odom", "nav_msgs/msg/Odometry", message, t_s)
    tracks = cloud(stamp_s, np.zeros(2, [("id", "<u4"), ("x", "<f4")]))
    writer.write(f"{robot}/tracks", _CLOUD, tracks, t_s, 0.001)
    if tick % 2 == 0:
        belief = beliefs(stamp_s, suspicion(place, t_s))
        writer.write(f"{robot}/beliefs", _CLOUD, belief, t_s, 0.005)
        decision = diagnostics(stamp_s, f"{robot[1:]}/decision", "stop")
        writer.write(f"{robot}/decision", _DIAGNOSTICS, decision, t_s, 0.005)


def _write_commands(
    writer: Writer, place: int, robot: str, tick: int, stamp_s: float, ahead_s: float
) -> None:
    t_s, v = tick / 10, 0.4
    kind = "geometry_msgs/msg/TwistStamped"
    less = 0.5 if place == 0 and 10.0 <= t_s < 11.0 else 1.0
    for topic, speed, late_s in (("cmd_vel_policy", v, 0.004), ("cmd_vel", v * less, 0.006)):
        command = _T[kind](_header(stamp_s), _twist(speed, 0.0))
        writer.write(f"{robot}/{topic}", kind, command, t_s, late_s - ahead_s)

"""Records all topics of the swarm, byte for byte, into a rosbag2 directory with MCAP storage.

It says how it is doing in /diagnostics, as `recorder`. When the disk is nearly full, or cannot be
written to, it says so, ends the recording so that it can be read, and goes on saying so.
"""

import json
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from pydantic import Field as Setting
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool
from visualization_msgs.msg import MarkerArray

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.recording import MIN_FREE_MB, About
from eir_ros.monitor.recording import Recording, free_mb, refuse_full_disk
from eir_ros.nodes import messages, qos
from eir_ros.nodes.managed import ManagedNode
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import run

#: At most so much is lost when the recorder is killed [s].
FLUSH_S: Final = 0.5

#: The operator is warned when less is free than this many times what ends the recording.
_WARN_TIMES: Final = 2.0

_MB: Final = 1e6

_BEST_EFFORT, _RELIABLE = False, True
_VOLATILE, _LATCHED = False, True

#: Topics of each robot, relative to its namespace, and how to ask for them.
ROBOT_TOPICS: Final = (
    ("odom", Odometry, _BEST_EFFORT, _VOLATILE),
    ("tracks", PointCloud2, _BEST_EFFORT, _VOLATILE),
    ("sites", PointCloud2, _BEST_EFFORT, _VOLATILE),
    ("obstacles", PointCloud2, _BEST_EFFORT, _VOLATILE),
    ("cmd_vel_policy", TwistStamped, _RELIABLE, _VOLATILE),
    ("cmd_vel_faulty", TwistStamped, _RELIABLE, _VOLATILE),
    ("cmd_vel", TwistStamped, _RELIABLE, _VOLATILE),
    ("beliefs", PointCloud2, _RELIABLE, _LATCHED),
    ("decision", DiagnosticArray, _RELIABLE, _LATCHED),
    ("gate_events", DiagnosticArray, _RELIABLE, _LATCHED),
    ("gate_events", DiagnosticArray, _RELIABLE, _VOLATILE),
    ("trust", DiagnosticArray, _RELIABLE, _LATCHED),
)

#: Topics of the swarm as a whole.
SWARM_TOPICS: Final = (
    ("/clock", ClockMessage, _BEST_EFFORT, _VOLATILE),
    ("/diagnostics", DiagnosticArray, _RELIABLE, _VOLATILE),
    ("/swarm/estop", Bool, _RELIABLE, _LATCHED),
    ("/swarm/faults", DiagnosticArray, _RELIABLE, _LATCHED),
    ("/swarm/markers", MarkerArray, _BEST_EFFORT, _VOLATILE),
    ("/swarm/score", DiagnosticArray, _RELIABLE, _LATCHED),
)


class Parameters(Schema):
    """Parameters of the recorder node."""

    team: tuple[str, ...] = Setting(description="Names of the robots to record")
    out: str = Setting(description="Folder of the recording; must not exist")
    about: str = Setting("", description="What the recording says of itself, as JSON")
    min_free_mb: float = Setting(
        MIN_FREE_MB,
        ge=0.0,
        le=1e9,
        description="With less free on the disk the recording ends [MB]",
    )
    split_mb: float = Setting(
        1000.0, ge=0.0, le=1e9, description="A file this large is followed by another; 0: never"
    )
    split_s: float = Setting(
        3600.0, ge=0.0, le=1e6, description="A file this long is followed by another; 0: never"
    )
    autostart: bool = Setting(True, description="Configure and activate without being told")


class Recorder(ManagedNode):
    """See the module.

    Raises
    ------
    EirError
        A parameter is wrong, the folder exists or cannot be written to, or its disk is nearly
        full already.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        self.settings = declare(self, Parameters, changeable=frozenset({"min_free_mb"}))
        self._open = False
        self.bring_up(self.settings.autostart)

    def configure(self) -> None:
        """Open the recording, and subscribe."""
        settings = self.settings
        self._folder = Path(settings.out)
        refuse_full_disk(self._folder, settings.min_free_mb)
        # before there is a file, because a name that is none is refused here
        self._listen()
        self._recording = Recording(
            self._folder,
            self._about(),
            split_bytes=round(settings.split_mb * _MB),
            split_s=settings.split_s,
        )
        #: Why nothing is recorded any more; empty while it is.
        self._ended = ""
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._syncing: Future[None] | None = None
        self._open = True
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._report_pub = self.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self.create_timer(FLUSH_S, self._on_flush, clock=steady)
        self.create_timer(1.0, self._report, clock=steady)

    def activate(self) -> None:
        """Record what arrives from now on."""
        self.get_logger().info(f"records to {self.settings.out}")

    def cleanup(self) -> None:
        """Complete the recording."""
        self._open = False
        self._disk.shutdown()
        if not self._ended:
            self._recording.close()

    def _about(self) -> About:
        text = self.settings.about
        try:
            given = json.loads(text) if text else {"team": self.settings.team}
        except ValueError as error:
            raise EirError(f"/recorder: parameter about is not JSON: {error}") from error
        about = validate(given, About, where="/recorder: parameter about")
        if about.mission_start_ns is not None:
            return about
        # the simulated mission begins at zero, a real one when its processes are started
        simulated = self.get_parameter("use_sim_time").value
        start_ns = 0 if simulated else self.get_clock().now().nanoseconds
        return about.model_copy(update={"mission_start_ns": start_ns})

    def _listen(self) -> None:
        topics = list(SWARM_TOPICS)
        for robot in self.settings.team:
            topics += [(f"/{robot}/{topic}", *rest) for topic, *rest in ROBOT_TOPICS]
        for topic, kind, reliable, latched in topics:
            profile = qos.recorded(reliable=reliable, latched=latched)
            self.create_subscription(
                kind, topic, partial(self._on_message, topic, _name(kind)), profile, raw=True
            )

    def destroy_node(self) -> None:
        """Complete the recording."""
        if self._open:
            self.cleanup()
        super().destroy_node()

    def _on_message(self, topic: str, kind: str, data: bytes, info: dict[str, int]) -> None:
        if self._ended or not self.active:
            return
        received_ns = info["received_timestamp"] or time.time_ns()
        try:
            if topic not in self._recording:
                self._recording.add(topic, kind, self._offered(topic))
            self._recording.write(topic, received_ns, data, info["source_timestamp"] or received_ns)
        except EirError as error:
            self._give_up(str(error))

    def _offered(self, topic: str) -> list[dict[str, Any]]:
        """How the publishers of a topic offer it, each way once."""
        found = [_offer(info.qos_profile) for info in self.get_publishers_info_by_topic(topic)]
        return [offer for place, offer in enumerate(found) if offer not in found[:place]]

    # The disk

    def _on_flush(self) -> None:
        if self._ended:
            return
        try:
            self._recording.flush()
        except EirError as error:
            self._give_up(str(error))
            return
        # a slow disk must not keep messages waiting until they are dropped
        if self._syncing is None or self._syncing.done():
            if self._syncing is not None and (failed := self._syncing.exception()):
                self._give_up(str(failed))
                return
            self._syncing = self._disk.submit(self._recording.sync)
        if self._recording.deleted:
            self._recording.abandon()
            self._stopped(f"{self.settings.out} was deleted, and what was recorded with it")
            return
        left_mb = free_mb(self._folder)
        if left_mb < self._min_free_mb():
            self._end(f"the disk is nearly full: {left_mb:.0f} MB are free")

    def _end(self, reason: str) -> None:
        """Complete the recording before its time."""
        try:
            self._recording.close()
        except EirError as error:
            self._give_up(f"{reason}; {error}")
            return
        self._stopped(f"{reason}; the recording is complete up to here")

    def _give_up(self, reason: str) -> None:
        """Keep what was written, without an index."""
        self._recording.abandon()
        self._stopped(f"{reason.rstrip('.')}; `eir recover {self.settings.out}` makes it whole")

    def _stopped(self, reason: str) -> None:
        self._ended = reason
        self.get_logger().error(f"records no more: {reason}")
        self._report()

    def _min_free_mb(self) -> float:
        return float(self.get_parameter("min_free_mb").value)

    def _report(self) -> None:
        left_mb, least_mb = free_mb(self._folder), self._min_free_mb()
        level, said = DiagnosticStatus.OK, "recording"
        if self._ended:
            level, said = DiagnosticStatus.ERROR, f"records no more: {self._ended}"
        elif left_mb < _WARN_TIMES * least_mb:
            level = DiagnosticStatus.WARN
            said = f"{left_mb:.0f} MB are free; the recording ends at {least_mb:g} MB"
        values = {
            "folder": self.settings.out,
            "messages": self._recording.messages,
            "size_mb": f"{self._recording.size / _MB:.1f}",
            "free_mb": f"{left_mb:.0f}",
        }
        found = messages.status("recorder", values, message=said, level=level)
        self._report_pub.publish(messages.diagnostics(self.get_clock().now().to_msg(), found))


def _name(kind: Any) -> str:
    """The name of a message class: package/msg/Type."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def _offer(profile: QoSProfile) -> dict[str, Any]:
    """Return a profile in rosbag2's words."""
    # DDS does not tell others a publisher's history: the recording asks for enough to play it back
    return {
        "history": "keep_last",
        "depth": 100,
        "reliability": profile.reliability.name.lower(),
        "durability": profile.durability.name.lower(),
        "deadline": _time(profile.deadline),
        "lifespan": _time(profile.lifespan),
        "liveliness": profile.liveliness.name.lower(),
        "liveliness_lease_duration": _time(profile.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": False,
    }


def _time(duration: Duration) -> dict[str, int]:
    seconds, rest = divmod(duration.nanoseconds, 1_000_000_000)
    return {"sec": seconds, "nsec": rest}


def main() -> None:
    """Run the recorder as a process of its own."""
    sys.exit(run(lambda: [Recorder()]))


if __name__ == "__main__":
    main()

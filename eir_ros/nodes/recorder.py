"""Records all topics of the swarm, byte for byte, into a rosbag2 directory with MCAP storage."""

import sys
import time
from functools import partial
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from pydantic import Field as Setting
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool
from visualization_msgs.msg import MarkerArray

from eir_ros.contract.config import Schema
from eir_ros.monitor.recording import Recording
from eir_ros.nodes import qos
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import run

#: At most so much is lost when the recorder is killed [s].
FLUSH_S: Final = 0.5

_BEST_EFFORT, _RELIABLE = False, True
_VOLATILE, _LATCHED = False, True

#: Topics of each robot, relative to its namespace, and how to ask for them.
ROBOT_TOPICS: Final = (
    ("odom", Odometry, _BEST_EFFORT, _VOLATILE),
    ("tracks", PointCloud2, _BEST_EFFORT, _VOLATILE),
    ("sites", PointCloud2, _BEST_EFFORT, _VOLATILE),
    ("cmd_vel_policy", TwistStamped, _RELIABLE, _VOLATILE),
    ("cmd_vel_faulty", TwistStamped, _RELIABLE, _VOLATILE),
    ("cmd_vel", TwistStamped, _RELIABLE, _VOLATILE),
    ("beliefs", PointCloud2, _RELIABLE, _VOLATILE),
    ("decision", DiagnosticArray, _RELIABLE, _VOLATILE),
    ("gate_events", DiagnosticArray, _RELIABLE, _VOLATILE),
)

#: Topics of the swarm as a whole.
SWARM_TOPICS: Final = (
    ("/clock", ClockMessage, _BEST_EFFORT, _VOLATILE),
    ("/diagnostics", DiagnosticArray, _RELIABLE, _VOLATILE),
    ("/swarm/estop", Bool, _RELIABLE, _LATCHED),
    ("/swarm/faults", DiagnosticArray, _RELIABLE, _LATCHED),
    ("/swarm/markers", MarkerArray, _BEST_EFFORT, _VOLATILE),
    ("/swarm/score", DiagnosticArray, _RELIABLE, _VOLATILE),
)


class Parameters(Schema):
    """Parameters of the recorder node."""

    team: tuple[str, ...] = Setting(description="Names of the robots to record")
    out: str = Setting(description="Folder of the recording; must not exist")


class Recorder(Node):
    """See the module.

    Raises
    ------
    EirError
        A parameter is wrong, or the folder exists or cannot be written to.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        settings = declare(self, Parameters)
        self._recording = Recording(settings.out)
        topics = list(SWARM_TOPICS)
        for robot in settings.team:
            topics += [(f"/{robot}/{topic}", *rest) for topic, *rest in ROBOT_TOPICS]
        for topic, kind, reliable, latched in topics:
            profile = qos.recorded(reliable=reliable, latched=latched)
            self.create_subscription(
                kind, topic, partial(self._on_message, topic, _name(kind)), profile, raw=True
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(FLUSH_S, self._recording.flush, clock=steady)
        self.get_logger().info(f"records to {settings.out}")

    def destroy_node(self) -> None:
        """Complete the recording."""
        self._recording.close()
        super().destroy_node()

    def _on_message(self, topic: str, kind: str, data: bytes, info: dict[str, int]) -> None:
        if topic not in self._recording:
            self._recording.add(topic, kind, self._offered(topic))
        self._recording.write(topic, info["received_timestamp"] or time.time_ns(), data)

    def _offered(self, topic: str) -> list[Qos]:
        """How the publishers of a topic offer it, each way once."""
        found = [_qos(info.qos_profile) for info in self.get_publishers_info_by_topic(topic)]
        return list(dict.fromkeys(found))


def _name(kind: Any) -> str:
    """The name of a message class: package/msg/Type."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def _qos(profile: QoSProfile) -> Qos:
    # DDS does not tell others a publisher's history: the recording asks for enough to play it back
    return Qos(
        QosHistory.KEEP_LAST,
        100,
        QosReliability(profile.reliability.value),
        QosDurability(profile.durability.value),
        _time(profile.deadline),
        _time(profile.lifespan),
        QosLiveliness(profile.liveliness.value),
        _time(profile.liveliness_lease_duration),
        False,
    )


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, 1_000_000_000))


def main() -> None:
    """Run the recorder as a process of its own."""
    sys.exit(run(lambda: [Recorder()]))


if __name__ == "__main__":
    main()

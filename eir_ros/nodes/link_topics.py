"""The messages that cross between hosts, and how they are heard and told on each."""

from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from eir_ros.link.streams import Channel, Kind, Stream
from eir_ros.nodes import qos

MESSAGES: Final[dict[Kind, Any]] = {
    Kind.CLOCK: Clock,
    Kind.CLOUD: PointCloud2,
    Kind.DIAGNOSTICS: DiagnosticArray,
    Kind.ODOMETRY: Odometry,
    Kind.TWIST: TwistStamped,
}

#: Deadlines that senses offer [s]: those of the simulated world, whose senses come by a link.
_DEADLINES_S: Final = {"odom": 0.25, "tracks": 0.25, "sites": 0.5}


def heard_with(stream: Stream) -> QoSProfile:
    """How to ask for a topic that is to cross."""
    commands = stream.kind is Kind.TWIST
    return qos.recorded(reliable=commands or stream.channel is Channel.SURE, latched=stream.kept)


def told_with(stream: Stream) -> QoSProfile:
    """How to publish a topic that has crossed: as if it had been published here."""
    name = stream.topic.rpartition("/")[2]
    if name in _DEADLINES_S:
        return qos.sensor(_DEADLINES_S[name])
    if stream.topic == "/diagnostics":
        return qos.DIAGNOSTICS
    if stream.topic == "/swarm/faults":
        return qos.FAULTS
    return {Kind.CLOCK: qos.CLOCK, Kind.TWIST: qos.COMMAND}.get(stream.kind, qos.EVENT)

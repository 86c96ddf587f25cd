"""Which topics cross between hosts, and who may send them.

A robot's loop, from its senses to its motors, stays on its own computer. What crosses is what the
operator looks at, the e-stop, and the operator's orders. Only in a simulation, where the bodies are
in the operator's computer, do senses and commands cross as well. A host speaks for the robots that
it carries and for nobody else; the operator's host speaks for itself.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

#: Name of the host that carries world, monitor and recorder.
OPERATOR: Final = "operator"

#: Topics on which every robot speaks, each status in its own name.
SHARED: Final = ("/diagnostics", "/swarm/faults")

#: What the operator, and nobody else, may order: a text parameter of each node of a robot.
ORDERS: Final = {"fault": "kind", "agent": "trust_order"}

#: What an operator looks at needs to be no fresher [Hz].
_LOOK_HZ: Final = 5.0


class Channel(StrEnum):
    """The two ways from host to host."""

    #: Only the newest counts: best effort.
    LIVE = "live"
    #: All of it counts: reliable, for as long as an envelope is valid.
    SURE = "sure"


class Kind(StrEnum):
    """The types of the messages that cross."""

    CLOCK = "rosgraph_msgs/msg/Clock"
    CLOUD = "sensor_msgs/msg/PointCloud2"
    DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
    ODOMETRY = "nav_msgs/msg/Odometry"
    TWIST = "geometry_msgs/msg/TwistStamped"


class Stream(NamedTuple):
    """One topic in one direction."""

    topic: str
    kind: Kind
    channel: Channel
    #: Messages beyond so many in a second do not cross [Hz]; 0: all do.
    max_hz: float = 0.0
    #: The newest is sent again and again, for who joins late.
    kept: bool = False


def from_robots(robots: Iterable[str], *, simulation: bool) -> tuple[Stream, ...]:
    """What the host of `robots` sends to the operator."""
    found = [
        Stream("/diagnostics", Kind.DIAGNOSTICS, Channel.SURE),
        Stream("/swarm/faults", Kind.DIAGNOSTICS, Channel.SURE, kept=True),
    ]
    for robot in robots:
        found += [
            Stream(f"/{robot}/beliefs", Kind.CLOUD, Channel.SURE),
            Stream(f"/{robot}/decision", Kind.DIAGNOSTICS, Channel.SURE),
            Stream(f"/{robot}/gate_events", Kind.DIAGNOSTICS, Channel.SURE),
            Stream(f"/{robot}/trust", Kind.DIAGNOSTICS, Channel.SURE, kept=True),
            Stream(f"/{robot}/cmd_vel_policy", Kind.TWIST, Channel.LIVE),
            Stream(f"/{robot}/cmd_vel_faulty", Kind.TWIST, Channel.LIVE),
            Stream(f"/{robot}/cmd_vel", Kind.TWIST, Channel.LIVE),
        ]
        if not simulation:
            found += _senses(robot, _LOOK_HZ)
            found.append(Stream(f"/{robot}/obstacles", Kind.CLOUD, Channel.LIVE, _LOOK_HZ))
    return tuple(found)


def to_robots(robots: Iterable[str], *, simulation: bool) -> tuple[Stream, ...]:
    """What the operator sends to the host of `robots`, beside the e-stop and orders."""
    if not simulation:
        return ()
    senses = [stream for robot in robots for stream in _senses(robot, 0.0)]
    return (Stream("/clock", Kind.CLOCK, Channel.LIVE), *senses)


def _senses(robot: str, max_hz: float) -> list[Stream]:
    kinds = (("odom", Kind.ODOMETRY), ("tracks", Kind.CLOUD), ("sites", Kind.CLOUD))
    return [Stream(f"/{robot}/{name}", kind, Channel.LIVE, max_hz) for name, kind in kinds]

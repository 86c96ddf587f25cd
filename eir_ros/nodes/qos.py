"""Quality of service of every topic, said once.

A publisher offers a deadline and a subscription asks for one; they connect only when the offer is
at least as strict. A driver that offers none can be connected all the same by the parameter
`qos_overrides./r0/odom.subscription.deadline` (nanoseconds), which `OVERRIDES` declares.
"""

from typing import Final

from rclpy.duration import Duration
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

#: For sensor subscriptions: what an integrator may need to match another maker's driver.
OVERRIDES: Final = QoSOverridingOptions([QoSPolicyKind.DEADLINE, QoSPolicyKind.RELIABILITY])


def sensor(deadline_s: float) -> QoSProfile:
    """Odometry, tracks and sites: best effort, a new one within `deadline_s`.

    The depth lets a process that was held up for some ticks catch up without a gap in its beliefs.
    """
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=5,
        reliability=QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.VOLATILE,
        deadline=Duration(nanoseconds=round(deadline_s * 1e9)),
    )


def _reliable(depth: int, durability: QoSDurabilityPolicy) -> QoSProfile:
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.RELIABLE,
        durability=durability,
    )


def _best_effort(depth: int) -> QoSProfile:
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.VOLATILE,
    )


#: cmd_vel_policy, cmd_vel_faulty, cmd_vel: each hop matters, an old command does not.
COMMAND: Final = _reliable(2, QoSDurabilityPolicy.VOLATILE)

#: Beliefs, decisions, score: everyone who listens sees all of them, also in lockstep, and also the
#: first ones, which are said before every pair of processes has found each other.
EVENT: Final = _reliable(100, QoSDurabilityPolicy.TRANSIENT_LOCAL)

#: /diagnostics, as the rest of ROS publishes it.
DIAGNOSTICS: Final = _reliable(10, QoSDurabilityPolicy.VOLATILE)

#: Beliefs as the monitor hears them: deep enough for a lockstep run far above real time.
BELIEFS: Final = _reliable(500, QoSDurabilityPolicy.TRANSIENT_LOCAL)

#: Odometry and sites as the monitor hears them: the newest is enough, at any rate, from any sender.
NEWEST: Final = _best_effort(1)

#: /swarm/estop: who joins late still learns of it.
ESTOP: Final = _reliable(1, QoSDurabilityPolicy.TRANSIENT_LOCAL)

#: Subscriptions that hear every other sender of /swarm/estop as well, a button's driver for one;
#: what arrives by them has just been sent.
ESTOP_LIVE: Final = (_reliable(10, QoSDurabilityPolicy.VOLATILE), _best_effort(10))

#: /swarm/faults: who joins late still learns of all of them.
FAULTS: Final = _reliable(64, QoSDurabilityPolicy.TRANSIENT_LOCAL)

#: /swarm/markers: drawn anew each time.
MARKERS: Final = _reliable(1, QoSDurabilityPolicy.VOLATILE)


def recorded(*, reliable: bool, latched: bool) -> QoSProfile:
    """What the recorder asks for; deep enough for what may arrive while a chunk is written."""
    durability = QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE
    if reliable:
        return _reliable(100, durability)
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=100,
        reliability=QoSReliabilityPolicy.BEST_EFFORT,
        durability=durability,
    )


#: /clock, as rclpy subscribes to it.
CLOCK: Final = _best_effort(1)


def envelopes(*, reliable: bool) -> QoSProfile:
    """What hosts say to each other; deep enough for a flood not to push out what counts at once."""
    return _reliable(50, QoSDurabilityPolicy.VOLATILE) if reliable else _best_effort(50)

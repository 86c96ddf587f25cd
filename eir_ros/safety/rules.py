"""The rules of the gate, each a pure function: a command goes in, at most as much comes out."""

from collections.abc import Iterable
from math import atan2, copysign, cos, floor, hypot, pi, remainder, sqrt
from typing import Final

from eir_ros.safety.limits import Allowed, Fence, GateLimits, Pose, Track

#: A robot whose motion points this near to straight inward is coming back [rad]: it is not
#: slowed down, or it could never leave the fence's edge. What is left to a right angle is for
#: the turn it makes until it stands.
_INWARD: Final = pi / 3


def within(limits: GateLimits, v: float, w: float) -> Allowed:
    """Slow a command down along its path until it is within the limits."""
    excess = max(abs(v) / limits.max_speed, abs(w) / limits.max_yaw_rate)
    if excess <= 1.0:
        return Allowed(v, w, "")
    # the clip only undoes rounding
    v = max(-limits.max_speed, min(limits.max_speed, v / excess))
    w = max(-limits.max_yaw_rate, min(limits.max_yaw_rate, w / excess))
    return Allowed(v, w, "limit")


def eased(
    limits: GateLimits, asked: Allowed, sent: tuple[float, float], elapsed_s: float
) -> Allowed:
    """Slow a command down along its path until it grows no faster than may be.

    Speed and yaw rate are compared with what was `sent` so long ago; one that changes its sign
    starts from zero. What shrinks passes: to soften a brake would be to add.
    """
    share = 1.0
    for wanted, before, growth in (
        (asked.v, sent[0], limits.max_acceleration),
        (asked.w, sent[1], limits.max_yaw_acceleration),
    ):
        most = (abs(before) if wanted * before > 0 else 0.0) + growth * elapsed_s
        if abs(wanted) > most:
            share = min(share, most / abs(wanted))
    if share == 1.0:
        return asked
    reason = "acceleration" if asked.reason in ("", "limit") else asked.reason
    return Allowed(asked.v * share, asked.w * share, reason)


def inside(limits: GateLimits, fence: Fence, pose: Pose, v: float, w: float) -> float:
    """Speed from which the robot can still stop before every side that it is not leaving."""
    x, y, yaw = pose
    heading = yaw if v >= 0 else yaw + pi
    turn = w * limits.reaction_s
    speed = abs(v)
    sides = (
        (pi, fence[2] - x),
        (-pi / 2, fence[3] - y),
        (0.0, x - fence[0]),
        (pi / 2, y - fence[1]),
    )
    for inward, gap in sides:
        off = remainder(heading - inward, 2 * pi)
        if max(abs(off), abs(off + turn)) > _INWARD:
            speed = min(speed, braking_speed(limits, gap))
    return v if speed == abs(v) else copysign(speed, v)


def apart(limits: GateLimits, pose: Pose, v: float, w: float, tracks: Iterable[Track]) -> float:
    """Speed from which the robot can still stop before it is too near to anybody.

    What counts is how fast it nears them, in the worst of the headings that it sweeps in the
    reaction time: passing by is not slowed down, and whoever backs away may always do so. Others
    are taken to go on as they move, until this robot stands.
    """
    x, y, yaw = pose
    heading = yaw if v >= 0 else yaw + pi
    turn = w * limits.reaction_s
    speed = abs(v)
    for track in tracks:
        dx, dy = track.x - x, track.y - y
        distance = hypot(dx, dy)
        nearest = _nearest(heading - atan2(dy, dx), turn)
        if nearest >= pi / 2:
            continue
        # who was lost from sight may have come nearer by as much as it moves
        gap = distance - track.keep - track.unseen_s * hypot(track.vx, track.vy)
        nearing = 0.0
        if distance > 0:
            nearing = max(0.0, -(track.vx * dx + track.vy * dy) / distance)
        share = cos(nearest)
        most = braking_speed(limits, gap, nearing)
        if speed * share > most:
            speed = most / share
    return v if speed == abs(v) else copysign(min(speed, abs(v)), v)


def _nearest(off: float, turn: float) -> float:
    """Least angle from a direction [rad], swept from `off` to `off + turn`; in [0, pi]."""
    off = remainder(off, 2 * pi)
    if floor(off / (2 * pi)) != floor((off + turn) / (2 * pi)):
        return 0.0
    return min(abs(off), abs(remainder(off + turn, 2 * pi)))


def braking_speed(limits: GateLimits, gap: float, nearing: float = 0.0) -> float:
    """Highest speed [m/s] from which there is room to stop; 0 where there is none.

    Solves gap = v * reaction_s + v^2 / (2 a) + nearing * (reaction_s + v / a) for v, where a is
    max_deceleration and what is ahead comes at `nearing` [m/s] until the robot stands.
    """
    room = gap - nearing * limits.reaction_s
    if room <= 0.0:
        return 0.0
    a = limits.max_deceleration
    slope = limits.reaction_s + nearing / a
    # this form does not cancel for small gaps, nor overflow for large ones
    return 2.0 * room / (slope + hypot(slope, sqrt(2.0 * room / a)))

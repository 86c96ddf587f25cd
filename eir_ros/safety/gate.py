"""The gate's rules: what is left of a command on its way to the motors.

The gate may only reduce. A command that is fresh, finite, within the limits and far enough from
the fence passes bit for bit; of any other, less is left; nothing makes it larger. Times are those
of a steady clock at arrival [s]: a message's own stamp can be wrong, and simulated time can stop.
"""

from math import copysign, isfinite, pi, remainder, sqrt
from typing import Final, Literal, NamedTuple

from pydantic import Field as Setting
from pydantic import field_validator

from eir_ros.contract.config import Schema

Fence = tuple[float, float, float, float]

#: Why a command was reduced, the strongest rule first.
Reason = Literal[
    "estop",
    "no_command",
    "no_odom",
    "invalid_command",
    "stale_command",
    "stale_odom",
    "fence",
    "limit",
    "",
]

#: A robot whose motion points this near to straight inward is coming back [rad]: it is not
#: slowed down, or it could never leave the fence's edge. What is left to a right angle is for
#: the turn it makes until it stands.
_INWARD: Final = pi / 3


class GateLimits(Schema):
    """What a robot may do at most. SI units, REP-103.

    With the defaults a robot stands 0.42 s after the last valid command; the gate's node looks
    every 0.05 s, which keeps it below the half second that is promised.
    """

    #: [m/s]
    max_speed: float = Setting(0.5, gt=0)
    #: [rad/s]
    max_yaw_rate: float = Setting(3.0, gt=0)
    #: How fast silence brings a robot to a stand from full speed [m/s^2].
    max_deceleration: float = Setting(3.0, gt=0)
    #: A command, or an odometry that the fence needs, older than this is stale [s].
    command_timeout_s: float = Setting(0.25, gt=0)
    #: Longest time from measuring a pose until a command that is based on a newer one acts [s].
    reaction_s: float = Setting(0.3, gt=0)
    #: xmin, ymin, xmax, ymax of the area to stay in [m; map]; None: no fence.
    fence: Fence | None = None

    @field_validator("fence")
    @classmethod
    def _has_area(cls, fence: Fence | None) -> Fence | None:
        if fence is not None and not (fence[0] < fence[2] and fence[1] < fence[3]):
            raise ValueError("expected xmin < xmax and ymin < ymax")
        return fence

    @property
    def stop_s(self) -> float:
        """Time from full speed to a stand [s]."""
        return self.max_speed / self.max_deceleration


class Allowed(NamedTuple):
    """What is left of a command."""

    #: Forward speed [m/s; base_link]
    v: float
    #: Yaw rate [rad/s; base_link]
    w: float
    #: The rule that took something away; empty when it is the newest command, bit for bit.
    reason: Reason


class Gate:
    """The rules and what they remember; tell it what arrives, ask it what may be sent.

    The e-stop wins and is latched until the operator releases it. A missing, invalid or stale
    command fades to zero along the path it described, within `GateLimits.stop_s`; so does one
    whose distance from the fence is no longer known.
    """

    def __init__(self, limits: GateLimits) -> None:
        self.limits = limits
        self.estop = False
        self._asked: Allowed | None = None
        self._silent_from = 0.0
        self._invalid = False
        self._pose: tuple[float, float, float] | None = None
        self._pose_at = 0.0

    def odometry(self, x: float, y: float, yaw: float, now: float) -> None:
        """A pose [m, m, rad; map] arrived at `now` [s]; one that is not finite is ignored."""
        if isfinite(x) and isfinite(y) and isfinite(yaw):
            self._pose, self._pose_at = (x, y, yaw), now

    def command(self, v: float, w: float, now: float) -> None:
        """A command [m/s, rad/s; base_link] arrived at `now` [s]."""
        self._invalid = not (isfinite(v) and isfinite(w))
        if not self._invalid:
            self._asked = _within(self.limits, v, w)
            self._silent_from = now + self.limits.command_timeout_s
        else:
            # whoever says nonsense is not waited for
            self._silent_from = min(self._silent_from, now)

    def decide(self, now: float) -> Allowed:
        """What may be sent to the motors at `now` [s]."""
        if self.estop:
            return Allowed(0.0, 0.0, "estop")
        if self._asked is None:
            return Allowed(0.0, 0.0, "invalid_command" if self._invalid else "no_command")
        allowed = self._asked
        share, reason = self._fading(now)
        if reason:
            allowed = Allowed(allowed.v * share, allowed.w * share, reason)
        if self.limits.fence is None or self._pose is None:
            return allowed
        v = _inside(self.limits, self.limits.fence, self._pose, allowed)
        return allowed if v == allowed.v else Allowed(v, allowed.w, reason or "fence")

    def _fading(self, now: float) -> tuple[float, Reason]:
        """The share of the last valid command that is left, and what makes it fade."""
        since = self._silent_from
        reason: Reason = "invalid_command" if self._invalid else "stale_command"
        if self.limits.fence is not None:
            if self._pose is None:
                return 0.0, "no_odom"
            pose_until = self._pose_at + self.limits.command_timeout_s
            if pose_until < since:
                since, reason = pose_until, "stale_odom"
        if now <= since and not self._invalid:
            return 1.0, ""
        return min(1.0, max(0.0, 1.0 - (now - since) / self.limits.stop_s)), reason


def _within(limits: GateLimits, v: float, w: float) -> Allowed:
    """Slow a command down along its path until it is within the limits."""
    excess = max(abs(v) / limits.max_speed, abs(w) / limits.max_yaw_rate)
    if excess <= 1.0:
        return Allowed(v, w, "")
    # the clip only undoes rounding
    v = max(-limits.max_speed, min(limits.max_speed, v / excess))
    w = max(-limits.max_yaw_rate, min(limits.max_yaw_rate, w / excess))
    return Allowed(v, w, "limit")


def _inside(
    limits: GateLimits, fence: Fence, pose: tuple[float, float, float], allowed: Allowed
) -> float:
    """Speed from which the robot can still stop before every side that it is not leaving."""
    x, y, yaw = pose
    heading = yaw if allowed.v >= 0 else yaw + pi
    turn = allowed.w * limits.reaction_s
    speed = abs(allowed.v)
    sides = (
        (pi, fence[2] - x),
        (-pi / 2, fence[3] - y),
        (0.0, x - fence[0]),
        (pi / 2, y - fence[1]),
    )
    for inward, gap in sides:
        off = remainder(heading - inward, 2 * pi)
        if max(abs(off), abs(off + turn)) > _INWARD:
            speed = min(speed, _braking_speed(limits, gap))
    return allowed.v if speed == abs(allowed.v) else copysign(speed, allowed.v)


def _braking_speed(limits: GateLimits, gap: float) -> float:
    """Solve gap = v * reaction_s + v^2 / (2 * max_deceleration) for v [m/s]; 0 outside."""
    if gap <= 0.0:
        return 0.0
    reaction = limits.reaction_s
    # this form does not cancel for small gaps
    return 2.0 * gap / (reaction + sqrt(reaction**2 + 2.0 * gap / limits.max_deceleration))

"""What a robot may do at most, and what is left of a command."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field as Setting
from pydantic import field_validator

from eir_ros.contract.config import Schema

Fence = tuple[float, float, float, float]
#: x, y, yaw [m, m, rad; map].
Pose = tuple[float, float, float]
Number = Annotated[float, Setting(allow_inf_nan=False)]

#: Why a command was reduced, the strongest rule first.
Reason = Literal[
    "estop",
    "no_command",
    "no_odom",
    "no_tracks",
    "invalid_command",
    "stale_command",
    "stale_odom",
    "stale_tracks",
    "fence",
    "separation",
    "acceleration",
    "limit",
    "",
]


class GateLimits(Schema):
    """What a robot may do at most. SI units, REP-103.

    With the defaults a robot stands 0.42 s after the last valid command; the gate's node looks
    every 0.05 s, which keeps it below the half second that is promised.
    """

    #: [m/s]
    max_speed: Number = Setting(0.5, gt=0)
    #: [rad/s]
    max_yaw_rate: Number = Setting(3.0, gt=0)
    #: How fast speed and yaw rate may grow [m/s^2], [rad/s^2]. Braking that an agent asks for is
    #: never softened: the gate may only reduce.
    max_acceleration: Number = Setting(10.0, gt=0)
    max_yaw_acceleration: Number = Setting(60.0, gt=0)
    #: How fast silence brings a robot to a stand from full speed [m/s^2].
    max_deceleration: Number = Setting(3.0, gt=0)
    #: A command, or an odometry or tracks that a rule needs, older than this is stale [s].
    command_timeout_s: Number = Setting(0.25, gt=0)
    #: Longest time from measuring a pose until a command that is based on a newer one acts [s].
    reaction_s: Number = Setting(0.3, gt=0)
    #: Least time between two commands to the motors, but for those that brake [s].
    period_s: Number = Setting(0.02, ge=0)
    #: xmin, ymin, xmax, ymax of the area to stay in [m; map]; None: no fence.
    fence: Fence | None = None
    #: Distance to keep from teammates, centre to centre [m]; 0: they may touch, and tracks are not
    #: asked for.
    separation_m: Number = Setting(0.0, ge=0)
    #: What is added to it for a teammate in quarantine [m].
    quarantine_m: Number = Setting(0.0, ge=0)
    #: Distance to keep from the points of an obstacle detector [m]; 0: there is none.
    obstacle_m: Number = Setting(0.0, ge=0)
    #: A teammate that was seen and is no longer is reckoned with for so long [s].
    memory_s: Number = Setting(1.0, ge=0)

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

    @property
    def needs_pose(self) -> bool:
        """Whether a rule has to know where the robot is."""
        return self.fence is not None or self.separation_m > 0 or self.obstacle_m > 0


class Allowed(NamedTuple):
    """What is left of a command."""

    #: Forward speed [m/s; base_link]
    v: float
    #: Yaw rate [rad/s; base_link]
    w: float
    #: The strongest rule that took something away; empty when it is the newest command, bit for
    #: bit.
    reason: Reason


class Track(NamedTuple):
    """Somebody or something to keep away from."""

    #: Position [m; map]
    x: float
    y: float
    #: Velocity [m/s; map]
    vx: float = 0.0
    vy: float = 0.0
    #: Distance to keep, centre to centre [m].
    keep: float = 0.0
    #: Time for which newer tracks have not shown it [s].
    unseen_s: float = 0.0

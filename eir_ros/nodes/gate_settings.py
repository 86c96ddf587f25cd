"""The parameters of the gate node."""

from pydantic import Field as Setting

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.frames import Pose
from eir_ros.nodes import realtime
from eir_ros.safety.gate import GateLimits
from eir_ros.swarm.roster import LEAST


class Parameters(Schema):
    """Parameters of the gate node."""

    robot: str = Setting(description="Name of this robot")
    max_speed: float = Setting(0.5, ge=LEAST, le=5.0, description="[m/s]")
    max_yaw_rate: float = Setting(3.0, ge=LEAST, le=20.0, description="[rad/s]")
    max_acceleration: float = Setting(
        10.0, ge=LEAST, le=1e4, description="How fast speed may grow [m/s^2]"
    )
    max_yaw_acceleration: float = Setting(
        60.0, ge=LEAST, le=1e4, description="How fast the yaw rate may grow [rad/s^2]"
    )
    max_deceleration: float = Setting(
        3.0, ge=LEAST, le=50.0, description="Of the stop that follows silence [m/s^2]"
    )
    command_timeout_s: float = Setting(
        0.25, ge=LEAST, le=600.0, description="Older commands, odometry and tracks are stale"
    )
    reaction_s: float = Setting(
        0.3, ge=LEAST, le=5.0, description="From measuring a pose until the next command acts"
    )
    period_s: float = Setting(
        0.02, ge=0.0, le=1.0, description="Least time between two commands that do not brake"
    )
    separation_m: float = Setting(
        0.0, ge=0.0, le=10.0, description="From teammates, centre to centre [m]; 0: may touch"
    )
    quarantine_m: float = Setting(
        0.0, ge=0.0, le=10.0, description="So much more from those in quarantine [m]"
    )
    obstacle_m: float = Setting(
        0.0, ge=0.0, le=10.0, description="From points on `obstacles` [m]; 0: no such topic"
    )
    memory_s: float = Setting(
        1.0, ge=0.0, le=60.0, description="For so long a teammate out of sight is reckoned with"
    )
    fence: tuple[float, ...] = Setting(
        (), description="xmin, ymin, xmax, ymax of the area to stay in [m; map]; empty: no fence"
    )
    odom_in_map: Pose = Setting(
        (0.0, 0.0, 0.0), description="Origin x, y, yaw of the odometry [m, m, rad; map]"
    )
    estop_wait_s: float = Setting(
        1.0,
        ge=0.0,
        le=60.0,
        description="After its start only listen for so long, for an e-stop that is kept [s]",
    )
    lockstep: bool = Setting(
        False,
        description="Time is that of the messages; a command waits for the senses of its tick",
    )
    with_fault: bool = Setting(False, description="Run the robot's fault node in this process")
    realtime_priority: int = realtime.PRIORITY
    autostart: bool = Setting(True, description="Configure and activate without being told")

    def limits(self) -> GateLimits:
        """The numbers of the rules; `EirError` when they make no sense together."""
        values = {name: getattr(self, name) for name in GateLimits.model_fields}
        return validate(values | {"fence": self.fence or None}, GateLimits, where="gate")

"""The parameters of the agent node."""

from pydantic import Field as Setting

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.frames import Pose
from eir_ros.contract.trust import LadderSettings
from eir_ros.nodes import realtime


class Parameters(Schema):
    """Parameters of the agent node."""

    bundle: str = Setting(description="Folder of the signed bundle")
    robot: str = Setting(description="Name of this robot, as in the team")
    team: tuple[str, ...] = Setting(description="Names of all robots in roster order")
    odom_in_map: Pose = Setting(
        (0.0, 0.0, 0.0), description="Origin x, y, yaw of the odometry [m, m, rad; map]"
    )
    input_deadline_s: float = Setting(
        0.5, ge=0.05, le=600.0, description="Without a complete tick for so long the agent holds"
    )
    publish_observation: bool = Setting(
        False, description="Add observation and belief to each decision message"
    )
    tracks_source: str = Setting("detection", description="Where tracks come from; shown only")
    trusted_keys: str = Setting("", description="Folder of trusted public keys; empty: shipped")
    realtime_priority: int = realtime.PRIORITY
    autostart: bool = Setting(True, description="Configure and activate without being told")
    trust_discount_at: float = Setting(
        0.5, ge=0.0, le=1.0, description="p(adversary) at which a teammate is discounted"
    )
    trust_quarantine_at: float = Setting(
        0.0, ge=0.0, le=1.0, description="... and quarantined; 0: the threshold of the bundle"
    )
    trust_release_at: float = Setting(
        0.2, ge=0.0, le=1.0, description="p(adversary) at which it comes down a rung"
    )
    trust_up_s: float = Setting(0.6, ge=0.0, le=60.0, description="So long it must last, going up")
    trust_down_s: float = Setting(5.0, ge=0.0, le=600.0, description="... and coming down")
    trust_hold_when_outnumbered: bool = Setting(
        False, description="Stand when more are suspected than may be quarantined"
    )
    trust_order: str = Setting(
        "", description="The operator's word, TEAMMATE=LEVEL: REASON; the level auto takes it back"
    )

    def ladder(self) -> LadderSettings:
        """The numbers of the ladder; `EirError` when they make no sense together."""
        values = {name: getattr(self, f"trust_{name}") for name in LadderSettings.model_fields}
        return validate(values, LadderSettings, where="agent: trust")

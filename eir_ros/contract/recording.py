"""What a recording says of itself, so that it can be read without the files it came from."""

from typing import Final, Literal

from pydantic import Field as Setting

from eir_ros.contract.config import Schema

#: Name of the record in every file of a recording, and of the entry in `metadata.yaml`'s
#: `custom_data`, that holds `About` as JSON under the key `about`.
RECORD: Final = "eir_ros"


#: With less free on its disk a recording ends, and none begins, unless told otherwise [MB].
MIN_FREE_MB: Final = 200.0


class RobotLimits(Schema):
    """What the gate of one robot was told to enforce; SI units."""

    max_speed: float
    max_yaw_rate: float
    max_deceleration: float
    #: Of the footprint [m].
    radius: float


class About(Schema):
    """What the messages of a recording do not say."""

    schema_version: Literal[1] = 1
    #: Names in roster order: `id` in clouds counts in it.
    team: tuple[str, ...] = ()
    task: str = ""
    #: Name and version of the bundle that the team runs.
    bundle: str = ""
    #: p(adversary) above it, for some decisions in a row, is a detection.
    threshold: float | None = Setting(default=None, gt=0, lt=1)
    #: One tick of the agents [s].
    tick_s: float | None = Setting(default=None, gt=0)
    #: This near a working robot serves a site [m].
    serve_radius: float = Setting(default=0.3, gt=0)
    #: x and y from, x and y to: what a map should show [m; map].
    arena: tuple[float, float, float, float] | None = None
    #: xmin, ymin, xmax, ymax that no part of a robot may leave [m; map].
    fence: tuple[float, float, float, float] | None = None
    #: Origin x, y, yaw of each robot's odometry [m, m, rad; map].
    odom_in_map: dict[str, tuple[float, float, float]] = Setting(default_factory=dict)
    limits: dict[str, RobotLimits] = Setting(default_factory=dict)
    #: Time of the clock that stamps messages at which mission time is zero [ns]; null: unknown.
    mission_start_ns: int | None = None

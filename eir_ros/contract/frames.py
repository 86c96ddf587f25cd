"""Planar poses x, y, yaw [m, m, rad] and how they chain, after REP-105."""

import math
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

#: The frame of sites, fence, beliefs and markers.
MAP: Final = "map"


def _three_numbers(value: Any) -> Any:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError("expected three numbers: x, y [m] and yaw [rad]")
    return value


#: x, y, yaw [m, m, rad]; as a setting it is refused when it has another length.
Pose = Annotated[tuple[float, float, float], BeforeValidator(_three_numbers)]


def compose(origin: Pose, pose: Pose) -> Pose:
    """Express `pose`, which is given in a frame that lies at `origin`, where `origin` is given.

    `compose(odom_in_map, odometry)` is a robot's pose in the map. The yaw is not wrapped.
    """
    x0, y0, yaw0 = origin
    x, y, yaw = pose
    cos, sin = math.cos(yaw0), math.sin(yaw0)
    return x0 + cos * x - sin * y, y0 + sin * x + cos * y, yaw0 + yaw

"""The gates of robots as a world may have them: they brake before their teammates.

On a robot `eir_ros.safety` stands between whoever drives and the motors, and keeps room between
bodies. A team that never met such brakes takes a teammate that they hold back for a broken one,
so training has them: `separation` of a roster is `room` here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.drive import SwarmSensed

Floats = NDArray[np.floating[Any]]


class Brakes(Schema):
    """What gates know; the names of `eir_ros.safety.limits.GateLimits`. SI units."""

    #: Room that gates keep between two bodies [m]; None: there are no gates, and bodies may touch.
    room: float | None = Setting(None, ge=0)
    #: Longest time from measuring a pose until a command that is based on a newer one acts [s].
    reaction_s: float = Setting(0.3, gt=0)
    #: How fast a robot brakes [m/s^2].
    max_deceleration: float = Setting(5.0, gt=0)


def keep_apart(
    brakes: Brakes, room: float, radius: float, sensed: SwarmSensed, commands: Floats
) -> None:
    """Slow commands (..., 2) down in place as gates do: `eir_ros.safety.rules.apart`, batched.

    Parameters
    ----------
    room, radius
        Between two bodies, and of one [m].
    sensed
        Of the robots that are driven (...). Whom one does not see at present its gate does not
        reckon with; a real gate remembers for a second.
    commands : (..., 2)
        Forward speed and yaw rate [m/s, rad/s; base_link]. The yaw rate is left alone.
    """
    forward, turn = commands[..., 0], brakes.reaction_s * commands[..., 1, None]
    offset = sensed.tracks[..., :2] - sensed.pose[..., None, :2]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    heading = sensed.pose[..., 2] + np.where(forward < 0, np.pi, 0.0)
    # the nearest that the heading comes to a teammate while it turns for the reaction time
    before = _wrapped(heading[..., None] - np.arctan2(offset[..., 1], offset[..., 0]))
    after = before + turn
    passes = np.floor(before / (2 * np.pi)) != np.floor(after / (2 * np.pi))
    nearest = np.where(passes, 0.0, np.minimum(np.abs(before), np.abs(_wrapped(after))))
    # who nears goes on until this robot stands
    nearing = -np.einsum("...k,...k", sensed.tracks[..., 2:], offset)
    nearing = np.maximum(nearing / np.maximum(distance, 1e-9), 0.0)
    gap = distance - (2 * radius + room) - nearing * brakes.reaction_s
    slope = brakes.reaction_s + nearing / brakes.max_deceleration
    free = np.maximum(gap, 0.0)
    most = 2.0 * free / (slope + np.hypot(slope, np.sqrt(2.0 * free / brakes.max_deceleration)))
    ahead = sensed.visible & (nearest < np.pi / 2)
    limit = np.where(ahead, most / np.cos(np.where(ahead, nearest, 0.0)), np.inf)
    commands[..., 0] = np.copysign(np.minimum(np.abs(forward), limit.min(-1)), forward)


def _wrapped(angles: Floats) -> Floats:
    """Angles [rad] in [-pi, pi)."""
    return (angles + np.pi) % (2 * np.pi) - np.pi

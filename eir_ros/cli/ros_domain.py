"""The ROS domain that a command works in."""

import os

from eir_ros.contract.errors import EirError

#: The highest that DDS has ports for.
HIGHEST = 232


def domain() -> int:
    """Return the ROS domain of this environment; `EirError` when there cannot be such a one."""
    given = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not given.isdecimal() or int(given) > HIGHEST:
        raise EirError(
            f"ROS_DOMAIN_ID is '{given}'; expected a number from 0 to {HIGHEST}, best up to 101."
        )
    return int(given)

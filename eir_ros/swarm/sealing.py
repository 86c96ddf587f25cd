"""The environment of sealed processes: no network, whatever the user's environment says."""

from collections.abc import Mapping
from typing import Final

#: Set to 1 for a process that refuses to run when it can be reached from the network.
SEALED_VARIABLE: Final = "EIR_SEALED"

#: What Fast DDS, and then ROS, is told.
_SHARED_MEMORY: Final = {
    SEALED_VARIABLE: "1",
    "FASTDDS_BUILTIN_TRANSPORTS": "SHM",
    # LOCALHOST would open sockets
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
}

#: What would configure another transport.
_TAKEN_AWAY: Final = (
    "ROS_LOCALHOST_ONLY",
    "ROS_STATIC_PEERS",
    "ROS_DISCOVERY_SERVER",
    "ROS_SUPER_CLIENT",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "RMW_FASTRTPS_USE_QOS_FROM_XML",
)


def sealed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` for processes that speak through shared memory alone."""
    kept = {name: value for name, value in environment.items() if name not in _TAKEN_AWAY}
    return kept | _SHARED_MEMORY

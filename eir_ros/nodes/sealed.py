"""A sealed process: its ROS graph is in the shared memory of its computer, and nowhere else.

What no socket listens to, nobody on the network can speak to. Discovery ranges do not do that: a
Fast DDS participant limited to LOCALHOST still receives on every interface.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import rclpy

from eir_ros.contract.errors import EirError
from eir_ros.swarm.sealing import SEALED_VARIABLE

_RMW: Final = "rmw_fastrtps_cpp"


def is_wanted() -> bool:
    """Whether this process shall be sealed."""
    return os.environ.get(SEALED_VARIABLE) == "1"


def check() -> None:
    """Find out whether this process is sealed; call it when its node is there.

    Raises
    ------
    EirError
        Another middleware runs, or the process has a UDP socket, which is how DDS reaches a
        network.
    """
    used = rclpy.get_rmw_implementation_identifier()
    if used != _RMW:
        raise EirError(
            f"this process is to be sealed, which is known for {_RMW} only, and {used} runs; "
            f"set RMW_IMPLEMENTATION={_RMW}."
        )
    found = sorted(sockets())
    if found:
        raise EirError(
            f"this process is to be sealed, but DDS listens on the network ({', '.join(found)}); "
            "take away DEFAULT_FASTDDS_PROFILES.xml from its working directory, or whatever else "
            "configures Fast DDS."
        )


def sockets() -> Iterator[str]:
    """Local addresses of the UDP sockets of this process, in the kernel's hexadecimal words."""
    mine = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            mine.add(os.readlink(descriptor))
        except OSError:
            # the one that lists them
            continue
    for table in ("udp", "udp6"):
        path = Path("/proc/self/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            words = line.split()
            if f"socket:[{words[9]}]" in mine:
                yield f"{table} {words[1]}"

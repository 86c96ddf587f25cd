"""Which sockets and which shared memory the processes of a swarm have."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from eir_ros.swarm.transport import over_udp, profile

FILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
PROFILE = Path("/run/fastdds.xml")
WHOLE = {RANGE: "SYSTEM_DEFAULT", **dict.fromkeys(FILES, str(PROFILE))}

PROCESS = """
import rclpy
from pathlib import Path
from rclpy.node import Node
from eir_ros.nodes.sealed import _sockets
rclpy.init()
node = Node("alone")
print(*sorted(_sockets()), sep="\\n")
print(*(line for line in Path("/proc/self/maps").read_text().splitlines() if "fastrtps" in line
        and "/dev/shm" in line), sep="\\n")
"""


def addresses(text: str) -> list[str]:
    """The peers of a profile."""
    return [
        element.text or ""
        for element in ET.fromstring(text).iter()
        if element.tag.endswith("address") and len(element) == 0
    ]


@pytest.mark.ros
def test_a_process_that_is_killed_can_hold_up_the_others_or_the_network_reaches_them(tmp_path):
    """Locks in shared memory outlive who held them; sockets on all interfaces hear everybody."""
    file = tmp_path / "fastdds.xml"
    found, text = over_udp({**os.environ, RANGE: "", "ROS_DOMAIN_ID": "87"}, file, here=True)
    assert text is not None
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", PROCESS], env=found, capture_output=True, text=True, check=True
    )
    lines = done.stdout.split("\n")
    sockets = [line for line in lines if line.startswith("udp")]
    assert sockets
    assert {line.split()[1].partition(":")[0] for line in sockets} == {"0100007F"}
    assert [line for line in lines if "/dev/shm" in line] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, WHOLE),
        ({RANGE: "LOCALHOST"}, WHOLE),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, WHOLE),
        # the user's own ways
        ({RANGE: "SUBNET"}, {RANGE: "SUBNET", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}),
        (
            {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"},
            {RANGE: "LOCALHOST", "FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"},
        ),
        ({FILES[0]: "/my.xml"}, {RANGE: "LOCALHOST", FILES[0]: "/my.xml"}),
        (
            {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
            {RANGE: "LOCALHOST", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        ),
    ],
)
def test_a_simulated_swarm_reaches_the_network_or_takes_the_users_way_away(given, expected):
    found, text = over_udp(given, PROFILE, here=True)
    assert found == given | expected
    assert (text is not None) == (expected is WHOLE)


def test_computers_with_addresses_are_not_looked_for_or_all_of_the_network_is_asked():
    found, text = over_udp({}, PROFILE, here=False, peers=["10.0.0.1", "10.0.0.2"])
    assert found == WHOLE
    assert text == profile(["10.0.0.1", "10.0.0.2"])
    # itself and these, and none of its interfaces is left out
    assert addresses(text) == ["127.0.0.1", "10.0.0.1", "10.0.0.2"]
    assert "interfaceWhiteList" not in text
    # a server knows everybody
    served = {"ROS_DISCOVERY_SERVER": "10.0.0.1:11811"}
    found, text = over_udp(served, PROFILE, here=False, peers=["10.0.0.1"])
    assert (found, text) == ({**served, "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, None)


def test_robots_that_look_around_stay_alone():
    assert over_udp({}, PROFILE, here=False) == ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, None)

"""Which sockets and which shared memory the processes of a swarm have."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from eir_ros.cli import prepare
from eir_ros.contract.errors import EirError
from eir_ros.swarm.options import Options
from eir_ros.swarm.transport import over_udp, profile

FILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
RANGE, TRANSPORT = "ROS_AUTOMATIC_DISCOVERY_RANGE", "FASTDDS_BUILTIN_TRANSPORTS"
HERE, UDP = {RANGE: "LOCALHOST"}, {TRANSPORT: "UDPv4"}

PROCESS = """
import rclpy
from pathlib import Path
from rclpy.node import Node
from eir_ros.nodes.sealed import sockets
rclpy.init()
node = Node("alone")
print(*sorted(sockets()), sep="\\n")
print(*(line for line in Path("/proc/self/maps").read_text().splitlines() if "fastrtps" in line
        and "/dev/shm" in line), sep="\\n")
"""


def addresses(text: str) -> list[str]:
    """The peers of a profile."""
    return [
        element.text or ""
        for element in ET.fromstring(text).iter()
        if element.tag.endswith("address")
    ]


@pytest.mark.ros
@pytest.mark.parametrize(
    "own", [{}, {RANGE: "LOCALHOST"}, {TRANSPORT: "UDPv4"}, {"ROS_LOCALHOST_ONLY": "1"}]
)
def test_a_process_that_is_killed_can_hold_up_the_others_or_the_network_reaches_them(tmp_path, own):
    """Locks in shared memory outlive who held them; sockets on all interfaces hear everybody."""
    # one that would win over every other
    (tmp_path / "DEFAULT_FASTRTPS_PROFILES.xml").write_text(profile(["127.0.0.1"]))
    given = {**os.environ, RANGE: "", "ROS_DOMAIN_ID": "87", **own}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        env=over_udp(given, here=True).write(tmp_path, given),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.split("\n")
    sockets = [line for line in lines if line.startswith("udp")]
    assert sockets
    assert {line.split()[1].partition(":")[0] for line in sockets} == {"0100007F"}
    assert [line for line in lines if "/dev/shm" in line] == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {RANGE: ""},
        {RANGE: "LOCALHOST"},
        {"ROS_LOCALHOST_ONLY": "1", RANGE: "SUBNET"},
        {"RMW_IMPLEMENTATION": "rmw_fastrtps_dynamic_cpp"},
        {TRANSPORT: "UDPv4"},
    ],
)
def test_a_simulated_swarm_reaches_the_network(tmp_path, given):
    found = over_udp(given, here=True).write(tmp_path, {"PATH": "/bin", **given})
    assert (found["PATH"], found[RANGE]) == ("/bin", "SYSTEM_DEFAULT")
    assert "ROS_LOCALHOST_ONLY" not in found
    assert {found[name] for name in FILES} == {str(tmp_path / "fastdds.xml")}
    assert (tmp_path / "fastdds.xml").read_text() == profile()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({RANGE: "SUBNET"}, {RANGE: "SUBNET", **UDP}),
        ({TRANSPORT: "LARGE_DATA"}, {TRANSPORT: "LARGE_DATA", **HERE}),
        ({FILES[0]: "/my.xml"}, {FILES[0]: "/my.xml", **HERE}),
        ({"ROS_DISCOVERY_SERVER": "s"}, {"ROS_DISCOVERY_SERVER": "s", **HERE, **UDP}),
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp", RANGE: ""}, HERE | UDP),
    ],
)
def test_the_users_own_way_is_taken_away(tmp_path, given, expected):
    found = over_udp(given, here=True).write(tmp_path, given)
    found.pop("RMW_IMPLEMENTATION", None)
    assert found == expected
    assert not (tmp_path / "fastdds.xml").exists()


def test_computers_with_addresses_are_not_looked_for_or_all_of_the_network_is_asked(tmp_path):
    transport = over_udp({}, here=False, peers=["10.0.0.1", "localhost"])
    # itself and these, and none of its interfaces is left out
    assert addresses(transport.profile) == ["127.0.0.1", "10.0.0.1", "127.0.0.1"]
    assert "interfaceWhiteList" not in transport.profile
    # a server knows everybody
    served = {"ROS_DISCOVERY_SERVER": "10.0.0.1:11811"}
    assert over_udp(served, here=False, peers=["10.0.0.1"]).write(tmp_path, served) == served | UDP
    # another middleware has no such profiles
    cyclone = {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    found = over_udp(cyclone, here=False, peers=["10.0.0.1", "10.0.0.2"]).write(tmp_path, cyclone)
    assert found["ROS_STATIC_PEERS"] == "10.0.0.1;10.0.0.2"


def test_a_name_that_nobody_knows_opens_the_whole_network():
    """Fast DDS drops all of a profile for it, and goes on without."""
    with pytest.raises(EirError, match=r"host 'no\.such\.invalid' cannot be found .*hosts"):
        over_udp({}, here=False, peers=["no.such.invalid"])


def test_robots_that_look_around_stay_alone(tmp_path):
    assert over_udp({}, here=False).write(tmp_path, {RANGE: ""}) == UDP


def test_a_fleet_with_a_keystore_is_sealed_instead_and_hears_nobody(monkeypatch, tmp_path):
    # the wheels have no DDS security, and are told so
    monkeypatch.setattr(prepare, "check_protection", lambda options: None)
    options = Options(bundle=prepare.default_bundle(), secure=True, keystore=tmp_path)
    prepared = prepare.prepare(prepare.default_roster(), None, "coverage", options, tmp_path)
    found = prepared.environment(tmp_path)
    assert found["ROS_SECURITY_KEYSTORE"] == str(tmp_path)
    assert "EIR_SEALED" not in found

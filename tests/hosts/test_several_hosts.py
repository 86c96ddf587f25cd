"""A swarm on five hosts: what a network does to it, and what somebody on that network can do."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks.namespaces import Host, missing, network, until
from benchmarks.packets import packets_per_robot
from eir_ros.cli import prepare
from eir_ros.policy.keyring import make_keyring
from eir_ros.policy.signing import generate_key, load_private_key
from eir_ros.policy.store import sign_bundle
from eir_ros.swarm.sealing import sealed

pytestmark = [
    pytest.mark.ros,
    pytest.mark.skipif(bool(missing()), reason=missing() or "namespaces"),
]
pytest.importorskip("rclpy")
pytest.importorskip("pybullet")

ROBOTS = ("r0", "r1", "r2", "r3")
NAMES = ("operator", *ROBOTS)
#: The budget: packets per second of a robot in motion.
PACKETS_PER_ROBOT = 80.0


class Fleet:
    """One plan on five hosts."""

    def __init__(self, hosts: dict[str, Host], folder: Path, *, addresses: bool) -> None:
        self.hosts = hosts
        self.folder = folder
        roster = yaml.safe_load(prepare.default_roster().read_text())
        if addresses:
            roster["hosts"] = {name: hosts[name].address for name in NAMES}
        self.roster = folder / "roster.yaml"
        self.roster.write_text(yaml.safe_dump(roster))
        self.environment: dict[str, str] = {}

    def secure(self) -> list[str]:
        """Options of a run whose bundle and hosts have keys of their own."""
        generate_key(self.folder / "trusted", "lab")
        bundle = self.folder / "bundle"
        shutil.copytree(prepare.default_bundle(), bundle)
        sign_bundle(bundle, load_private_key(self.folder / "trusted" / "lab.key"))
        make_keyring(self.folder / "keys", NAMES)
        return [
            "--secure",
            "--bundle",
            str(bundle),
            "--trusted-keys",
            str(bundle.parent / "trusted"),
        ]

    def start(self, name: str, *options: str) -> "subprocess.Popen[str]":
        """Start the part of one host."""
        keys = ["--keys", str(self.folder / "keys" / name)] if "--secure" in options else []
        words = ["swarm", "--roster", str(self.roster), "--host", name, "--headless", "--seed", "3"]
        words += ["--run-dir", str(self.folder / "runs" / name), *options, *keys]
        return self.hosts[name].eir(*words, log=self.log(name), environment=self.environment)

    def order(self, operator: "subprocess.Popen[str]", *words: str) -> "subprocess.Popen[str]":
        """Give an order on the operator's host, by a command."""
        log, environment = self.folder / f"{words[0]}.txt", sealed({})
        return self.hosts["operator"].eir(*words, log=log, environment=environment, beside=operator)

    def log(self, name: str) -> Path:
        """What the terminal of a host shows."""
        return self.folder / f"{name}.txt"

    def said(self, name: str, text: str, timeout_s: float = 180.0) -> None:
        """Wait until the terminal of a host shows `text`."""
        until(lambda: text in self.log(name).read_text(), timeout_s, f"{name} says '{text}'")


@pytest.fixture
def hosts() -> Iterator[dict[str, Host]]:
    with network(*NAMES, "intruder") as found:
        yield found


def test_a_network_that_fails_ends_a_secure_mission(hosts: dict[str, Host], tmp_path: Path) -> None:
    """Found by addresses, signed: a link flaps, a host dies, one comes late; an intruder tries."""
    fleet = Fleet(hosts, tmp_path, addresses=True)
    options = fleet.secure()
    report = tmp_path / "report.json"
    mission = ("--absent", "r3", "--json", str(report))
    operator = fleet.start("operator", *options, *mission)
    robots = {name: fleet.start(name, *options) for name in ROBOTS[:3]}
    fleet.said("operator", "the robots move")
    fleet.said("operator", "r3 is not there")
    intruder = hosts["intruder"].start(
        sys.executable,
        str(Path(__file__).with_name("intruder.py")),
        *(hosts[name].address for name in NAMES),
        log=tmp_path / "intruder.txt",
    )
    robots["r3"] = fleet.start("r3", *options)
    hosts["r1"].plug(into=False)
    reason = ("--reason", "smoke")
    orders = [
        fleet.order(operator, "trust", "r0", "r1", "discount", *reason),
        fleet.order(operator, "fault", "r0", "slow"),
    ]
    fleet.said("operator", "nothing is heard from r1")
    hosts["r1"].plug(into=True)
    fleet.said("operator", "r1 is heard again")
    fleet.said("operator", "r3 is there again")
    robots["r2"].kill()
    fleet.said("operator", "nothing is heard from r2")
    fleet.said("operator", "r2 is not there")
    for order in orders:
        assert order.wait(60) == 0, [path.read_text() for path in tmp_path.glob("*.txt")]
    operator.send_signal(signal.SIGINT)
    assert operator.wait(60) == 0, fleet.log("operator").read_text()
    found = json.loads(report.read_text())
    # a robot decides at every second tick, and two of the four are hardly ever away
    assert found["decisions"] > 0.7 * found["ticks"] > 70
    assert found["restarts"] == 0
    assert found["intruders"] == []
    assert found["estops"] == []
    # the operator's orders, and nobody else's
    assert [f["robot"] for f in found["faults"] if f["kind"] != "absent"] == ["r0"]
    steps = [step for step in found["trust_steps"] if "(operator: " in step["line"]]
    assert [step["observer"] for step in steps] == ["r0"]
    assert {fault["robot"] for fault in found["faults"] if fault["kind"] == "absent"} >= {"r2"}
    intruder.send_signal(signal.SIGINT)
    assert intruder.wait(60) == 0
    tried = json.loads((tmp_path / "intruder.txt").read_text())
    assert tried["sent"] > 1000
    assert tried["nodes"] <= 2  # its own, and that of a link
    for name in ("r0", "r1", "r3"):
        robots[name].send_signal(signal.SIGINT)
    for name in ("r0", "r1", "r3"):
        robots[name].wait(60)
        assert "Traceback" not in fleet.log(name).read_text()
    refused = fleet.log("r0").read_text()
    assert "r0: refused" in refused
    assert "forged" in refused


def test_robots_fill_the_air(tmp_path: Path) -> None:
    """The budget of docs/hosts.md, both ways together: a radio is shared by all robots."""
    # on a busy machine it takes longer until all have found each other, and are quiet again
    for settle_s in (9.0, 20.0, 40.0):
        found = packets_per_robot(4, "link", "motion", settle_s=settle_s, count_s=4.0)
        print(found)
        if 10.0 < found["robot"] < PACKETS_PER_ROBOT:
            break
    assert 10.0 < found["robot"] < PACKETS_PER_ROBOT


@pytest.mark.skipif(not os.environ.get("EIR_LONG"), reason="long: set EIR_LONG=1 to run it")
@pytest.mark.parametrize("protection", ["plain", "secure"])
def test_hosts_that_know_a_discovery_server_do_not_meet(
    hosts: dict[str, Host], tmp_path: Path, protection: str
) -> None:
    """No multicast and no addresses of each other: everybody asks the operator's host."""
    server = hosts["operator"]
    server.eir("discovery", "--address", server.address, log=tmp_path / "server.txt")
    fleet = Fleet(hosts, tmp_path, addresses=False)
    fleet.environment = {"ROS_DISCOVERY_SERVER": f"{server.address}:11811"}
    options = fleet.secure() if protection == "secure" else []
    report = tmp_path / "report.json"
    operator = fleet.start("operator", *options, "--duration", "15", "--json", str(report))
    for name in ROBOTS:
        fleet.start(name, *options)
    fleet.said("operator", "the robots move", 90.0)
    assert operator.wait(90) == 0, fleet.log("operator").read_text()
    found = json.loads(report.read_text())
    assert found["ticks"] == 150
    assert found["decisions"] > 200


@pytest.mark.skipif(not os.environ.get("EIR_LONG"), reason="long: set EIR_LONG=1 to run it")
def test_hosts_without_keys_do_not_meet(hosts: dict[str, Host], tmp_path: Path) -> None:
    """Plain DDS between addresses; a link that flaps; no protection."""
    fleet = Fleet(hosts, tmp_path, addresses=True)
    report = tmp_path / "report.json"
    operator = fleet.start("operator", "--duration", "25", "--json", str(report))
    for name in ROBOTS:
        fleet.start(name)
    fleet.said("operator", "the robots move", 90.0)
    hosts["r1"].plug(into=False)
    fleet.said("operator", "r1 is not there", 30.0)
    hosts["r1"].plug(into=True)
    fleet.said("operator", "r1 is there again", 30.0)
    assert operator.wait(90) == 0, fleet.log("operator").read_text()
    assert json.loads(report.read_text())["ticks"] == 250

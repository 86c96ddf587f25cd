"""Which host runs what, whom it speaks with, and what is refused before anything starts."""

import sys
from pathlib import Path

import pytest
import yaml
from tiny_bundle import make_keys, write_tiny_bundle

from eir_ros.cli import prepare
from eir_ros.cli.main import main
from eir_ros.contract.errors import EirError
from eir_ros.policy.bundle import load_bundle
from eir_ros.policy.keyring import make_keyring
from eir_ros.swarm.options import Options
from eir_ros.swarm.plan import make_plan
from eir_ros.swarm.process import hosts_of, part_of
from eir_ros.swarm.roster import OPERATOR, Roster
from eir_ros.swarm.sealing import sealed

OPTIONS = Options(bundle=prepare.default_bundle())


def roster(**changes) -> Roster:
    data = yaml.safe_load(prepare.default_roster().read_text())
    for robot in data["robots"]:
        robot.update(changes.pop(robot["name"], {}))
    return Roster.model_validate(data | changes)


def plan(fleet: Roster, options: Options = OPTIONS):
    return make_plan(fleet, load_bundle(options.bundle).manifest, options)


def names(processes) -> list[str]:
    return [process.name for process in processes]


def test_a_process_runs_twice_or_nowhere():
    whole = plan(roster(r1={"host": "pi"}, r2={"host": "pi"}))
    assert hosts_of(whole) == (OPERATOR, "r0", "pi", "r3")
    parts = [name for host in hosts_of(whole) for name in names(part_of(whole, host))]
    assert sorted(parts) == sorted(names(whole))
    assert names(part_of(whole, OPERATOR)) == ["world", "monitor"]
    assert names(part_of(whole, "pi")) == ["r1/gate", "r2/gate", "r1/agent", "r2/agent"]
    with pytest.raises(EirError, match="nothing runs on host 'r1'; hosts here: operator, r0, pi"):
        part_of(whole, "r1")


def test_hosts_with_keys_have_no_link():
    whole = plan(roster(), Options(bundle=OPTIONS.bundle, keys=Path("/keys")))
    links = [process for process in whole if process.executable == "link"]
    assert names(links) == ["operator/link", "r0/link", "r1/link", "r2/link", "r3/link"]
    assert [link.node_names for link in links[:2]] == [("/link",), ("/r0/link",)]
    world = next(process for process in whole if process.name == "world")
    assert world.nodes["world"]["linked"] == ["r0", "r1", "r2", "r3"]


def test_robots_are_told_of_each_other():
    """Each pair that can speak costs packets; robots have nothing to say to each other."""
    addresses = {OPERATOR: "10.0.0.1", "r0": "10.0.0.10", "r1": "10.0.0.11"}
    fleet = roster(hosts=addresses)
    assert fleet.peers("r0") == ("10.0.0.1",)
    assert fleet.peers(OPERATOR) == ("10.0.0.10", "10.0.0.11")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hosts": {"r9": "10.0.0.1"}}, "host 'r9' carries nothing"),
        ({"hosts": {"r0": "10.0.0.1"}}, "no address of the operator"),
        ({"r0": {"host": "my pi"}}, "expected letters, digits"),
        ({"r0": {"name": "operator"}}, "names that the swarm itself uses"),
        ({"operator_timeout_s": -1}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_host_is_planned(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        roster(**changes)


def test_a_sealed_process_is_told_of_a_network():
    given = {
        "PATH": "/bin",
        "ROS_DOMAIN_ID": "7",
        "ROS_STATIC_PEERS": "10.0.0.1",
        "ROS_DISCOVERY_SERVER": "10.0.0.1:11811",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOCALHOST_ONLY": "1",
        "FASTDDS_DEFAULT_PROFILES_FILE": "/tmp/udp.xml",
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }
    assert sealed(given) == {
        "PATH": "/bin",
        "ROS_DOMAIN_ID": "7",
        "EIR_SEALED": "1",
        "FASTDDS_BUILTIN_TRANSPORTS": "SHM",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
    }


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Run `eir swarm` with a bundle of a key of our own, and return the sentence."""
    key = make_keys(tmp_path / "trusted")
    write_tiny_bundle(tmp_path / "bundle", key)
    make_keyring(tmp_path / "keys", [OPERATOR, "r0", "r1", "r2", "r3"])
    given = ["--bundle", str(tmp_path / "bundle"), "--trusted-keys", str(tmp_path / "trusted")]

    def run(*words: str, trusted: bool = True) -> str:
        own = [word.replace("KEYS", str(tmp_path / "keys")) for word in words]
        arguments = ["eir", "swarm", "--dry-run", *own, *(given if trusted else ())]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        assert ended.value.code in (0, 2)
        return " ".join(found.err.split()) if ended.value.code else ""

    return run


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), ""),
        (("--host", "r0"), "--secure refuses to join hosts unprotected"),
        (("--host", "r0", "--keys", "KEYS/r0"), ""),
        (
            ("--host", "r0", "--keys", "KEYS/r1"),
            "keys/r1 is the folder of keys of host r1, and this is to be",
        ),
        (("--host", "r9", "--keys", "KEYS/r0"), "give that host's own"),
        (("--host", "r9", "--keys", "KEYS/r9"), "r9.key: cannot be read"),
        (("--keys", "KEYS/r0"), "say with --host which one this is"),
        (("--host", "r0", "--keystore", "/nowhere"), "DDS security cannot be enforced"),
    ],
)
def test_a_swarm_that_should_be_secure_starts_unprotected(refused, words, sentence):
    said = refused("--secure", *words)
    assert sentence in said
    assert bool(said) == bool(sentence)


def test_everybody_can_sign_for_a_secure_swarm(refused):
    assert "refuses the demonstration key" in refused("--secure", trusted=False)
    assert refused(trusted=False) == ""

"""DDS security: each node may do what it does, and nothing that another one does."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")
pytest.importorskip("pybullet")

from ros_graph import probe  # noqa: E402

from eir_ros.cli import prepare  # noqa: E402
from eir_ros.contract.coverage import CoverageTask  # noqa: E402
from eir_ros.nodes.agent import Agent  # noqa: E402
from eir_ros.nodes.fault import FaultNode  # noqa: E402
from eir_ros.nodes.gate import GateNode  # noqa: E402
from eir_ros.nodes.monitor import Monitor  # noqa: E402
from eir_ros.nodes.recorder import Recorder  # noqa: E402
from eir_ros.nodes.world import World  # noqa: E402
from eir_ros.policy.bundle import load_bundle  # noqa: E402
from eir_ros.swarm.enclaves import _ANSWERS, _HEARS, _PUBLISHES, policy, rights_of  # noqa: E402
from eir_ros.swarm.options import Options  # noqa: E402
from eir_ros.swarm.plan import make_plan  # noqa: E402
from eir_ros.swarm.roster import load_roster  # noqa: E402

TEAM = ("r0", "r1", "r2", "r3")
BUNDLE = str(prepare.default_bundle())
#: Nodes whose every publisher and service client must be one that they cannot do without.
NODES = {
    "agent": (Agent, "/r1", {"bundle": BUNDLE, "robot": "r1", "team": list(TEAM)}),
    "gate": (GateNode, "/r1", {"robot": "r1"}),
    "fault": (FaultNode, "/r1", {"robot": "r1", "team": list(TEAM), "kind": "mute"}),
    "world": (World, "/", {"team": list(TEAM), "task": CoverageTask().model_dump_json()}),
    "monitor": (Monitor, "/", {"bundle": BUNDLE, "team": list(TEAM), "port": 0}),
    "recorder": (Recorder, "/", {"team": list(TEAM), "min_free_mb": 0.0}),
}


def full(names, namespace, node):
    """Names as they are on the graph."""
    base = namespace.rstrip("/")
    return {
        name.replace("~", f"{base}/{node}")
        if name.startswith("~")
        else name
        if name.startswith("/")
        else f"{base}/{name}"
        for name in names
    }


@pytest.mark.parametrize("name", NODES)
def test_a_node_is_denied_what_it_does_or_allowed_what_it_does_not(name, tmp_path):
    kind, namespace, given = NODES[name]
    if kind is Recorder:
        given = given | {"out": str(tmp_path / "recording")}
    rights = rights_of(name, TEAM)
    with probe() as graph:
        node = graph.start(kind, namespace, **given)
        does = {
            what: {topic for topic, _ in look(name, namespace)}
            for what, look in (
                ("publishes", node.get_publisher_names_and_types_by_node),
                ("hears", node.get_subscriber_names_and_types_by_node),
                ("answers", node.get_service_names_and_types_by_node),
                ("asks", node.get_client_names_and_types_by_node),
            )
        }
        del node
    may = {
        "publishes": full((*rights.publishes, *_PUBLISHES), namespace, name),
        "hears": full((*rights.hears, *_HEARS), namespace, name),
        "answers": full((*rights.answers, *_ANSWERS), namespace, name),
        "asks": full(rights.asks, namespace, name),
    }
    for what, names in does.items():
        assert names <= may[what], what
    # where there is a fault node, the agent speaks to it under these names, as the plan says
    relayed = full(("beliefs_policy", "decision_policy"), namespace, name)
    assert does["publishes"] | (relayed if name == "agent" else set()) == may["publishes"]
    assert does["asks"] == may["asks"]


def test_a_robot_may_command_another():
    fleet = load_roster(prepare.default_roster())
    manifest = load_bundle(BUNDLE).manifest
    plan = make_plan(fleet, manifest, Options(bundle=Path(BUNDLE), keystore=Path("/keystore")))
    assert [process.enclave for process in plan] == [f"/{process.name}" for process in plan]
    agent = next(process for process in plan if process.name == "r2/agent")
    assert "--enclave /r2/agent" in " ".join(agent.command("p.yaml"))
    root = ElementTree.fromstring(policy(plan, TEAM))
    senders = {}
    for enclave in root.iter("enclave"):
        for profile in enclave.iter("profile"):
            for topics in profile.findall("topics[@publish='ALLOW']"):
                for topic in topics:
                    name = full([topic.text], profile.get("ns"), profile.get("node")).pop()
                    senders.setdefault(name, set()).add(enclave.get("path"))
    assert senders["/r2/cmd_vel"] == {"/r2/gate"}
    assert senders["/r2/cmd_vel_policy"] == {"/r2/agent"}
    assert senders["/r2/odom"] == {"/world"}
    assert senders["/swarm/estop"] == {"/monitor"}
    # the fault node, which passes on what its robot says, lives in the gate's process
    assert senders["/r2/beliefs"] == {"/r2/agent", "/r2/gate"}


def test_security_that_this_ros_has_not_is_pretended(tmp_path):
    """The wheels are built without it; where it is there, the keystore is what is missing."""
    enclave = tmp_path / "enclaves" / "eir_company"
    enclave.mkdir(parents=True)
    for name in ("identity_ca.cert", "cert", "key", "permissions_ca.cert"):
        (enclave / f"{name}.pem").touch()
    for name in ("governance", "permissions"):
        (enclave / f"{name}.p7s").touch()
    words = ["swarm", "--host", "r0", "--secure", "--keystore", str(tmp_path)]
    command = [sys.executable, "-m", "eir_ros.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "this ROS 2 has no DDS security" in done.stderr or "cannot be enforced" in done.stderr
    assert "Traceback" not in done.stderr

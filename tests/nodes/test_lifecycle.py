"""Every node goes through its whole life by orders, twice, and leaves nothing behind in between."""

import json
import shutil

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from domains import claim_domain  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn  # noqa: E402
from ros_graph import probe  # noqa: E402

from eir_ros.contract.coverage import CoverageTask  # noqa: E402
from eir_ros.nodes.agent import Agent  # noqa: E402
from eir_ros.nodes.fault import FaultNode  # noqa: E402
from eir_ros.nodes.gate import GateNode  # noqa: E402
from eir_ros.nodes.link import Link  # noqa: E402
from eir_ros.nodes.monitor import Monitor  # noqa: E402
from eir_ros.nodes.recorder import Recorder  # noqa: E402
from eir_ros.nodes.world import World  # noqa: E402
from eir_ros.policy.keyring import make_keyring  # noqa: E402

SUCCESS = TransitionCallbackReturn.SUCCESS
TEAM = ["r0", "r1", "r2", "r3"]
#: Of the network between hosts.
DOMAIN = claim_domain()


def settings(kind, bundle_path, tmp_path):
    """What each node cannot do without."""
    return {
        Agent: {"bundle": str(bundle_path), "robot": "r1", "team": TEAM},
        GateNode: {"robot": "r1"},
        FaultNode: {"robot": "r1", "team": TEAM},
        Recorder: {"team": TEAM, "out": str(tmp_path / "recording"), "min_free_mb": 0.0},
        Link: {
            "host": "r1",
            "team": TEAM,
            "team_hosts": TEAM,
            "keys": str(tmp_path / "keys" / "r1"),
            "network_domain": DOMAIN,
        },
        Monitor: {
            "bundle": str(bundle_path),
            "team": TEAM,
            "port": 0,
            "report": str(tmp_path / "report.json"),
        },
        World: {"team": TEAM, "task": CoverageTask().model_dump_json()},
    }[kind]


def own_topics(node):
    """Topics and services of `node` that a bare lifecycle node has not."""
    names = [entity.topic_name for kind in (node.publishers, node.subscriptions) for entity in kind]
    names += [entity.srv_name for kind in (node.services, node.clients) for entity in kind]
    bare = ("/rosout", "/parameter_events", "/clock", "transition_event", "change_state")
    bare += ("get_state", "get_available_", "get_transition_graph", "parameter", "type_description")
    return sorted(name for name in names if not any(word in name for word in bare))


@pytest.mark.parametrize("kind", [Agent, GateNode, FaultNode, World, Monitor, Recorder, Link])
def test_a_node_is_left_over_from_its_earlier_life(kind, bundle_path, tmp_path):
    with probe() as graph:
        if kind is Link:
            make_keyring(tmp_path / "keys", ["operator", *TEAM])
        given = settings(kind, bundle_path, tmp_path) | {"autostart": False}
        of_robot = kind in (Agent, GateNode, FaultNode, Link)
        node = graph.start(kind, "/r1" if of_robot else "/", **given)
        assert own_topics(node) == []
        timers = len(list(node.timers))
        seen = []
        for _ in range(2):
            if kind is Recorder and seen:
                # a recording is never written into another
                assert node.trigger_configure() != SUCCESS
                shutil.rmtree(tmp_path / "recording")
            assert node.trigger_configure() == SUCCESS
            seen.append(own_topics(node))
            assert node.trigger_activate() == SUCCESS
            graph.spin(0.2)
            assert node.trigger_deactivate() == SUCCESS
            assert node.trigger_activate() == SUCCESS
            assert node.trigger_deactivate() == SUCCESS
            assert node.trigger_cleanup() == SUCCESS
            assert own_topics(node) == []
            assert len(list(node.timers)) == timers
        assert seen[0] == seen[1] != []
        if kind is Monitor:
            assert json.loads((tmp_path / "report.json").read_text())["robots"] == TEAM
        # or its participant would stay on the graph for the tests that follow
        del node

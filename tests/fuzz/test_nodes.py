"""Whatever a node is given, it is configured or it is not: never half, and never with a crash."""

import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from hypothesis import assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from rclpy.lifecycle import TransitionCallbackReturn as Result  # noqa: E402
from ros_graph import Probe, probe  # noqa: E402
from tiny_bundle import make_keys, write_tiny_bundle  # noqa: E402

from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.nodes import agent, agent_settings, fault, gate, gate_settings, monitor, recorder  # noqa: E402

TEAM = ["r0", "r1", "r2", "r3"]
FEW = settings(max_examples=60, deadline=None, derandomize=True)

#: Every node that is fuzzed, and the schema of its parameters.
NODES = {
    agent.Agent: agent_settings.Parameters,
    gate.GateNode: gate_settings.Parameters,
    fault.FaultNode: fault.Parameters,
    monitor.Monitor: monitor.Parameters,
    recorder.Recorder: recorder.Parameters,
}

#: What a launch file may give, of the right kind, of another, or of none that makes sense.
WORDS = st.sampled_from(["", "r0", "r9", "r 1", "r0/r1", "/r0", "0r", "é", "~", "{}", "x" * 300,
                         "/proc/none", "/dev/null", "slow(gain=0.2)", "nonsense", "r1:stop@9-1",
                         "r2=hold: why not", "127.0.0.1"]) | st.text(max_size=4)  # fmt: skip
NUMBERS = st.sampled_from([0.0, 0.5, 1.0, -1.0, 1e30, float("nan"), float("inf")])
VALUES = (
    st.booleans()
    | st.integers(-(2**40), 2**40)
    | NUMBERS
    | WORDS
    | st.lists(WORDS, min_size=1, max_size=5)
    | st.lists(NUMBERS, min_size=1, max_size=5)
)


class Ground(NamedTuple):
    """What all examples share."""

    graph: Probe
    folder: Path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    (folder / "keys").mkdir()
    write_tiny_bundle(folder / "bundle", make_keys(folder / "keys"))
    # a name that is no path from the root is a folder here
    with chdir(folder), probe() as graph:
        yield Ground(graph, folder)


def healthy(kind: type, ground: Ground, bundle: Path) -> dict[str, Any]:
    """Parameters with which the node is configured."""
    signed = {"bundle": str(bundle), "trusted_keys": str(ground.folder / "keys")}
    found: dict[type, dict[str, Any]] = {
        agent.Agent: {"robot": "r1", "team": TEAM, **signed},
        gate.GateNode: {"robot": "r1"},
        fault.FaultNode: {"robot": "r1", "team": TEAM, **signed},
        monitor.Monitor: {"team": TEAM, "headless": True, **signed},
        recorder.Recorder: {"team": TEAM, "out": str(ground.folder / "bag"), "min_free_mb": 0.0},
    }
    return found[kind]


def entities(node: Any) -> list[str]:
    """What a node has on the graph and on its executor, by name."""
    found = [entity.topic_name for kind in (node.publishers, node.subscriptions) for entity in kind]
    found += [entity.srv_name for kind in (node.services, node.clients) for entity in kind]
    return sorted(found) + ["timer" for _ in node.timers] + ["guard" for _ in node.guards]


def is_whole_or_nothing(kind: type, ground: Ground, given: dict[str, Any]) -> None:
    """Make the node, and configure it if it can be made."""
    shutil.rmtree(ground.folder / "bag", ignore_errors=True)
    try:
        node = ground.graph.start(kind, "/r1", **given, autostart=False)
    except EirError:
        return
    try:
        bare = entities(node)
        done = node.trigger_configure()
        # an error, unlike a failure, is a traceback
        assert done in (Result.SUCCESS, Result.FAILURE), given
        if done == Result.SUCCESS:
            assert entities(node) != bare
            assert node.trigger_cleanup() == Result.SUCCESS
        else:
            assert not (ground.folder / "bag").exists(), given
        assert entities(node) == bare, given
    finally:
        ground.graph.remove(node)


@pytest.mark.parametrize("kind", NODES)
def test_wrong_parameters_leave_half_a_node(kind: type, ground: Ground) -> None:
    fields = sorted(set(NODES[kind].model_fields) - {"autostart", "realtime_priority"})

    @FEW
    @given(st.dictionaries(st.sampled_from(fields), VALUES, min_size=1, max_size=2))
    def check(wrong: dict[str, Any]) -> None:
        # or something would be recorded where it should not
        assume(not re.match("/(?!proc|dev)", str(wrong.get("out", ""))))
        is_whole_or_nothing(kind, ground, healthy(kind, ground, ground.folder / "bundle") | wrong)

    check()


@pytest.mark.parametrize("kind", [agent.Agent, fault.FaultNode, monitor.Monitor])
def test_a_spoiled_bundle_leaves_half_a_node(kind: type, ground: Ground) -> None:
    whole = ground.folder / "bundle"
    files = sorted(path.name for path in whole.iterdir())

    @settings(FEW, max_examples=15)
    @given(st.sampled_from(files), st.floats(0.0, 1.0), st.binary(max_size=3), st.booleans())
    def check(name: str, place: float, put: bytes, cut: bool) -> None:
        spoiled = ground.folder / "spoiled"
        shutil.rmtree(spoiled, ignore_errors=True)
        shutil.copytree(whole, spoiled)
        content = (spoiled / name).read_bytes()
        at = int(place * len(content))
        (spoiled / name).write_bytes(content[:at] + put + (b"" if cut else content[at:]))
        is_whole_or_nothing(kind, ground, healthy(kind, ground, spoiled))

    check()

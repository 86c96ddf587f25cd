"""The agent as a process: what it says, and when it must stand."""

import math
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from ros_graph import node_process  # noqa: E402
from senses import DEADLINE_S, Senses, moves  # noqa: E402

from eir_ros.nodes import clouds, messages, qos  # noqa: E402
from eir_ros.nodes.clouds import BELIEFS  # noqa: E402


@pytest.fixture(scope="module")
def connected(agent_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("agent")
    with node_process("agent", "/r1", {"agent": agent_settings}, folder) as process:
        senses = Senses()
        senses.wait_for_agent()
        senses.process = process
        yield senses
        senses.close()
        assert process.interrupt() == 0, process.output()


@pytest.fixture
def senses(connected):
    """Each test starts from an agent that moves."""
    connected.until(lambda: moves(connected.decide()))
    connected.commands.clear()
    connected.decisions.clear()
    connected.beliefs.clear()
    return connected


def at(stamp, heard):
    """The message of that time, or None."""
    return next((m for _, m in heard if m.header.stamp == stamp), None)


def test_a_decision_is_told_without_its_numbers(senses, bundle):
    stamp = senses.decide(tracks=(0, 3)).header.stamp
    decision = senses.until(lambda: at(stamp, senses.decisions))
    values = messages.values_of(decision.status[0])
    task = bundle.manifest.task
    assert decision.status[0].name == "r1/decision"
    assert decision.status[0].message == task.actions[int(values["action"])]
    assert float(values["inference_us"]) > 0
    assert float(values["tick_ms"]) > 0
    assert len(bytes.fromhex(values["observation"])) == 4 * task.layout.size
    beliefs = clouds.decode(senses.until(lambda: at(stamp, senses.beliefs)), BELIEFS)
    assert beliefs["id"].tolist() == [0, 2, 3]
    assert beliefs["status"][1] == clouds.NOT_VISIBLE
    # where it was seen last
    assert beliefs["y"][1] == pytest.approx(0.8)
    p = np.frombuffer(bytes.fromhex(values["belief"]), "<f4").reshape(3, 2)[:, 1]
    np.testing.assert_allclose(beliefs["p_adversary"], p, atol=1e-6)


def test_a_tick_that_is_told_again_is_decided_again(senses):
    senses.answer()
    senses.tick -= 1
    stamp = senses.sense()
    first, *more = senses.until(lambda: senses.answers(stamp)[1:] and senses.answers(stamp))
    assert len(senses.decisions) <= 1
    assert more == [first] * len(more)


def test_stale_inputs_keep_the_robot_moving(senses):
    before = int(senses.report()[1]["stale_inputs"])

    def stood_after_s():
        senses.until(lambda: moves(senses.decide()))
        sent = time.monotonic()
        arrived, _ = senses.until(
            lambda: next((c for c in senses.commands if c[0] > sent and not moves(c[1])), None)
        )
        return arrived - sent

    # a busy machine may hold up some of them, not all
    senses.until(lambda: stood_after_s() < DEADLINE_S + 0.3)
    status, values = senses.report()
    assert int(values["stale_inputs"]) > before
    assert status.level == status.WARN
    assert "stale input" in status.message


def test_an_agent_blames_who_stands_because_of_the_e_stop(senses):
    gate = senses.node.create_publisher(DiagnosticArray, "/r1/gate_events", qos.EVENT)

    def tell(reason):
        event = messages.status("r1/gate_event", {"reason": reason}, hardware_id="r1")
        gate.publish(messages.diagnostics(messages.time_of(0), event))

    try:
        tell("estop")
        senses.until(lambda: not moves(senses.decide()))
        senses.decisions.clear()
        assert not moves(senses.decide())
        assert not senses.decisions
        assert senses.report()[1]["state"] == "stopped"
    finally:
        tell("nominal")
        senses.until(lambda: moves(senses.decide()))
        senses.node.destroy_publisher(gate)
    assert senses.report()[1]["state"] == "active"


def test_an_invalid_input_keeps_the_robot_moving(senses):
    senses.diagnostics.clear()
    spoilt = {
        "odom holds a number that is not finite": {"x": math.nan},
        "tracks [0, 2, 9] are not all teammates": {"tracks": (0, 2, 9)},
        "sites [0, 1] given": {"sites": (0, 1)},
        "sites are in 'r1/odom', not in 'map'": {"frame": "r1/odom"},
    }
    for sentence, what in spoilt.items():
        senses.until(lambda: moves(senses.decide()))
        assert not moves(senses.decide(**what)), sentence
        # without a decision there is nothing to follow
        assert not moves(senses.answer()), sentence

    def missing():
        said = "; ".join(message.status[0].message for _, message in senses.diagnostics)
        return [sentence for sentence in spoilt if sentence not in said]

    senses.until(lambda: not missing())


def test_diagnostics_lack_what_operators_need(senses, bundle):
    status, values = senses.report()
    assert status.name == "r1/agent"
    assert status.hardware_id == "r1"
    assert bundle.digest[:12] in values["bundle"]
    assert values["state"] == "active"
    assert values["tracks_source"] == "detection"
    assert 0 < float(values["tick_ms_p50"]) <= float(values["tick_ms_p99"])
    assert 0 < float(values["inference_us_p50"]) <= float(values["inference_us_p99"])


def test_the_agent_carries_what_only_training_and_simulation_need(senses):
    loaded = Path(f"/proc/{senses.process.popen.pid}/maps").read_text()
    assert "onnxruntime" in loaded
    assert not [name for name in ("torch", "pybullet", "scipy", "pandas") if f"/{name}" in loaded]

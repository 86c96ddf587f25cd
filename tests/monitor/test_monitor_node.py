"""The monitor as a process: what it hears becomes the report, what is ordered reaches the swarm."""

import json
import socket
import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from ros_graph import PATIENCE_S, node_process, probe  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402
from tiny_bundle import make_keys, write_tiny_bundle  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

from eir_ros.contract.report import MissionReport  # noqa: E402
from eir_ros.nodes import clouds, messages, qos  # noqa: E402
from eir_ros.nodes.trust_report import TrustReport  # noqa: E402
from eir_ros.safety.trust import Ladder, LadderSettings, Level, Step  # noqa: E402

TEAM = ["r0", "r1", "r2", "r3"]
HERE = messages.Motion(np.array([0.5, 0.0, 0.0]), np.zeros(2), 0.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Parameters that every monitor here has."""
    folder = tmp_path_factory.mktemp("bundle")
    write_tiny_bundle(folder / "tiny", make_keys(folder / "keys"))
    keys = str(folder / "keys")
    simulated = {"use_sim_time": True, "team": TEAM}
    return {"bundle": str(folder / "tiny"), "trusted_keys": keys, **simulated}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def beliefs(t_s: float, p_of: dict[int, float]) -> PointCloud2:
    points = np.zeros(len(p_of), clouds.BELIEFS)
    points["id"], points["p_adversary"] = list(p_of), list(p_of.values())
    return clouds.encode(points, messages.time_of(round(t_s * 1e9)), "map")


def told(name: str, **values: Any) -> DiagnosticArray:
    return messages.diagnostics(messages.time_of(0), messages.status(name, values))


def order(swarm, page, **message: Any) -> dict[str, Any]:
    """Send an order and let the probe serve whoever is asked, until the page is answered."""
    page.send(json.dumps(message))
    while True:
        swarm.spin(0.02)
        with suppress(TimeoutError):
            found = json.loads(page.recv(timeout=0))
            if "answer" in found:
                return found["answer"]


def test_a_mission_that_was_heard_is_not_in_the_report(bundle, tmp_path):
    report = tmp_path / "report.json"
    settings = bundle | {"headless": True, "report": str(report)}
    with probe() as swarm, node_process("monitor", "/", {"monitor": settings}, tmp_path) as monitor:
        publish = swarm.node.create_publisher
        belief = publish(PointCloud2, "/r0/beliefs", qos.EVENT)
        fault = publish(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        score = publish(DiagnosticArray, "/swarm/score", qos.EVENT)
        odometry = publish(Odometry, "/r0/odom", qos.sensor(0.5))
        decision = publish(DiagnosticArray, "/r1/decision", qos.EVENT)
        estop = publish(Bool, "/swarm/estop", qos.ESTOP)
        trust = publish(DiagnosticArray, "/r0/trust", qos.EVENT)
        seen = swarm.listen(MarkerArray, "/swarm/markers", qos.DIAGNOSTICS)
        swarm.connected(belief, fault, score, odometry, decision, estop, trust)
        fault.publish(told("r3", kind="mute", start_s="soon"))  # nonsense is skipped
        fault.publish(told("r2", kind="mute", start_s="1.000", end_s="", source="schedule"))
        for i in range(10):
            belief.publish(beliefs(0.2 * i, {1: 0.1, 2: 0.05 if i < 5 else 0.95}))
        belief.publish(PointCloud2())
        score.publish(told("world", mean_reward="0.5", ticks="20", time_s="2", paused="False"))
        decision.publish(told("r1/agent", action="0"))
        trust.publish(told("r0/trust", quarantined="soon"))  # nonsense is skipped
        ladder = TrustReport("r0", TEAM, np.array([1, 2, 3]))
        step = Step(1.5, 1, Level.COOPERATE, Level.DISCOUNT, "belief 0.95 for 0.6 s")
        status = ladder.status(Ladder(LadderSettings(), 3, 0.8), step)
        trust.publish(messages.diagnostics(messages.time_of(0), status))
        # who has heard the last of them has found everybody, and one round later heard the rest
        swarm.until(lambda: "r0 found out r2" in monitor.output())
        # only now, or it could be heard first, and what comes under an e-stop takes no time
        estop.publish(Bool(data=True))
        swarm.until(lambda: "e-stop: every robot" in monitor.output())
        swarm.until(lambda: "r2: cooperate -> discount" in monitor.output())
        # best effort: said until it is heard
        said = messages.encode_odometry(HERE, messages.time_of(0), "r0/odom", "r0/base_link")
        seen.clear()
        swarm.until(lambda: odometry.publish(said) or any(array.markers for _, array in seen))
        assert monitor.interrupt() == 0
        assert "Traceback" not in monitor.output()
    found = MissionReport.model_validate_json(report.read_text())
    assert found.robots == tuple(TEAM)
    assert (found.ticks, found.duration_s, found.score.mean_reward) == (20, 2.0, 0.5)
    assert [(f.robot, f.kind, f.start_s, f.end_s) for f in found.faults] == [
        ("r2", "mute", 1.0, None)
    ]
    assert [(d.observer, d.suspect) for d in found.detections] == [("r0", "r2")]
    assert found.detections[0].t_s == pytest.approx(1.4)
    assert found.detections[0].delay_s == pytest.approx(0.4)
    assert [(s.observer, s.subject, s.t_s) for s in found.trust_steps] == [("r0", "r2", 1.5)]
    assert found.trust_steps[0].line == "r2: cooperate -> discount (belief 0.95 for 0.6 s)"
    assert found.false_alarms == ()
    assert found.decisions == 1
    assert [span.end_s for span in found.estops] == [None]
    assert found.belief.auroc == 1.0


def test_a_step_of_trust_of_a_real_robot_is_dated_by_the_time_of_the_day(bundle, tmp_path):
    report = tmp_path / "report.json"
    settings = bundle | {"headless": True, "report": str(report), "use_sim_time": False}
    with probe() as swarm, node_process("monitor", "/", {"monitor": settings}, tmp_path) as monitor:
        trust = swarm.node.create_publisher(DiagnosticArray, "/r0/trust", qos.EVENT)
        swarm.connected(trust)
        step = Step(time.time(), 1, Level.COOPERATE, Level.DISCOUNT, "belief 0.95 for 0.6 s")
        status = TrustReport("r0", TEAM, np.array([1, 2, 3])).status(
            Ladder(LadderSettings(), 3, 0.8), step
        )
        trust.publish(messages.diagnostics(messages.time_of(time.time_ns()), status))
        swarm.until(lambda: "r2: cooperate -> discount" in monitor.output())
        assert monitor.interrupt() == 0
    (found,) = MissionReport.model_validate_json(report.read_text()).trust_steps
    assert 0.0 <= found.t_s < 300.0


def test_no_time_passes_while_real_robots_stand_for_the_e_stop(bundle, tmp_path):
    """They decide nothing then, and it is their decisions that tell the time."""
    report = tmp_path / "report.json"
    settings = bundle | {"headless": True, "report": str(report), "use_sim_time": False}
    with probe() as swarm, node_process("monitor", "/", {"monitor": settings}, tmp_path) as monitor:
        belief = swarm.node.create_publisher(PointCloud2, "/r0/beliefs", qos.EVENT)
        fault = swarm.node.create_publisher(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        estop = swarm.node.create_publisher(Bool, "/swarm/estop", qos.ESTOP)
        swarm.connected(belief, fault, estop)

        def believe() -> None:
            now_s = swarm.node.get_clock().now().nanoseconds / 1e9
            belief.publish(beliefs(now_s, {2: 0.95}))

        fault.publish(told("r2", kind="stop", start_s="0.000", end_s="", source="schedule"))
        believe()
        estop.publish(Bool(data=True))
        swarm.until(lambda: "e-stop: every robot" in monitor.output())
        estop.publish(Bool(data=False))
        swarm.until(lambda: "the e-stop is released" in monitor.output())
        swarm.until(lambda: believe() or "r0 found out r2" in monitor.output())
        assert monitor.interrupt() == 0
    found = MissionReport.model_validate_json(report.read_text())
    (held,) = found.estops
    assert held.end_s is not None
    assert held.end_s > held.start_s
    (told_of,) = found.detections
    expected_s = told_of.t_s - (held.end_s - held.start_s)
    assert told_of.delay_s == pytest.approx(expected_s, abs=0.01)


def test_another_swarm_falsifies_the_report_unnoticed(bundle, tmp_path):
    report = tmp_path / "report.json"
    settings = bundle | {"headless": True, "report": str(report)}
    with probe() as swarm, node_process("monitor", "/", {"monitor": settings}, tmp_path) as monitor:
        swarm.node.create_publisher(Clock, "/clock", qos.CLOCK)
        swarm.publishers("/swarm/estop")
        swarm.node.create_publisher(Clock, "/clock", qos.CLOCK)
        swarm.until(lambda: "2 nodes publish /clock, where there" in monitor.output())
        assert monitor.interrupt() == 0
    found = MissionReport.model_validate_json(report.read_text())
    assert [(i.topic, i.sender) for i in found.intruders] == [("/clock", "/clock")]


def test_orders_of_the_page_do_not_reach_the_swarm(bundle, tmp_path):
    port = free_port()
    settings = bundle | {"port": port}
    with (
        probe("world") as swarm,
        node_process("monitor", "/", {"monitor": settings}, tmp_path) as monitor,
    ):
        estops = swarm.listen(Bool, "/swarm/estop", qos.ESTOP)
        swarm.until(lambda: f"http://127.0.0.1:{port}" in monitor.output())
        swarm.publishers("/swarm/estop")
        with connect(f"ws://127.0.0.1:{port}/live") as page:
            refused = order(swarm, page, do="inject", robot="r1", kind="stop")
            assert (refused["ok"], "no fault node" in refused["sentence"]) == (False, True)
            trust = {"do": "trust", "robot": "r0", "teammate": "r1", "level": "hold"}
            refused = order(swarm, page, **trust, reason="smoke")
            assert (refused["ok"], "agent of r0 is not" in refused["sentence"]) == (False, True)
            refused = order(swarm, page, do="pause", on=True)
            assert (refused["ok"], "no simulated world" in refused["sentence"]) == (False, True)
            answer = order(swarm, page, do="estop", on=True)
            assert answer["ok"] is True
            assert answer["sentence"] == "E-stop sent, but no gate of r0, r1, r2, r3 hears it."
            swarm.until(lambda: [message.data for _, message in estops] == [True])

            def pause(request, response):
                response.success, response.message = request.data, "not now"
                return response

            swarm.node.create_service(SetBool, "/world/pause", pause)
            swarm.until(lambda: order(swarm, page, do="pause", on=True)["ok"])
            refused = order(swarm, page, do="pause", on=False)
            assert (refused["ok"], refused["sentence"]) == (False, "Refused: not now")
        assert monitor.interrupt() == 0
        assert "Traceback" not in monitor.output()


def test_a_stop_is_lost_when_the_monitor_starts_again(bundle, tmp_path):
    settings = bundle | {"headless": True}
    with probe() as swarm, node_process("monitor", "/", {"monitor": settings}, tmp_path) as monitor:
        diagnostics = swarm.node.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        swarm.connected(diagnostics)
        swarm.publishers("/swarm/estop")
        late = swarm.listen(Bool, "/swarm/estop", qos.ESTOP)

        def say(robot, estop):
            # again and again, as a gate does: the monitor may not have found this one yet
            diagnostics.publish(told(f"{robot}/gate", estop=estop))
            swarm.spin(0.05)

        for _ in range(10):
            say("r0", False)
        assert late == []
        swarm.until(lambda: say("r1", True) or late)
        assert late[0][1].data is True
        assert monitor.interrupt() == 0


def test_ctrl_c_while_an_order_is_unanswered_is_a_traceback(bundle, tmp_path):
    port = free_port()
    with (
        probe("world") as swarm,
        node_process("monitor", "/", {"monitor": bundle | {"port": port}}, tmp_path) as monitor,
    ):
        swarm.node.create_service(SetBool, "/world/pause", lambda _, response: response)
        swarm.until(lambda: f"http://127.0.0.1:{port}" in monitor.output())
        with connect(f"ws://127.0.0.1:{port}/live") as page:
            while "picture" not in json.loads(page.recv(timeout=PATIENCE_S)):
                pass
            swarm.spin(1.0)
            # the probe no longer spins, so this is never answered
            page.send(json.dumps({"do": "pause", "on": True}))
            page.recv(timeout=PATIENCE_S)
            assert monitor.interrupt() == 0
        assert "Traceback" not in monitor.output()


def test_a_taken_port_is_a_traceback(bundle, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with node_process(
            "monitor", "/", {"monitor": bundle | {"port": port}}, tmp_path
        ) as monitor:
            assert monitor.wait() == 2
            assert f"on 127.0.0.1 port {port} (Address already in use)" in monitor.output()
            assert "Traceback" not in monitor.output()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"team": ["r0", "r1"]}, "a team of 2 robots was asked for"),
        ({"bundle": "/nowhere"}, "there is no bundle here"),
        ({"arena": [0.0, 0.0, 0.0, 0.0]}, "expected x and y from, then x and y to"),
        ({"odom_in_map": [0.0]}, "odom_in_map has 1 numbers"),
    ],
)
def test_wrong_parameters_are_a_traceback(bundle, tmp_path, change, sentence):
    settings = bundle | {"headless": True} | change
    with node_process("monitor", "/", {"monitor": settings}, tmp_path) as monitor:
        assert monitor.wait() == 2
        assert sentence in monitor.output()
        assert "Traceback" not in monitor.output()

"""The e-stop: who is heard, which order counts, and who remembers it."""

import re
import threading

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import (  # noqa: E402
    QoSDurabilityPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from ros_graph import Probe, node_process, probe  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from eir_ros.cli.main import app  # noqa: E402
from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.nodes import messages, qos  # noqa: E402
from eir_ros.nodes.estop import EStopKeeper, EStopListener  # noqa: E402

KEPT, LIVE = {"live": False}, {"live": True}


@pytest.fixture
def swarm():
    with probe() as found:
        yield found


def node(swarm: Probe, name: str, namespace: str = "/") -> Node:
    """One more node that the probe spins."""
    found = Node(name, namespace=namespace, context=swarm.node.context)
    swarm.add(found)
    return found


def orders_after(swarm, *told):
    """What a listener makes of orders (on, sent_ns, how)."""
    orders = []
    listener = EStopListener(swarm.node, orders.append)
    for on, sent_ns, how in told:
        listener.hear(on, sent_ns, **how)
    return orders


def test_the_order_that_arrives_last_wins(swarm):
    assert orders_after(swarm, (True, 20, KEPT), (False, 10, KEPT)) == [True]
    assert orders_after(swarm, (False, 20, KEPT), (True, 10, KEPT)) == [False]
    assert orders_after(swarm, (True, 10, KEPT), (False, 20, KEPT)) == [True, False]


def test_a_stop_by_a_clock_that_is_behind_is_ignored(swarm):
    assert orders_after(swarm, (False, 20, LIVE), (True, 10, LIVE)) == [False, True]
    assert orders_after(swarm, (True, 20, LIVE), (False, 10, LIVE)) == [True]


def test_the_second_copy_of_a_stop_undoes_a_release(swarm):
    told = [(True, 10, KEPT), (True, 10, LIVE), (False, 20, KEPT), (True, 10, LIVE)]
    assert orders_after(swarm, *told) == [True, False]


def test_the_second_copy_of_a_release_undoes_a_stop_by_a_clock_that_is_behind(swarm):
    told = [(False, 20, KEPT), (True, 10, LIVE), (False, 20, LIVE)]
    assert orders_after(swarm, *told) == [False, True]


@pytest.mark.parametrize("durability", ["VOLATILE", "TRANSIENT_LOCAL"])
@pytest.mark.parametrize("reliability", ["RELIABLE", "BEST_EFFORT"])
def test_a_button_is_not_heard_for_its_quality_of_service(swarm, reliability, durability):
    orders = []
    EStopListener(node(swarm, "gate"), orders.append)
    profile = QoSProfile(
        depth=1,
        reliability=QoSReliabilityPolicy[reliability],
        durability=QoSDurabilityPolicy[durability],
    )
    button = swarm.node.create_publisher(Bool, "/swarm/estop", profile)
    swarm.connected(button)
    swarm.until(lambda: button.publish(Bool(data=True)) or swarm.spin(0.1) or orders)
    assert set(orders) == {True}


def test_a_keeper_that_starts_releases_the_swarm(swarm):
    heard = swarm.listen(Bool, "/swarm/estop", qos.ESTOP)
    EStopKeeper(node(swarm, "monitor"), lambda on: None)
    swarm.publishers("/swarm/estop")
    swarm.spin(0.5)
    assert heard == []


def test_a_stop_is_lost_with_the_keeper_that_gave_it(swarm):
    keeper = EStopKeeper(node(swarm, "monitor"), lambda on: None)
    keeper.gate_is_stopped()
    late = swarm.listen(Bool, "/swarm/estop", qos.ESTOP)
    swarm.until(lambda: late)
    assert late[0][1].data is True
    # a gate reports once a second, so what it says may be older than a release
    keeper.give(False)
    keeper.gate_is_stopped()
    swarm.until(lambda: late[-1][1].data is False)
    swarm.spin(0.3)
    assert late[-1][1].data is False


def test_the_echo_of_a_stop_undoes_its_release(swarm):
    orders = []
    keeper = EStopKeeper(node(swarm, "monitor"), orders.append)
    heard = swarm.listen(Bool, "/swarm/estop", qos.ESTOP_LIVE[0])
    # the keeper's own three, and this one
    swarm.until(lambda: keeper._publisher.get_subscription_count() == 4)
    # both before the keeper hears itself
    keeper.give(True)
    keeper.give(False)
    swarm.until(lambda: len(heard) >= 2)
    swarm.spin(0.5)
    assert [message.data for _, message in heard] == [True, False]
    assert orders == [True, False]


def test_a_gate_that_starts_later_misses_the_stop_of_a_button(swarm):
    orders = []
    EStopKeeper(node(swarm, "monitor"), orders.append)
    button = swarm.node.create_publisher(Bool, "/swarm/estop", qos.ESTOP_LIVE[0])
    swarm.connected(button)
    swarm.until(lambda: button.publish(Bool(data=True)) or swarm.spin(0.1) or orders)
    late = []
    EStopListener(node(swarm, "gate"), late.append)
    swarm.until(lambda: late)
    assert set(late) == {True}
    button.publish(Bool(data=False))
    swarm.until(lambda: late[-1] is False)
    later = []
    EStopListener(node(swarm, "another"), later.append)
    swarm.until(lambda: later and later[-1] is False)


def test_a_robot_without_a_gate_is_said_to_be_stopped(swarm):
    keeper = EStopKeeper(node(swarm, "monitor"), lambda on: None)
    gate = node(swarm, "gate", "/r1")
    gate.create_subscription(Bool, "/swarm/estop", lambda message: None, qos.ESTOP)
    swarm.until(lambda: keeper.deaf(("r0", "r1")) == ["r0"])


def test_nobody_at_a_shell_can_stop_and_release_the_swarm(swarm, tmp_path):
    said = swarm.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)

    def stands():
        found = [s for _, m in said for s in m.status if s.name.endswith("gate")]
        return found and messages.values_of(found[-1])["estop"]

    with node_process("gate", "/r2", {"gate": {"robot": "r2"}}, tmp_path) as gate:
        swarm.until(lambda: stands() == "False")
        pressed = CliRunner().invoke(app, ["estop"])
        assert (pressed.exit_code, pressed.output) == (0, "stopped: r2\n")
        swarm.until(lambda: stands() == "True")
        released = CliRunner().invoke(app, ["estop", "--release"])
        assert (released.exit_code, released.output) == (0, "released: r2\n")
        swarm.until(lambda: stands() == "False")
        assert gate.interrupt() == 0


def test_a_stop_that_is_kept_for_gates_that_start_is_said_to_be_lost(swarm):
    kept = []
    EStopKeeper(node(swarm, "monitor"), kept.append)
    said = []

    def press():
        said.append(CliRunner().invoke(app, ["estop"]))

    shell = threading.Thread(target=press)
    shell.start()
    swarm.until(lambda: not shell.is_alive())
    assert set(kept) == {True}
    assert isinstance(said[0].exception, EirError)
    assert re.fullmatch(
        r"no gate is in ROS_DOMAIN_ID=\d+ yet; .*/monitor keeps the order for those that start",
        str(said[0].exception),
    )


def test_an_estop_that_nobody_hears_is_said_to_be_given():
    done = CliRunner().invoke(app, ["estop"])
    assert isinstance(done.exception, EirError)
    assert re.match(r"there is no gate in ROS_DOMAIN_ID=\d+; a swarm must run", str(done.exception))

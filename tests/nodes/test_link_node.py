"""The link of one host: what the operator may, and what whoever is on the network may not."""

import threading
import time
from itertools import count

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from domains import claim_domain  # noqa: E402
from geometry_msgs.msg import TwistStamped  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from ros_graph import PATIENCE_S, probe  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402

from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.link.envelope import Entry, Opener, Sealer  # noqa: E402
from eir_ros.link.mail import ESTOP, EStop  # noqa: E402
from eir_ros.link.streams import OPERATOR, Channel  # noqa: E402
from eir_ros.nodes import messages, qos  # noqa: E402
from eir_ros.nodes.link import Link  # noqa: E402
from eir_ros.nodes.link_network import Network  # noqa: E402
from eir_ros.policy import signing  # noqa: E402

TEAM = ["r0", "r1", "r2", "r3"]
#: Of the network between hosts; the graph of the host is that of the test.
DOMAIN = claim_domain()


class Operator:
    """The operator's host, or who would like to be it: the network's side and a key."""

    def __init__(self, key=None, host=OPERATOR):
        self.key = key or Ed25519PrivateKey.generate()
        self.sealer = Sealer(host, self.key)
        self.network = Network(OPERATOR, ["r2"], domain=DOMAIN, peers=[], discovery_server="")

    def send(self, *entries, channel=Channel.SURE, receiver="r2"):
        """Send an envelope; returns it."""
        envelope = self.sealer.seal(receiver, channel, entries)
        self.network.send("r2", channel, envelope)
        return envelope

    def send_estop(self, on, order):
        return self.send(EStop(on, order).entry())


@pytest.fixture
def operator(keys):
    found = Operator(signing.load_private_key(keys / OPERATOR / "operator.key"))
    yield found
    found.network.close()


@pytest.fixture
def intruder():
    found = Operator()
    yield found
    found.network.close()


@pytest.fixture
def graph():
    with probe() as found:
        yield found


def start(graph, keyring, **more):
    """The link of r2's host, in the test's own process."""
    given = {"host": "r2", "team": TEAM, "team_hosts": TEAM, "keys": str(keyring / "r2")}
    return graph.start(Link, "/r2", **(given | {"network_domain": DOMAIN} | more))


def orders(graph):
    """What is ordered on this host."""
    return graph.listen(Bool, "/swarm/estop", qos.ESTOP)


def values(heard):
    return [message.data for _, message in heard]


def repeat(graph, send, heard, times=1):
    """Send until it is heard: the network's side may not have found the link yet."""

    def done():
        send()
        graph.spin(0.05)
        return len(heard) >= times

    graph.until(done)


def test_an_order_of_the_operator_does_not_arrive(graph, keys, operator):
    start(graph, keys)
    heard = orders(graph)
    repeat(graph, lambda: operator.send_estop(True, 5), heard)
    assert values(heard) == [True]
    # repeated with every sign of life, it is one order
    operator.send_estop(True, 5)
    graph.spin(0.3)
    assert values(heard) == [True]
    repeat(graph, lambda: operator.send_estop(False, 6), heard, 2)
    assert values(heard) == [True, False]


def test_a_link_that_starts_takes_an_old_release_for_a_new_one(graph, keys, operator):
    """The robot may stand for a reason that it cannot know any more."""
    link = start(graph, keys)
    heard = orders(graph)
    graph.until(lambda: operator.send_estop(False, 5) and link._peers[OPERATOR].order == 5)
    graph.spin(0.3)
    assert values(heard) == []
    repeat(graph, lambda: operator.send_estop(True, 6), heard)
    repeat(graph, lambda: operator.send_estop(False, 7), heard, 2)
    assert values(heard) == [True, False]


def test_a_robot_that_learned_the_time_late_hears_no_order(graph, keys, operator):
    link = start(graph, keys)
    # as if the system's clock had been put forward since
    link._stamps._origin_ns -= 600 * 1_000_000_000
    heard = orders(graph)
    repeat(graph, lambda: operator.send_estop(True, 5), heard)
    assert values(heard) == [True]


def test_a_stop_on_the_robot_is_kept_to_itself(graph, keys, operator):
    """A button on the robot stops everybody; only the operator releases."""
    link = start(graph, keys)
    opener = Opener(OPERATOR, {"r2": signing.load_private_key(keys / "r2/r2.key").public_key()})
    button = graph.node.create_publisher(Bool, "/swarm/estop", 1)
    graph.until(lambda: button.get_subscription_count() >= 2)
    found = []

    def states():
        for envelope in operator.network.waiting("r2", Channel.SURE):
            _, entries = opener.open(envelope, Channel.SURE)
            found.extend(EStop.read(e.data) for e in entries if e.topic == ESTOP)
        return found

    graph.until(states)
    assert not found[-1].on
    button.publish(Bool(data=True))
    graph.until(lambda: states() and found[-1].on)
    # which the operator has heard, and tells to all, before it releases them
    graph.until(lambda: operator.send_estop(True, 8) and link._peers[OPERATOR].order == 8)
    graph.until(lambda: operator.send_estop(False, 9) and states() and not found[-1].on)


def test_an_operator_that_falls_silent_leaves_the_robot_driving(graph, keys, operator):
    link = start(graph, keys, operator_timeout_s=4.0)
    heard = orders(graph)
    graph.until(lambda: operator.send_estop(False, 4) and link._peers[OPERATOR].heard_s)
    began = time.monotonic()
    while time.monotonic() - began < 5.0:
        operator.send_estop(False, 4)
        graph.spin(0.1)
    assert values(heard) == []
    graph.until(lambda: values(heard) == [True])


def test_an_operators_link_that_starts_gives_an_old_release_again(graph, keys):
    """Robots may stand since it was given, because the link was gone for example."""
    publisher = graph.node.create_publisher(Bool, "/swarm/estop", qos.ESTOP)
    publisher.publish(Bool(data=False))
    start(graph, keys, host=OPERATOR, keys=str(keys / OPERATOR))
    network = Network("r2", [OPERATOR], domain=DOMAIN, peers=[], discovery_server="")
    operator_key = signing.load_private_key(keys / OPERATOR / "operator.key").public_key()
    opener, told = Opener("r2", {OPERATOR: operator_key}), []

    def states():
        for envelope in network.waiting(OPERATOR, Channel.SURE):
            _, entries = opener.open(envelope, Channel.SURE)
            told.extend(EStop.read(e.data) for e in entries if e.topic == ESTOP)
        return told

    graph.until(lambda: len(states()) >= 2)
    assert set(told) == {EStop()}
    publisher.publish(Bool(data=True))
    graph.until(lambda: states()[-1].on)
    publisher.publish(Bool(data=False))
    graph.until(lambda: not states()[-1].on)
    assert told[-1].order > 0
    network.close()


def forgeries(intruder, operator, keys):
    """Everything that somebody on the network can think of, without the operator's key."""
    r1 = Sealer("r1", signing.load_private_key(keys / "r1/r1.key"))
    twist, odometry = serialize_message(TwistStamped()), serialize_message(Odometry())
    entries = [
        EStop(True, 70).entry(),
        EStop(False, 71).entry(),
        Entry("/r2/cmd_vel", twist),
        Entry("/r2/cmd_vel_policy", twist),
        Entry("/r2/odom", odometry),
        Entry("/r2/tracks", serialize_message(PointCloud2())),
        Entry("/swarm/estop", serialize_message(Bool(data=False))),
    ]
    for channel in Channel:
        for entry in entries:
            yield channel, intruder.sealer.seal("r2", channel, [entry])
            # a robot of the team, in its own name and with its own key
            yield channel, r1.seal("r2", channel, [entry])
            if entry.topic != ESTOP:
                # even the operator does not speak for the robot's own senses and motors
                yield channel, operator.sealer.seal("r2", channel, [entry])
            # what was meant for another
            yield channel, operator.sealer.seal("r1", channel, [entry])
        yield channel, b"EIR1"
        yield channel, b""
        yield channel, operator.sealer.seal("r2", channel, [Entry(ESTOP, b"x")])


def test_an_intruder_moves_stops_or_releases_a_robot(graph, keys, operator, intruder):
    link = start(graph, keys)
    heard = orders(graph)
    moved = [
        graph.listen(kind, topic, qos.recorded(reliable=False, latched=False))
        for kind, topic in (
            (TwistStamped, "/r2/cmd_vel"),
            (TwistStamped, "/r2/cmd_vel_policy"),
            (Odometry, "/r2/odom"),
            (PointCloud2, "/r2/tracks"),
        )
    ]
    genuine = []
    repeat(graph, lambda: genuine.append(operator.send_estop(True, 5)), heard)
    repeat(graph, lambda: genuine.append(operator.send_estop(False, 6)), heard, 2)
    repeat(graph, lambda: operator.send_estop(True, 7), heard, 3)
    attempts = list(forgeries(intruder, operator, keys))
    # a recording of what the operator said, the release among it
    attempts += [(Channel.SURE, envelope) for envelope in genuine]

    def refused():
        # some at a time, and again: the network may not have found the link yet, or lose some
        for channel, envelope in attempts:
            intruder.network.send("r2", channel, envelope)
            graph.spin(0.01)
        return link._refused.total() >= 2 * len(attempts)

    graph.until(refused)
    graph.spin(0.5)
    assert values(heard) == [True, False, True]
    assert not any(moved)
    # and the operator is still obeyed
    repeat(graph, lambda: operator.send_estop(False, 8), heard, 4)


def test_a_flood_keeps_the_operator_from_stopping_the_robot(graph, keys, operator, intruder):
    start(graph, keys)
    heard = orders(graph)
    repeat(graph, lambda: operator.send_estop(True, 5), heard)
    repeat(graph, lambda: operator.send_estop(False, 6), heard, 2)
    stop, sent = threading.Event(), 0

    def flood():
        nonlocal sent
        # valid in everything but the signature, which costs the link most
        while not stop.is_set():
            for _ in range(20):
                for channel in Channel:
                    intruder.send(EStop(False, 99).entry(), channel=channel)
                sent += 2
            time.sleep(0.01)

    def obeyed_after_s(on):
        number, began, said_at = next(numbers), time.monotonic(), 0.0
        while values(heard)[-1] is not on:
            assert time.monotonic() - began < PATIENCE_S
            if time.monotonic() - said_at > 0.5:
                operator.send_estop(on, number)
                said_at = time.monotonic()
            graph.spin(0.02)
        return time.monotonic() - began

    def stopped_in_time():
        took_s = obeyed_after_s(True)
        print(f"stopped after {took_s:.2f} s, {sent} forgeries")
        obeyed_after_s(False)
        return took_s < 3.0

    numbers = count(7)
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        graph.spin(1.0)
        # a busy machine may hold up some of them, not all
        graph.until(stopped_in_time)
    finally:
        stop.set()
        thread.join()
    # and nothing was ordered by anybody else
    assert values(heard) == [True, False] * (len(heard) // 2)


def test_what_a_robot_says_of_another_crosses(graph, keys, operator):
    """A link lets out what is in its own robots' names; the operator's checks that again."""
    start(graph, keys)
    public = {"r2": signing.load_private_key(keys / "r2/r2.key").public_key()}
    opener = Opener(OPERATOR, public)
    publisher = graph.node.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
    graph.connected(publisher)
    names = []

    def crossed():
        stamp = Time(sec=1)
        own, other = messages.status("r2/agent", {}), messages.status("r1/agent", {})
        publisher.publish(messages.diagnostics(stamp, own, other))
        for envelope in operator.network.waiting("r2", Channel.SURE):
            for entry in opener.open(envelope, Channel.SURE)[1]:
                if entry.topic == "/diagnostics":
                    array = deserialize_message(entry.data, DiagnosticArray)
                    names.extend(status.name for status in array.status)
        return "r2/agent" in names

    graph.until(crossed)
    assert set(names) <= {"r2/agent", "r2/link"}


def test_a_host_without_its_keys_starts(graph, keys, tmp_path):
    with pytest.raises(EirError, match=r"r2\.key: cannot be read"):
        start(graph, keys, keys=str(keys / "r1"))
    (tmp_path / "r2.pub").write_bytes((keys / "r2/r2.pub").read_bytes())
    with pytest.raises(EirError, match=r"there is no key of operator \(operator\.pub\)"):
        start(graph, keys, keys=str(tmp_path))
    with pytest.raises(EirError, match="no robot is on host 'r9'"):
        start(graph, keys, host="r9")

"""Orders that cross between hosts: the operator is obeyed, and told; nobody else is."""

from concurrent.futures import Future

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from domains import claim_domain  # noqa: E402
from ros_graph import probe  # noqa: E402

from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.link.envelope import Entry, Sealer  # noqa: E402
from eir_ros.link.mail import ORDER, Answer, Order  # noqa: E402
from eir_ros.link.streams import OPERATOR, ORDERS, Channel  # noqa: E402
from eir_ros.nodes import messages, qos, trust_report  # noqa: E402
from eir_ros.nodes.agent import Agent  # noqa: E402
from eir_ros.nodes.fault import FaultNode  # noqa: E402
from eir_ros.nodes.link import Link  # noqa: E402
from eir_ros.nodes.link_network import Network  # noqa: E402
from eir_ros.nodes.remote import Remote  # noqa: E402
from eir_ros.policy import signing  # noqa: E402

TEAM = ["r0", "r1", "r2", "r3"]
#: Of the network between hosts, and of the graph of r2's host; the operator's is that of the test.
DOMAIN, ROBOT_DOMAIN = claim_domain(), claim_domain()


class Hosts:
    """The operator's computer with a link, and r2's with link, agent and fault node."""

    def __init__(self, operator, robot, keys, bundle_path):
        self.operator, self.robot = operator, robot
        whole = {"team": TEAM, "team_hosts": TEAM, "network_domain": DOMAIN}
        start = robot.start
        start(Agent, "/r2", bundle=str(bundle_path), robot="r2", team=TEAM)
        start(FaultNode, "/r2", robot="r2", team=TEAM)
        self.link = start(Link, "/r2", host="r2", keys=str(keys / "r2"), **whole)
        self.desk = operator.start(Link, "/", host=OPERATOR, keys=str(keys / OPERATOR), **whole)
        self.truth = robot.listen(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        self.trust = robot.listen(DiagnosticArray, "/r2/trust", qos.EVENT)
        self.remote = Remote(operator.node, TEAM)
        self.until(lambda: self.truth and self.trust)
        self.until(lambda: self.desk._peers["r2"].heard_s and self.link._peers[OPERATOR].heard_s)
        self.until(lambda: all(c.service_is_ready() for c in self.remote._clients.values()))

    def until(self, condition):
        """Spin both computers until `condition`."""
        self.operator.until(lambda: self.robot.spin(0.005) or condition())

    def order(self, node, value):
        """Give an order as the operator page does; the answer."""
        future = Future()
        self.remote.set(node, ORDERS[node.partition("/")[2]], value, "Done.", future)
        self.until(future.done)
        return future.result()

    def kind(self):
        """The fault that r2 has now."""
        newest = messages.decode_faults(self.truth[-1][1])["r2"]
        return newest[-1].kind.word if newest and newest[-1].end_s is None else "none"

    def quarantined(self):
        return trust_report.decode(self.trust[-1][1]).quarantined


@pytest.fixture
def hosts(keys, bundle_path):
    with probe() as operator, probe(domain=ROBOT_DOMAIN) as robot:
        yield Hosts(operator, robot, keys, bundle_path)


def test_a_robot_on_another_host_does_not_obey_the_operator(hosts):
    assert hosts.order("r2/fault", "slow(gain=0.2)") == "Done."
    hosts.until(lambda: hosts.kind() == "slow")
    assert hosts.order("r2/fault", "none") == "Done."
    hosts.until(lambda: hosts.kind() == "none")
    assert hosts.order("r2/agent", "r1=quarantine: smoke") == "Done."
    hosts.until(lambda: hosts.quarantined() == {1})


def test_the_operator_is_not_told_why_a_robot_refuses_or_is_silent(hosts):
    assert hosts.order("r2/agent", "r1=quarantine: smoke") == "Done."
    with pytest.raises(EirError, match=r"Refused: .*never a majority"):
        hosts.order("r2/agent", "r3=quarantine: smoke, too")
    with pytest.raises(EirError, match="Refused: r1 does not answer; it may have heard"):
        hosts.order("r1/agent", "r2=quarantine: smoke")
    future = Future()
    hosts.remote.set("r2/agent", "bundle", "/tmp/mine", "Done.", future)
    hosts.until(future.done)
    with pytest.raises(EirError, match="only the text 'trust_order' is set from another host"):
        future.result()


def test_an_intruder_or_another_robot_orders_a_robot_about(hosts, keys):
    intruder = Ed25519PrivateKey.generate()
    r1 = signing.load_private_key(keys / "r1/r1.key")
    r2 = signing.load_private_key(keys / "r2/r2.key")
    operator = signing.load_private_key(keys / OPERATOR / "operator.key")
    network = Network(OPERATOR, ["r2"], domain=DOMAIN, peers=[], discovery_server="")
    stop = Order(number=1, node="r2/fault", text="stop").entry()
    trust = Order(number=2, node="r2/agent", text="r1=quarantine: lies").entry()
    forgeries = [
        Sealer(sender, key).seal("r2", channel, [entry])
        for sender, key in ((OPERATOR, intruder), (OPERATOR, r2), ("r1", r1), ("r2", r2))
        for channel in Channel
        for entry in (stop, trust)
    ]
    # meant for another robot
    forgeries += [Sealer(OPERATOR, operator).seal("r1", Channel.SURE, [stop])]
    nonsense = [
        Entry(ORDER, b"{}"),
        Order(number=3, node="r1/fault", text="stop").entry(),
        Order(number=4, node="r2/gate", text="stop").entry(),
        Answer(number=5, refusal="").entry(),
        Entry(f"/r2/{ORDER}", stop.data),
    ]
    sealer = Sealer(OPERATOR, operator)
    try:
        before = hosts.link._refused.total()
        sent = len(forgeries) + len(nonsense)

        def refused():
            for envelope in forgeries:
                network.send("r2", Channel.SURE, envelope)
            network.send("r2", Channel.SURE, sealer.seal("r2", Channel.SURE, nonsense))
            hosts.robot.spin(0.1)
            return hosts.link._refused.total() - before >= 2 * sent

        hosts.until(refused)
        assert (hosts.kind(), hosts.quarantined()) == ("none", frozenset())
    finally:
        network.close()


def test_a_robot_orders_the_operator_about_or_answers_for_another(hosts, keys, monkeypatch):
    """What a robot's host may say back is an answer, and to what it was asked itself."""
    # the order is not given up, however long this takes
    monkeypatch.setattr("eir_ros.nodes.link_orders._PATIENCE_S", 600.0)
    sealer = Sealer("r1", signing.load_private_key(keys / "r1/r1.key"))
    network = Network("r1", [OPERATOR], domain=DOMAIN, peers=[], discovery_server="")
    order = Order(number=1, node="r2/fault", text="stop").entry()
    future = Future()
    try:
        hosts.remote.set("r2/fault", "kind", "stop", "Done.", future)
        hosts.operator.until(lambda: hosts.desk._desk._open)
        ((_, number),) = hosts.desk._desk._open
        before = hosts.desk._refused["r1", "not allowed"]

        def refused():
            entries = [order, Answer(number=number, refusal="").entry()]
            network.send(OPERATOR, Channel.SURE, sealer.seal(OPERATOR, Channel.SURE, entries))
            return hosts.desk._refused["r1", "not allowed"] > before

        hosts.operator.until(refused)
        assert not future.done()
    finally:
        network.close()

"""The ladder of trust through ROS: told, obeyed, and kept at a distance."""

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from ros_graph import node_process  # noqa: E402
from senses import Senses, moves  # noqa: E402

from eir_ros.contract.trust import Level  # noqa: E402
from eir_ros.nodes import messages, qos, trust_report  # noqa: E402
from eir_ros.nodes.clouds import InvalidMessageError  # noqa: E402


@pytest.fixture(scope="module")
def senses(agent_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trust")
    with node_process("agent", "/r1", {"agent": agent_settings}, folder) as process:
        found = Senses()
        found.trust = found.listen(DiagnosticArray, "/r1/trust", qos.EVENT)
        found.wait_for_agent()
        found.until(lambda: moves(found.decide()))
        found.until(lambda: found.trust)
        yield found
        found.close()
        assert process.interrupt() == 0, process.output()


def newest(senses):
    return trust_report.decode(senses.trust[-1][1])


def test_an_agent_begins_without_saying_whom_it_trusts(senses):
    first = trust_report.decode(senses.trust[0][1])
    assert first.observer == "r1"
    assert first.levels == dict.fromkeys(("r0", "r2", "r3"), Level.COOPERATE)
    assert (first.step, first.quarantined) == (None, frozenset())
    assert "r0=cooperate" in senses.report()[1]["trust"]


def test_an_operators_order_is_not_obeyed_or_not_on_record(senses):
    def order(text):
        return senses.set_parameter("/r1/agent", "trust_order", text)

    assert order("r2=quarantine: smoke").successful
    senses.until(lambda: newest(senses).quarantined == {2})
    assert newest(senses).step[1:] == ("r2", "r2: cooperate -> quarantine (operator: smoke)")
    for text, reason in (
        ("r3=quarantine: smoke, too", "never a majority"),
        ("r3=quarantine", "not of the form"),
        ("r3=quarantine: ", "needs a reason"),
        ("r1=hold: me", "r1 has no teammate 'r1'; it has r0, r2, r3"),
        ("r3=banish: gone", "unknown level of trust 'banish'"),
    ):
        result = order(text)
        assert not result.successful
        assert reason in result.reason
    assert order("r2=hold: closer look").successful
    assert not moves(senses.decide())
    assert senses.report()[1]["state"] == "holds"
    assert order("r2=auto: it was dust").successful
    assert order("r2=cooperate: it was dust").successful
    senses.until(lambda: moves(senses.decide()))
    senses.until(lambda: newest(senses).quarantined == frozenset())


def test_nonsense_about_trust_is_taken_for_a_quarantine():
    for values in ({}, {"quarantined": "x"}, {"quarantined": "", "level_r0": "banish"}):
        status = messages.status("r1/trust", values)
        with pytest.raises(InvalidMessageError):
            trust_report.decode(messages.diagnostics(messages.time_of(0), status))
    with pytest.raises(InvalidMessageError):
        trust_report.decode(DiagnosticArray())

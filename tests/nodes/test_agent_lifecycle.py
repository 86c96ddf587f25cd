"""The agent as a process: how it starts, ends, and comes back."""

import signal

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from ros_graph import node_process  # noqa: E402
from senses import Senses, moves  # noqa: E402

from eir_ros.nodes import messages  # noqa: E402


@pytest.fixture
def senses():
    found = Senses()
    yield found
    found.close()


def test_something_is_published_before_it_is_active(agent_settings, senses, tmp_path):
    # no stop but those that are ordered
    parameters = agent_settings | {"autostart": False, "input_deadline_s": 600.0}
    with node_process("agent", "/r1", {"agent": parameters}, tmp_path) as process:
        client = senses.node.create_client(ChangeState, "/r1/agent/change_state")

        def change(transition):
            senses.until(client.service_is_ready)
            request = ChangeState.Request(transition=Transition(id=transition))
            future = client.call_async(request)
            senses.until(future.done)
            assert future.result().success

        change(Transition.TRANSITION_CONFIGURE)
        senses.wait_for_agent()
        for _ in range(6):
            senses.sense()
        # a report would be due every second
        senses.spin(1.2)
        heard = (senses.commands, senses.decisions, senses.beliefs, senses.diagnostics)
        assert not any(heard)
        change(Transition.TRANSITION_ACTIVATE)
        assert moves(senses.until(lambda: senses.decide()))
        change(Transition.TRANSITION_DEACTIVATE)
        senses.until(lambda: not moves(senses.commands[-1][1]))
        senses.commands.clear()
        for _ in range(6):
            senses.sense()
        senses.spin(0.3)
        assert not senses.commands
        assert process.interrupt() == 0
        assert "Traceback" not in process.output()


def test_an_agent_that_hears_nothing_says_that_all_is_well(agent_settings, senses, tmp_path):
    with node_process("agent", "/r1", {"agent": agent_settings}, tmp_path):
        senses.wait_for_agent()

        def said():
            status, values = senses.report()
            # nobody is stopped, so nothing is counted
            assert values["stale_inputs"] == "0"
            return status.message

        everything = "no tick has been complete yet: stale input: odom, tracks, sites"
        senses.until(lambda: said() == everything)
        senses.until(lambda: moves(senses.decide()))
        senses.until(lambda: "no tick" not in senses.report()[0].message)
        assert senses.report()[1]["missed_ticks"].isdecimal()


def test_a_pose_in_the_map_is_moved_by_odom_in_map_once_more(agent_settings, senses, tmp_path):
    parameters = agent_settings | {"odom_in_map": [0.5, 0.0, 0.0]}
    with node_process("agent", "/r1", {"agent": parameters}, tmp_path):
        senses.wait_for_agent()
        senses.until(lambda: moves(senses.decide()))
        senses.until(lambda: not moves(senses.decide(of="map")))
        said = [message.status[0].message for _, message in senses.diagnostics]
        said += [senses.report()[0].message]
        assert any("odom is in 'map' already" in sentence for sentence in said)
        senses.until(lambda: moves(senses.decide()))


def test_a_restarted_agent_remembers_what_it_believed(agent_settings, senses, tmp_path):
    firsts = []
    for life in range(2):
        folder = tmp_path / str(life)
        folder.mkdir()
        senses.decisions.clear()
        with node_process("agent", "/r1", {"agent": agent_settings}, folder) as process:
            senses.wait_for_agent()
            for _ in range(9):
                senses.answer()
            end = senses.decide().header.stamp
            # to the very last, or it would be taken for the next life's first
            senses.until(lambda: any(m.header.stamp == end for _, m in senses.decisions))  # noqa: B023
            beliefs = [messages.values_of(m.status[0])["belief"] for _, m in senses.decisions]
            assert beliefs[0] != beliefs[-1]
            firsts.append(beliefs[0])
            process.popen.send_signal(signal.SIGKILL)
            process.wait()
    assert firsts[0] == firsts[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"team": ["r0", "r1", "r2"]}, "a team of 3 robots was asked for"),
        ({"robot": "r9"}, "robot 'r9' is not in the team"),
        ({"bundle": "/nowhere"}, "there is no bundle here"),
        ({"bundel": "x"}, "unknown key 'bundel', did you mean 'bundle'"),
        ({"input_deadline_s": -1.0}, "input_deadline_s"),
    ],
)
def test_a_wrong_agent_starts(agent_settings, tmp_path, change, sentence):
    with node_process("agent", "/r1", {"agent": agent_settings | change}, tmp_path) as process:
        assert process.wait() == 2
        assert sentence in process.output()
        assert "Traceback" not in process.output()


def test_ctrl_c_among_messages_leaves_a_traceback(agent_settings, senses, tmp_path):
    for life in range(3):
        folder = tmp_path / str(life)
        folder.mkdir()
        with node_process("agent", "/r1", {"agent": agent_settings}, folder) as process:
            senses.wait_for_agent()
            for _ in range(50 + life):
                senses.sense()
            process.popen.send_signal(signal.SIGINT)
            for _ in range(50):
                senses.sense()
            assert process.wait() == 0
            assert "Traceback" not in process.output()
        senses.until(lambda: not senses.node.count_publishers("/r1/cmd_vel_policy"))

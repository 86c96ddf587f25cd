"""What others hear of a robot whose link is faulty, and whose processes are stopped."""

import signal
import subprocess
import sys
import time

import pytest

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind, parse_fault
from eir_ros.faults.processes import AgentProcess
from eir_ros.faults.talk import Talk
from eir_ros.faults.timeline import Span, Timeline


def heard(text: str, seed: int = 0, ticks: int = 100) -> list[tuple[float, int]]:
    """When which message is heard, of one that is said every 0.1 s; the fault is from 2 to 6 s."""
    talk, found = Talk(Timeline([parse_fault(f"r1:{text}@2-6")]), seed), []
    for tick in range(ticks):
        now = round(0.1 * tick, 9)
        found += [(now, message) for _, message in talk.due(now)]
        found += [(now, message) for message in talk.say("beliefs", tick, now)]
    return found


def during(found, start=2.0, end=6.0):
    return [(now, said) for now, said in found if start <= now < end]


@pytest.mark.parametrize("text", ["silent", "delay", "loss", "replay", "sybil"])
def test_a_healthy_link_changes_what_is_said(text: str):
    found = heard(text)
    healthy = [(round(0.1 * tick, 9), tick) for tick in range(100)]
    assert [pair for pair in found if pair[0] < 2.0] == healthy[:20]
    assert [pair for pair in found if pair[0] >= 6.0 and pair in healthy] == healthy[60:]


def test_who_is_silent_is_heard():
    assert during(heard("silent")) == []


def test_who_is_late_is_early_or_overtaken():
    found = heard("delay(delay_s=0.5)")
    assert during(found)[0] == (2.5, 20)
    assert all(now == pytest.approx(0.1 * said + 0.5) for now, said in during(found))
    assert [said for _, said in found] == sorted(said for _, said in found)


def test_another_share_is_lost_than_was_asked_for():
    assert len(during(heard("loss(share=0.5)"))) == pytest.approx(20, abs=9)
    assert during(heard("loss(share=1)")) == []
    assert heard("loss", seed=1) == heard("loss", seed=1) != heard("loss", seed=2)


def test_what_is_said_again_is_new():
    found = during(heard("replay(age_s=1)"))
    assert found[0] == (2.0, 10)
    assert all(said == round(10 * now) - 10 for now, said in found)


def test_who_speaks_in_anothers_name_does_so_always_or_never():
    talk = Talk(Timeline([parse_fault("r1:sybil(name=r3)@2-6")]), 0)
    assert [talk.forged_name(t) for t in (1.9, 2.0, 5.9, 6.0)] == [None, "r3", "r3", None]


HANG = Span(FaultKind.HANG, 1.0, 2.0, "schedule")
CRASH = Span(FaultKind.CRASH, 1.0, 2.0, "schedule")


@pytest.fixture
def agent():
    """A stand-in whose command line says that it is the agent of r9."""
    code = "import time; time.sleep(600)"
    words = [sys.executable, "-c", code, "eir_ros.nodes.agent", "__ns:=/r9"]
    with subprocess.Popen(words) as found:
        yield found
        found.kill()


#: Run beside the stand-in, as a fault node is: a child of the same parent.
INJECT = """
import sys
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.processes import AgentProcess
from eir_ros.faults.timeline import Span
agent = AgentProcess("r9")
for word in sys.argv[1:]:
    span = None if word == "none" else Span(FaultKind.parse(word), 1.0, 2.0, "schedule")
    print(agent.update(span), flush=True)
    sys.stdin.readline()
"""


def state(process) -> str:
    """R, S, T (stopped), Z ..."""
    with open(f"/proc/{process.pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def until(condition, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def injector(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", INJECT, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_hung_agent_goes_on_or_stays_hung_when_the_fault_is_over(agent):
    with injector("hang", "none") as node:
        assert node.stdout.readline() == "the agent of r9 is stopped\n"
        until(lambda: state(agent) == "T")
        node.stdin.write("\n")
        node.stdin.flush()
        until(lambda: state(agent) != "T")
        node.stdin.close()


def test_a_crash_leaves_the_agent_alive(agent):
    with injector("crash") as node:
        assert node.stdout.readline() == "the agent of r9 is killed\n"
        assert agent.wait(60) == -signal.SIGKILL
        node.stdin.close()


def test_somebody_elses_process_is_stopped(agent):
    """The parent of an agent is no sibling of it, and an agent of another robot is not meant."""
    with pytest.raises(EirError, match="no agent of r9 was started beside this process"):
        AgentProcess("r9").update(HANG)
    with injector("hang") as node:
        assert node.stdout.readline()
        node.stdin.close()
    with pytest.raises(EirError, match="no agent of r8"):
        AgentProcess("r8").update(CRASH)

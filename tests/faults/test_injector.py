"""A fault must do what its name says, and nothing before its onset or after its end."""

import numpy as np
import pytest

from eir_ros.contract.coverage import CoverageTask, Sensed, command, decode
from eir_ros.contract.faults import FaultKind, parse_fault
from eir_ros.faults.acting import DEFAULTS
from eir_ros.faults.injector import Injector
from eir_ros.faults.timeline import Timeline

SLOW_GAIN = DEFAULTS[FaultKind.SLOW, 0]
TASK = CoverageTask()
#: Ticks of a run; the fault holds from tick 20 until before tick 40.
ONSET, END, TICKS = 20, 40, 60


def sensed(tick):
    return Sensed(
        pose=np.array([0.01 * tick, 0.0, 0.1]),
        velocity=np.zeros(2),
        tracks=np.zeros((3, 4)),
        visible=np.ones(3, bool),
        sites=np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]),
        served=np.zeros(3, bool),
        index=np.array(2),
    )


def asked(tick):
    return np.array([0.5 * np.sin(tick), 3.0 * np.cos(tick)])


def run(kind, seed=0, adversary=None, onset=ONSET, blind=()):
    """Commands that are carried out, (TICKS, 2)."""
    timeline = Timeline([parse_fault(f"r2:{kind}@{onset / 10}-{END / 10}")])
    injector = Injector(TASK, 2, timeline, seed)
    injector.adversary = adversary
    return np.array(
        [
            injector.apply(
                tick * 0.1,
                asked(tick),
                None if tick in blind else sensed(tick),
                decide=tick % TASK.decision_ticks == 0,
            )
            for tick in range(TICKS)
        ]
    )


healthy = np.array([asked(tick) for tick in range(TICKS)])
during = slice(ONSET, END)


@pytest.mark.parametrize("kind", [kind.word for kind in FaultKind if kind])
def test_a_healthy_robot_does_exactly_what_its_agent_says(kind):
    commands = run(kind, adversary=lambda observation, index: 1)
    assert (commands[:ONSET] == healthy[:ONSET]).all()
    assert (commands[END:] == healthy[END:]).all()


def test_actuator_faults_do_what_their_names_say():
    assert (run("stop")[during] == 0.0).all()
    assert (run("stuck")[during] == asked(ONSET - 1)).all()
    assert (run("slow")[during] == SLOW_GAIN * healthy[during]).all()
    assert (run("mute")[during] == healthy[during]).all()
    walk = run("random_walk")[during]
    assert np.ptp(walk, axis=0).min() > 0.1
    assert (np.abs(walk) <= [0.5, 3.0]).all()


@pytest.mark.parametrize("kind", ["random_walk", "random_action"])
def test_the_seed_reproduces_a_random_fault_and_another_seed_does_not(kind):
    assert (run(kind, seed=1) == run(kind, seed=1)).all()
    assert (run(kind, seed=1) != run(kind, seed=2)).any()


def test_the_adversary_is_asked_at_decisions_and_followed_as_the_agent_would():
    asked_of = []

    def adversary(observation, index):
        asked_of.append((observation.copy(), index))
        return 9

    commands = run("adversary", adversary=adversary)
    assert len(asked_of) == (END - ONSET) / TASK.decision_ticks
    assert {index for _, index in asked_of} == {2}
    assert asked_of[0][0].shape == (TASK.layout.size,)
    decision = decode(TASK, np.array(9), sensed(ONSET))
    for tick in range(ONSET, END):
        assert (commands[tick] == command(TASK, decision, sensed(tick).pose)).all()


def test_a_corrupted_decision_replaces_the_policys_at_decision_ticks_only():
    commands = run("adversary", adversary=lambda observation, index: 1, onset=ONSET + 1)
    assert (commands[ONSET + 1] == healthy[ONSET + 1]).all()
    assert (commands[ONSET + 2] != healthy[ONSET + 2]).any()


def test_without_its_senses_or_its_mind_the_policy_has_its_way():
    assert (run("adversary", adversary=None) == healthy).all()
    assert (run("adversary", adversary=lambda observation, index: None) == healthy).all()
    blind = run("adversary", adversary=lambda observation, index: 1, blind=range(TICKS))
    assert (blind == healthy).all()

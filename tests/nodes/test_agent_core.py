"""The agent without ROS: when it decides, when it holds, when it forgets."""

from types import SimpleNamespace

import numpy as np
import pytest

from eir_ros.contract.coverage import CoverageTask, Sensed, command, decode, observe
from eir_ros.policy.agent_core import DISTRUST, STOPPED, WAITING, AgentCore
from eir_ros.policy.runtime import PolicyStep, UnusableObservation
from eir_ros.safety.trust import Ladder, LadderSettings, Level

TASK = CoverageTask()


class Scripted:
    """A policy that goes to the nearest site and suspects the second teammate."""

    def __init__(self):
        self.seen = []
        self.distrusted = []
        self.resets = 0

    def reset(self):
        self.resets += 1
        self.seen.clear()

    def step(self, observation, distrusted=None):
        self.distrusted.append(distrusted)
        if not np.isfinite(observation).all():
            raise UnusableObservation("not a finite number")
        self.seen.append(observation)
        belief = np.array([[0.9, 0.1], [0.05, 0.95], [0.8, 0.2]], np.float32)
        return PolicyStep(9, belief, np.zeros(12, np.float32), 30.0)


MANIFEST = SimpleNamespace(task=TASK, belief=SimpleNamespace(threshold=0.5))


def sensed(x=0.0):
    return Sensed(
        pose=np.array([x, 0.0, 0.3]),
        velocity=np.zeros(2),
        tracks=np.zeros((3, 4), np.float32),
        visible=np.array([True, True, False]),
        sites=np.array([[1.0, 0.5], [-1.0, 0.2], [0.0, 1.2]]),
        served=np.array([True, False, False]),
        index=np.int64(1),
    )


@pytest.fixture
def policy():
    return Scripted()


@pytest.fixture
def core(policy):
    return AgentCore(MANIFEST, policy, 1)


def test_it_decides_at_other_ticks_than_in_training(core, policy):
    answers = [core.tick(tick, sensed(0.01 * tick)) for tick in range(6)]
    assert [answer.decided is not None for answer in answers] == [True, False] * 3
    assert len(policy.seen) == 3
    np.testing.assert_array_equal(policy.seen[1], observe(TASK, sensed(0.02)))
    # between decisions the command follows the pose
    decision = decode(TASK, np.array(9), sensed(0.02))
    np.testing.assert_array_equal(answers[3].command, command(TASK, decision, sensed(0.03).pose))


def test_it_drives_before_it_has_decided(core):
    answer = core.tick(1, sensed())
    assert answer.held == WAITING
    assert not answer.command.any()


def test_it_drives_on_a_decision_that_is_too_old(core):
    core.tick(0, sensed())
    assert core.tick(3, sensed()).command.any()
    answer = core.tick(5, sensed())
    assert "too old" in answer.held
    assert not answer.command.any()


def test_it_drives_on_after_an_observation_that_is_no_number(core):
    core.tick(0, sensed())
    answer = core.tick(2, sensed(np.nan))
    assert "not a finite" in answer.held
    assert not answer.command.any()
    assert core.tick(3, sensed()).held == WAITING
    assert core.tick(4, sensed()).command.any()


def test_a_hold_is_forgotten_before_the_next_decision(core):
    core.tick(0, sensed())
    assert not core.hold("told so").command.any()
    assert not core.tick(1, sensed()).command.any()


def test_a_detection_needs_fewer_decisions_than_agreed_or_never_ends(core, policy):
    flags = [core.tick(2 * k, sensed()).decided.detected.tolist() for k in range(4)]
    assert flags == [[False] * 3] * 2 + [[False, True, False]] * 2
    policy.step = lambda _: PolicyStep(
        0, np.array([[1.0, 0.0]] * 3, np.float32), np.zeros(12, np.float32), 30.0
    )
    assert not core.tick(8, sensed()).decided.detected.any()


def test_a_new_mission_remembers_the_old_one(core, policy):
    for tick in range(0, 8, 2):
        core.tick(tick, sensed())
    core.reset()
    assert policy.resets == 2
    assert core.tick(1, sensed()).held == WAITING
    assert not core.tick(2, sensed()).decided.detected.any()


@pytest.fixture
def wary(policy):
    return AgentCore(MANIFEST, policy, 1, Ladder(LadderSettings(), 3, 0.5))


def test_a_suspect_changes_decisions_before_a_step_is_taken_or_not_after_it(core, wary, policy):
    steps = []
    for tick in range(0, 14, 2):
        one, other = core.tick(tick, sensed(0.01 * tick)), wary.tick(tick, sensed(0.01 * tick))
        np.testing.assert_array_equal(one.command, other.command)
        steps += other.decided.steps
    assert [(step.mate, step.after) for step in steps] == [
        (1, Level.DISCOUNT),
        (1, Level.QUARANTINE),
    ]
    asked = [d for d in policy.distrusted if d is not None]
    assert asked
    assert all(d.tolist() == [False, True, False] for d in asked)
    assert steps[1].time_s == pytest.approx(0.8)


def test_a_robot_that_shall_hold_drives_or_stops_believing(wary):
    wary.tick(0, sensed())
    wary.trust.override(0, Level.HOLD, "wait", 0.0)
    answer = wary.tick(2, sensed())
    assert (answer.held, answer.decided is None) == (DISTRUST, False)
    assert not answer.command.any()
    assert not wary.tick(3, sensed()).command.any()
    wary.trust.override(0, None, "go on", 0.4)
    assert wary.tick(4, sensed()).command.any()


def test_a_new_mission_keeps_the_quarantines_of_the_last(wary):
    for tick in range(0, 14, 2):
        wary.tick(tick, sensed())
    assert wary.trust.quarantined.any()
    wary.reset()
    assert not wary.trust.quarantined.any()


def test_robots_that_stand_because_of_the_e_stop_are_blamed_for_it(wary, policy):
    for tick in range(0, 4, 2):
        wary.tick(tick, sensed())
    thought = len(policy.seen)
    answers = [wary.tick(tick, sensed(), stopped=True) for tick in range(4, 104)]
    assert {answer.held for answer in answers} == {STOPPED}
    assert not any(answer.command.any() for answer in answers)
    assert len(policy.seen) == thought
    # what stands in between is no evidence for the ladder either: it takes the steps it would have
    steps = []
    for tick in range(104, 114, 2):
        steps += wary.tick(tick, sensed()).decided.steps
    assert [step.after for step in steps] == [Level.DISCOUNT, Level.QUARANTINE]
    assert steps[0].time_s == pytest.approx(104 * TASK.tick_s + 0.2)


def test_a_robot_drives_on_an_old_decision_after_the_e_stop(core):
    core.tick(0, sensed())
    core.tick(1, sensed(), stopped=True)
    assert core.tick(3, sensed()).held == WAITING
    assert core.tick(4, sensed()).command.any()

"""The same faults in arrays and on a robot; what acts as another kind does so at the same times."""

import numpy as np
import pytest

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import COMMUNICATION, SOFTWARE, FaultKind, parse_fault
from eir_ros.faults.schedule import FaultMixture, Schedule
from eir_ros.faults.timeline import Timeline

TEAM = ("r0", "r1", "r2")
TEXTS = [
    "r1:stop@2-4",
    "r1:slow(gain=0.1)@3-5",
    "r1:mute@8",
    "r2:intermittent(period_s=2,share=0.25,acts=random_action)@1-9",
    "r0:late_switch(after_s=4)@2",
]


def test_a_schedule_of_arrays_says_otherwise_than_the_timeline_of_each_robot():
    faults = [parse_fault(text) for text in TEXTS]
    schedule = Schedule.of(faults, TEAM, batch=2)
    lines = [Timeline([f for f in faults if f.robot == name]) for name in TEAM]
    for tick in range(120):
        kinds, values = schedule.now(0.1 * tick)
        assert kinds.shape == (2, 3)
        assert kinds[0].tolist() == kinds[1].tolist() == [t.acts(0.1 * tick) for t in lines]
        for robot, line in enumerate(lines):
            span = line.span_at(0.1 * tick)
            if span is not None:
                assert values[0, robot].tolist() == span.values.tolist()


def test_who_acts_now_and_then_works_in_between():
    line = Timeline([parse_fault(TEXTS[3])])
    acts = [line.acts(0.1 * tick) for tick in range(100)]
    assert acts[:10] == [FaultKind.NONE] * 10
    assert acts[10:30] == [FaultKind.RANDOM_ACTION] * 5 + [FaultKind.MUTE] * 15
    assert acts[90:] == [FaultKind.NONE] * 10


def test_who_switches_late_is_faulty_before_it_does():
    line = Timeline([parse_fault(TEXTS[4])])
    assert [line.acts(t) for t in (1.9, 2.0, 5.9, 6.0, 60.0)] == [
        *[FaultKind.NONE] * 3,
        *[FaultKind.ADVERSARY] * 2,
    ]
    assert line.at(3.0) is FaultKind.LATE_SWITCH
    assert line.spans[0].onset_s == 6.0


def test_a_gain_that_was_given_is_ignored_in_a_batch():
    from eir_ros.faults.command import CommandFaults

    kinds, values = Schedule.of([parse_fault("r1:slow(gain=0.1)")], TEAM, 1).now(0.0)
    out = CommandFaults((1, 3), 0).apply(kinds, np.ones((1, 3, 2)), values=values)
    assert out[0, :, 0].tolist() == [1.0, 0.1, 1.0]


@pytest.mark.parametrize("kind", sorted(COMMUNICATION | SOFTWARE))
def test_what_needs_messages_or_processes_is_simulated_as_nothing(kind: FaultKind):
    with pytest.raises(EirError, match=rf"'{kind.word}' acts on .*needs `eir swarm`"):
        Schedule.of([parse_fault(f"r1:{kind.word}@1")], TEAM, 1)
    with pytest.raises(EirError, match="needs `eir swarm`"):
        FaultMixture(kinds={kind.word: 1.0})
    with pytest.raises(EirError, match="needs `eir swarm`"):
        FaultMixture(kinds={"stop": 1.0}, schedule=(f"r1:{kind.word}",))


def test_a_stranger_is_scheduled_in_simulation():
    with pytest.raises(EirError, match="'r7:stop@0' names 'r7'; the team is r0, r1, r2"):
        Schedule.of([parse_fault("r7:stop")], TEAM, 1)


def test_a_mixture_draws_what_was_given_instead():
    mixture = FaultMixture(kinds={"stop": 1.0}, schedule=("r1:mute@2", "r0:wear@3"))
    drawn = mixture.draw(np.random.default_rng(0), 4, 3, 18.0)
    assert (drawn.active(5.0) == [FaultKind.WEAR, FaultKind.MUTE, FaultKind.NONE]).all()
    assert mixture.words == ["stop", "mute", "wear"]


def test_a_mixture_mends_the_share_of_faults_that_was_asked_for_within_the_episode():
    mixture = FaultMixture(kinds={"stop": 1.0}, probability=1.0, ends=0.5)
    drawn = mixture.draw(np.random.default_rng(0), 2000, 3, 18.0)
    assert drawn.end_s is not None
    mended = np.isfinite(drawn.end_s)
    assert mended.mean() == pytest.approx(0.5, abs=0.03)
    assert (drawn.end_s > drawn.start_s).all()
    assert (drawn.end_s[mended] <= 18.0).all()
    late = drawn.active(17.99) != FaultKind.NONE
    faulty = drawn.kind != FaultKind.NONE
    assert late[faulty].mean() == pytest.approx(0.5, abs=0.05)


def test_a_mixture_whose_faults_stay_draws_no_ends():
    drawn = FaultMixture(kinds={"stop": 1.0}).draw(np.random.default_rng(0), 4, 3, 18.0)
    assert drawn.end_s is None

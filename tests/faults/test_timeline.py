"""Ground truth that does not match what was done would falsify every figure about detection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import Fault, FaultKind, parse_fault
from eir_ros.faults.timeline import Span, Timeline, read_schedule


def scheduled(*texts):
    return Timeline([parse_fault(text) for text in texts])


def test_a_scheduled_fault_holds_from_its_first_tick_until_before_its_end():
    timeline = scheduled("r2:stop@5-12")
    held = [tick for tick in range(200) if timeline.at(tick * 0.1) is FaultKind.STOP]
    assert held == list(range(50, 120))
    assert timeline.spans == (Span(FaultKind.STOP, 5.0, 12.0, "schedule"),)


def test_a_later_fault_replaces_an_earlier_one():
    timeline = scheduled("r2:mute@10", "r2:stop@5")
    assert [timeline.at(t) for t in (4, 5, 9.9, 10, 99)] == [
        FaultKind.NONE,
        FaultKind.STOP,
        FaultKind.STOP,
        FaultKind.MUTE,
        FaultKind.MUTE,
    ]
    assert timeline.spans[0].end_s == 10.0


def test_the_operator_clears_a_scheduled_fault_but_not_those_to_come():
    timeline = scheduled("r2:stop@5-12", "r2:mute@20")
    timeline.set(FaultKind.NONE, 7.0)
    assert timeline.at(7.0) is FaultKind.NONE
    assert timeline.at(20.0) is FaultKind.MUTE
    assert timeline.spans[0] == Span(FaultKind.STOP, 5.0, 7.0, "schedule")


def test_the_operators_fault_ends_at_the_next_scheduled_onset():
    timeline = scheduled("r2:mute@20-30")
    timeline.set(FaultKind.STOP, 3.0)
    assert timeline.spans == (
        Span(FaultKind.STOP, 3.0, 20.0, "operator"),
        Span(FaultKind.MUTE, 20.0, 30.0, "schedule"),
    )
    assert timeline.at(40.0) is FaultKind.NONE


def test_setting_the_present_fault_again_is_no_new_fault():
    timeline = scheduled("r2:stop@5")
    timeline.set(FaultKind.STOP, 6.0)
    assert len(timeline.spans) == 1


def test_a_fault_cleared_while_time_stands_still_stays_on_record_but_never_holds():
    timeline = Timeline()
    timeline.set(FaultKind.STOP, 5.0)
    timeline.set(FaultKind.NONE, 5.0)
    assert timeline.spans == (Span(FaultKind.STOP, 5.0, 5.0, "operator"),)
    assert timeline.at(5.0) is FaultKind.NONE


kinds = st.sampled_from(FaultKind)


@given(
    schedule=st.lists(
        st.tuples(kinds, st.integers(0, 30), st.none() | st.integers(1, 9)), max_size=4
    ),
    hands=st.lists(st.tuples(kinds, st.integers(0, 40)), max_size=6),
)
def test_never_two_faults_at_once_and_the_operators_word_holds_at_once(schedule, hands):
    timeline = Timeline(
        Fault(robot="r2", kind=kind, start_s=start, end_s=length and start + length)
        for kind, start, length in schedule
        if kind
    )
    for kind, now in sorted(hands, key=lambda hand: hand[1]):
        timeline.set(kind, now)
        assert timeline.at(now) is kind
        assert timeline.at(now + 1e-3) is kind
    for tick in range(500):
        holding = [span for span in timeline.spans if span.holds(tick * 0.1)]
        assert len(holding) <= 1


def test_a_stranger_in_a_schedule_is_refused():
    team = ("r0", "r1")
    assert read_schedule(["r1:stop@5"], team) == {"r0": [], "r1": [parse_fault("r1:stop@5")]}
    with pytest.raises(EirError, match=r"'r7:stop@5' names 'r7'; the team is r0, r1"):
        read_schedule(["r1:stop@5", "r7:stop@5"], team)
    with pytest.raises(EirError, match="unknown fault kind 'explode'"):
        read_schedule(["r1:explode@5"], team)

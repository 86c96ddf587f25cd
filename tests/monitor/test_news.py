"""What the terminal must and must not be told."""

import pytest

from eir_ros.contract.report import FaultSpan
from eir_ros.monitor.counters import Counters
from eir_ros.monitor.detections import Alarm, Judge
from eir_ros.monitor.news import News, about_alarm
from eir_ros.monitor.state import State

TEAM = ("r0", "r1")


@pytest.fixture
def state() -> State:
    return State(TEAM, Judge(TEAM, 0.5), Counters(TEAM))


def test_a_robot_that_stands_is_said_to_move(state: State) -> None:
    news = News()
    assert list(news.lines(state)) == []
    state.robots["r1"].speed = 0.3
    assert list(news.lines(state)) == ["the robots move"]
    assert list(news.lines(state)) == []


def test_a_scheduled_fault_is_told_before_it_starts_or_twice(state: State) -> None:
    news = News()
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="stop", start_s=5.0, end_s=9.0)])
    assert list(news.lines(state)) == []
    state.time_s = 5.2
    assert list(news.lines(state)) == ["at 5.0 s r1 is broken: stop"]
    assert list(news.lines(state)) == []
    state.time_s = 9.0
    assert list(news.lines(state)) == ["at 9.0 s r1 is well again"]
    assert list(news.lines(state)) == []


def test_a_fault_that_an_operator_clears_lasts_for_ever(state: State) -> None:
    news = News()
    state.time_s = 6.0
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="mute", start_s=5.0)])
    assert len(list(news.lines(state))) == 1
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="mute", start_s=5.0, end_s=6.0)])
    assert list(news.lines(state)) == ["at 6.0 s r1 is well again"]


def test_an_e_stop_goes_unnoticed(state: State) -> None:
    news = News()
    state.estop_ordered = True
    assert list(news.lines(state)) == ["e-stop: every robot is told to stand"]
    state.estop_ordered, state.paused = False, True
    assert list(news.lines(state)) == ["the world is paused", "the e-stop is released"]


def test_a_false_alarm_looks_like_a_detection(state: State) -> None:
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="stop", start_s=5.0)])
    assert about_alarm(Alarm(4.0, "r0", "r1"), state) == "at 4.0 s r0 blames r1, which is healthy"
    assert (
        about_alarm(Alarm(6.5, "r0", "r1"), state)
        == "at 6.5 s r0 found out r1, 1.5 s after its fault"
    )


def test_what_a_broken_robot_says_looks_like_a_false_alarm(state: State) -> None:
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="stop", start_s=5.0)])
    said = about_alarm(Alarm(6.0, "r1", "r0"), state)
    assert said == "at 6.0 s r1, which is broken itself, blames r0, which is healthy"

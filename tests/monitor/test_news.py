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


def test_a_second_sender_of_motor_commands_is_known_to_the_gate_alone(state: State) -> None:
    news = News()
    state.set_diagnostics("r1", "gate", {"shared": "cmd_vel by /joy and /r1/gate"})
    said = ["r1 has more than one sender of cmd_vel by /joy and /r1/gate"]
    assert list(news.lines(state)) == said
    assert list(news.lines(state)) == []
    state.set_diagnostics("r1", "gate", {"shared": ""})
    assert list(news.lines(state)) == ["r1 has one sender of each of its topics again"]


def blame(state: State, t_s: float, observer: str, suspect: str) -> str:
    """What is said when `observer` has believed ill of `suspect` for long enough, at `t_s`."""
    state.believe(t_s - 0.6, observer, {suspect: (0.1, "tracked")})
    raised: list[Alarm] = []
    for late_s in (0.4, 0.2, 0.0):
        raised += state.believe(t_s - late_s, observer, {suspect: (0.9, "tracked")})
    (alarm,) = raised
    return about_alarm(alarm, state)


def test_a_false_alarm_looks_like_a_detection(state: State) -> None:
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="stop", start_s=5.0)])
    assert blame(state, 4.0, "r0", "r1") == "at 4.0 s r0 blames r1, which is healthy"
    assert blame(state, 6.5, "r0", "r1") == "at 6.5 s r0 found out r1, 1.5 s after its fault"


def test_one_fault_is_found_out_a_hundred_times(state: State) -> None:
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="stop", start_s=5.0)])
    blame(state, 6.5, "r0", "r1")
    assert [blame(state, t_s, "r0", "r1") for t_s in (8.0, 10.0, 12.0)] == [""] * 3
    assert blame(state, 30.0, "r0", "r1") == "at 30.0 s r0 blames r1 again"


def test_who_blames_a_robot_that_fell_silent_is_told_that_it_is_healthy(state: State) -> None:
    state.judge.hear("r1", 5.0)
    assert blame(state, 6.0, "r0", "r1") == "at 6.0 s r0 blames r1, which is healthy"
    assert blame(state, 7.0, "r0", "r1") == "at 7.0 s r0 blames r1, whose agent is silent"


def test_a_robot_that_was_taken_away_has_a_fault(state: State) -> None:
    state.judge.set_absent("r1", 5.0, absent=True)
    assert blame(state, 6.5, "r0", "r1") == "at 6.5 s r0 has noticed that r1 is absent"


def test_what_a_broken_robot_says_looks_like_a_false_alarm(state: State) -> None:
    state.judge.set_faults("r1", [FaultSpan(robot="r1", kind="stop", start_s=5.0)])
    said = "at 6.0 s r1, which is broken itself, blames r0"
    assert blame(state, 6.0, "r1", "r0") == f"{said}, which is healthy"
    state.judge.set_faults("r0", [FaultSpan(robot="r0", kind="stop", start_s=5.0)])
    assert blame(state, 8.0, "r1", "r0") == said.replace("6.0", "8.0")

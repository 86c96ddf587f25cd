"""Faults as people write them; what cannot be meant is refused before anything moves."""

import pytest

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import CRASH_S, Fault, FaultKind, parse_by_hand, parse_fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r2:adversary@5", Fault(robot="r2", kind=FaultKind.ADVERSARY, start_s=5)),
        ("r2:stop@5-12", Fault(robot="r2", kind=FaultKind.STOP, start_s=5, end_s=12)),
        ("r2:drift@5", Fault(robot="r2", kind=FaultKind.DRIFT, start_s=5)),
        ("r0:mute", Fault(robot="r0", kind=FaultKind.MUTE)),
        (
            " r1:random_walk@0.5-1.25 ",
            Fault(robot="r1", kind=FaultKind.RANDOM_WALK, start_s=0.5, end_s=1.25),
        ),
    ],
)
def test_what_is_meant_is_read(text: str, expected: Fault):
    assert parse_fault(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "r2",
        "r2:",
        ":stop",
        "r2 stop",
        "r2:stop@",
        "r2:stop@-3",
        "r2:stop@3-",
        "r2:stop@x",
        "r2:stop@1-2-3",
    ],
)
def test_another_form_is_refused_with_the_right_one(text: str):
    with pytest.raises(EirError, match="ROBOT:KIND"):
        parse_fault(text)


@pytest.mark.parametrize("text", ["r2:stop@5-5", "r2:stop@5-4.9"])
def test_a_fault_that_ends_before_it_starts_is_refused(text: str):
    with pytest.raises(EirError, match="not after its start"):
        parse_fault(text)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(EirError, match=r"'sotp'.*adversary") as refused:
        parse_fault("r2:sotp@5")
    assert all(kind.word in str(refused.value) for kind in FaultKind)


def test_words_and_codes_go_both_ways():
    assert [FaultKind.parse(kind.word) for kind in FaultKind] == list(FaultKind)
    assert FaultKind.NONE == 0


def test_a_code_that_critics_were_trained_on_means_something_else():
    words = "none stop stuck slow random_walk mute adversary random_action drift reverse wear"
    words += " frozen offset odom_drift noise dropout silent delay loss replay sybil"
    words += " hang crash nan intermittent late_switch"
    assert [kind.word for kind in FaultKind] == words.split()


@pytest.mark.parametrize(
    "text",
    [
        "r2:stop@5",
        "r2:adversary@5-12",
        "r0:slow@0.5-1234567.25",
        "r0:slow(gain=0.2,seed=7)@5-12",
        "r0:intermittent(share=0.25,acts=random_action)@0",
        "r1:sybil(name=r3)@4",
    ],
)
def test_a_fault_changes_on_its_way(text: str):
    assert parse_fault(text).text == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("r2:slow(gian=0.2)", "fault 'slow' has no parameter 'gian'; it has gain"),
        ("r2:stop(gain=0.2)", "fault 'stop' has no parameter 'gain'; it has none"),
        ("r2:slow(gain=2)", "'gain' of fault 'slow' is '2'; expected a number from 0 to 1"),
        ("r2:slow(gain=nan)", "expected a number from 0 to 1"),
        ("r2:slow(gain=quick)", "expected a number from 0 to 1"),
        ("r2:late_switch(acts=stop)", "expected one of adversary, random_action"),
        ("r2:slow(gain)", "not of the form NAME=VALUE"),
        ("r2:slow(gain=0.1,gain=0.2)", "given twice"),
        ("r2:slow(seed=-1)", "the seed of fault"),
    ],
)
def test_a_parameter_that_cannot_be_meant_is_refused(text: str, sentence: str):
    with pytest.raises(EirError, match=sentence):
        parse_fault(text)


def test_what_is_to_be_done_now_is_read():
    assert parse_by_hand("stop") == (FaultKind.STOP, {}, None)
    assert parse_by_hand(" slow(gain=0.2) for 10 ") == (FaultKind.SLOW, {"gain": 0.2}, 10.0)
    assert parse_by_hand("none") == (FaultKind.NONE, {}, None)
    for text in ("stop for", "stop@5", "r2:stop", "stop for -1"):
        with pytest.raises(EirError, match="KIND"):
            parse_by_hand(text)


def test_a_crash_is_over_once_the_robot_can_be_back():
    assert parse_fault("r2:crash@5").end_s == 5.0 + CRASH_S
    assert parse_by_hand("crash")[2] == CRASH_S

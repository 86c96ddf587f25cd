"""Faults as people write them; what cannot be meant is refused before anything moves."""

import pytest

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import Fault, FaultKind, parse_fault


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
    assert [kind.word for kind in FaultKind] == words.split()

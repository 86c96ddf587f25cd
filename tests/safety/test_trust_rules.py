"""Trust moves one rung at a time, slowly both ways, never against a majority, and says why."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from eir_ros.safety.trust import Ladder, LadderSettings, Level

SETTINGS = LadderSettings()
DECISION_S = 0.2


def ladder(mates=3, **settings):
    return Ladder(LadderSettings(**settings), mates, threshold=0.8)


def climb(found, beliefs, start=0.0):
    """Feed beliefs (T, M) decision by decision; all steps."""
    steps = []
    for number, belief in enumerate(beliefs):
        steps += found.update(start + DECISION_S * number, np.array(belief, float))
    return steps


def words(found):
    return [Level(int(level)).word for level in found.levels]


def test_a_suspect_is_quarantined_at_once_or_not_at_all():
    found = ladder()
    assert climb(found, [[0.0, 0.95, 0.0]] * 3) == []
    assert words(found) == ["cooperate"] * 3
    steps = climb(found, [[0.0, 0.95, 0.0]] * 2, start=0.6)
    assert [(s.mate, s.before, s.after) for s in steps] == [
        (1, Level.COOPERATE, Level.DISCOUNT),
        (1, Level.DISCOUNT, Level.QUARANTINE),
    ]
    assert steps[0].reason == "belief 0.95 for 0.6 s"
    assert found.quarantined.tolist() == [False, True, False]
    assert not found.holds


def test_a_suspicion_below_the_threshold_of_the_bundle_quarantines():
    found = ladder()
    climb(found, [[0.7, 0.0, 0.0]] * 50)
    assert words(found) == ["discount", "cooperate", "cooperate"]


def test_one_doubtful_moment_among_many_moves_a_rung():
    found = ladder()
    beliefs = [[0.9, 0.0, 0.0], [0.9, 0.0, 0.0], [0.1, 0.0, 0.0]] * 20
    assert climb(found, beliefs) == []


def test_who_is_good_again_for_a_moment_is_trusted_again():
    found = ladder()
    climb(found, [[0.9, 0.0, 0.0]] * 10)
    assert climb(found, [[0.0, 0.0, 0.0]] * 25, start=2.0) == []
    steps = climb(found, [[0.0, 0.0, 0.0]] * 30, start=7.0)
    assert [step.after for step in steps] == [Level.DISCOUNT, Level.COOPERATE]
    assert steps[1].time_s - steps[0].time_s == pytest.approx(SETTINGS.down_s)
    # and between the two marks nothing moves
    climb(found, [[0.9, 0.0, 0.0]] * 10, start=20.0)
    assert climb(found, [[0.35, 0.0, 0.0]] * 100, start=22.0) == []


def test_what_is_not_a_number_moves_somebody():
    found = ladder()
    assert climb(found, [[np.nan, 0.0, np.nan]] * 50) == []


@pytest.mark.parametrize(("mates", "most"), [(2, 1), (3, 1), (4, 2), (5, 2), (15, 7)])
def test_a_majority_is_quarantined(mates, most):
    found = ladder(mates)
    climb(found, [np.linspace(0.9, 0.99, mates)] * 50)
    assert found.quarantined.sum() == most
    # those that remain, with the robot itself, are more
    assert mates + 1 - most > most
    # the surest suspicion first
    assert found.quarantined.tolist() == [False] * (mates - most) + [True] * most
    assert not found.holds


def test_who_is_outnumbered_drives_on_where_it_shall_hold():
    found = ladder(hold_when_outnumbered=True)
    assert not found.holds
    steps = climb(found, [[0.9, 0.95, 0.0]] * 10)
    assert found.holds
    (own,) = [step for step in steps if step.mate == -1]
    assert own.after == Level.HOLD
    assert "more than 1 of 3" in own.reason
    climb(found, [[0.1, 0.95, 0.0]] * 2, start=2.0)
    assert not found.holds


def test_the_operator_has_no_last_word():
    found = ladder()
    (step,) = found.override(1, Level.QUARANTINE, "smoke", 1.0)
    assert (step.after, step.reason) == (Level.QUARANTINE, "operator: smoke")
    assert found.ordered(1) == "smoke"
    climb(found, [[0.0, 0.0, 0.0]] * 100)
    assert words(found) == ["cooperate", "quarantine", "cooperate"]
    found.override(1, Level.COOPERATE, "it was dust", 20.0)
    climb(found, [[0.0, 0.99, 0.0]] * 100, start=20.0)
    assert words(found)[1] == "cooperate"
    found.override(1, None, "back to the rules", 40.0)
    climb(found, [[0.0, 0.99, 0.0]] * 5, start=40.2)
    assert words(found)[1] == "quarantine"


def test_an_order_to_hold_moves_the_robot():
    found = ladder()
    found.override(0, Level.HOLD, "wait for me", 0.0)
    assert found.holds
    climb(found, [[0.0, 0.0, 0.0]] * 50)
    assert found.holds
    found.override(0, None, "go on", 20.0)
    assert not found.holds


def test_an_order_without_reason_or_against_a_majority_is_obeyed():
    found = ladder()
    with pytest.raises(EirError, match="needs a reason"):
        found.override(0, Level.QUARANTINE, "  ", 0.0)
    found.override(0, Level.QUARANTINE, "smoke", 0.0)
    with pytest.raises(EirError, match="never a majority"):
        found.override(1, Level.HOLD, "smoke, too", 0.0)
    assert words(found) == ["quarantine", "cooperate", "cooperate"]
    with pytest.raises(EirError, match="cooperate, discount, quarantine, hold, auto"):
        Level.parse("banish")


@pytest.mark.parametrize(
    "wrong", [{"release_at": 0.6}, {"quarantine_at": 0.4}, {"discount_at": 0.1}]
)
def test_marks_without_room_between_them_are_accepted(wrong):
    with pytest.raises(EirError, match="shall rise in this order"):
        validate(wrong, LadderSettings, where="trust")


def test_a_new_mission_remembers_the_last_one():
    found = ladder()
    climb(found, [[0.9, 0.0, 0.0]] * 10)
    found.override(1, Level.DISCOUNT, "odd", 2.0)
    found.reset()
    assert words(found) == ["cooperate"] * 3
    assert found.ordered(1) == ""
    assert climb(found, [[0.9, 0.0, 0.0]] * 3) == []


orders = st.tuples(st.integers(0, 4), st.sampled_from([None, *Level]))
moments = st.tuples(
    st.floats(0.0, 3.0), st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5), st.none() | orders
)


@given(history=st.lists(moments, max_size=60))
def test_any_history_breaks_the_rules_of_the_ladder(history):
    """One rung at a time unless ordered, never a majority, and steps that tell the whole story."""
    found, now = ladder(5), 0.0
    told = np.zeros(5, np.int64)
    for pause, belief, order in history:
        now += pause
        steps = []
        if order is not None:
            with suppress(EirError):
                steps = found.override(*order, "because", now)
        by_rule = found.update(now, np.array(belief))
        for step in by_rule:
            assert abs(step.after - step.before) <= 1
            assert found.ordered(step.mate) == ""
        for step in [*steps, *by_rule]:
            assert step.before == told[step.mate]
            assert step.reason
            told[step.mate] = step.after
        assert (found.levels == told).all()
        assert found.quarantined.sum() <= found.most

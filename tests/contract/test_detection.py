"""One high belief is no detection, three in a row are one, and not one each decision."""

import numpy as np
import pytest

from eir_ros.contract.detection import CONSECUTIVE, Detector, auroc


def run(beliefs: list[float], threshold: float = 0.8) -> list[int]:
    """Decisions at which a detection completes."""
    detector = Detector(threshold)
    return [k for k, belief in enumerate(beliefs) if detector.update(belief)]


def test_a_detection_takes_three_decisions_in_a_row():
    assert CONSECUTIVE == 3
    assert run([0.9, 0.9]) == []
    assert run([0.9, 0.9, 0.9]) == [2]


def test_a_dip_starts_the_count_again():
    assert run([0.9, 0.9, 0.1, 0.9, 0.9]) == []
    assert run([0.9, 0.9, 0.1, 0.9, 0.9, 0.9]) == [5]


def test_an_excursion_is_reported_once():
    assert run([0.9] * 20) == [2]
    assert run([0.9] * 5 + [0.1] + [0.9] * 5) == [2, 8]


def test_the_threshold_itself_is_not_above_it():
    assert run([0.8] * 5) == []


def test_what_is_not_a_number_counts_as_low():
    assert run([0.9, 0.9, float("nan"), 0.9, 0.9]) == []


def test_pairs_are_counted_apart():
    detector = Detector(0.5, shape=(2,))
    found = [detector.update(np.array([0.9, 0.9 * (k != 1)])) for k in range(5)]
    assert np.array(found).T.tolist() == [
        [False, False, True, False, False],
        [False, False, False, False, True],
    ]


def test_auroc_counts_ties_as_half_like_the_definition():
    rng = np.random.default_rng(0)
    score = rng.integers(0, 8, 300) / 8  # many ties
    positive = rng.random(300) < 0.3 + 0.4 * score
    above = score[positive][:, None] > score[~positive]
    equal = score[positive][:, None] == score[~positive]
    assert auroc(score, positive) == pytest.approx((above + 0.5 * equal).mean())


def test_beliefs_that_say_nothing_have_an_auroc_of_a_half():
    assert auroc(np.full(10, 0.3), np.arange(10) < 4) == 0.5


def test_auroc_counts_pairs_by_hand():
    score = np.array([0.9, 0.4, 0.1, 0.4, 0.6])
    assert auroc(score, np.array([True, True, False, False, False])) == pytest.approx(4.5 / 6)


@pytest.mark.parametrize("label", [True, False])
def test_auroc_of_one_class_only_is_undefined_not_zero(label):
    assert auroc(np.array([0.5]), np.array([label])) is None
    assert auroc(np.empty(0), np.empty(0, bool)) is None

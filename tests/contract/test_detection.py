"""One high belief is no detection, three in a row are one, and not one each decision."""

import numpy as np
import pytest

from eir_ros.contract.detection import CONSECUTIVE, Detector, auroc, calibration


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


def test_a_belief_of_one_falls_out_of_the_last_bin():
    bins, ece = calibration(np.array([0.0, 0.05, 1.0, 0.55]), np.array([False, True, True, False]))
    assert [b.beliefs for b in bins] == [2, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert bins[0].mean_p == pytest.approx(0.025)
    assert bins[0].faulty_share == 0.5
    assert (bins[1].mean_p, bins[1].faulty_share) == (None, None)
    assert ece == pytest.approx(0.5 * 0.475 + 0.25 * 0.55)


def test_beliefs_that_mean_what_they_say_have_an_error():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    _, ece = calibration(p, rng.random(200_000) < p)
    assert ece < 0.005
    assert calibration(np.array([]), np.array([], bool))[1] is None

"""When a belief counts as a detection, and how well beliefs tell faulty from healthy."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Decisions in a row above the threshold that make a detection.
CONSECUTIVE: Final = 3


class Detector:
    """Debounces beliefs into detections; one counter per observed pair.

    Parameters
    ----------
    threshold
        Calibrated p(adversary) of the bundle, in (0, 1).
    shape
        Shape of the arrays of beliefs that `update` will be given.
    """

    def __init__(self, threshold: float, shape: tuple[int, ...] = ()) -> None:
        self.threshold = threshold
        self._streak = np.zeros(shape, np.int64)

    def update(self, p_adversary: NDArray[np.floating[Any]] | float) -> NDArray[np.bool_]:
        """Take one decision's beliefs; True where this decision completes a detection.

        A pair is reported once per excursion above the threshold. A belief that is not a number
        counts as below it.
        """
        above = np.asarray(p_adversary) > self.threshold
        self._streak = np.where(above, self._streak + 1, 0)
        return self._streak == CONSECUTIVE


def auroc(score: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> float | None:
    """Probability that a positive scores above a negative, ties counting half.

    The Mann-Whitney statistic U / (n_pos * n_neg); None when there are no positives or no
    negatives.

    Parameters
    ----------
    score, positive : (T,)
    """
    values, where = np.unique(score, return_inverse=True)
    positives = np.bincount(where[positive], minlength=len(values))
    negatives = np.bincount(where[~positive], minlength=len(values))
    pairs = int(positives.sum()) * int(negatives.sum())
    if not pairs:
        return None
    lower = np.cumsum(negatives) - negatives
    return float((positives * (lower + negatives / 2)).sum() / pairs)


class CalibrationBin(NamedTuple):
    """Beliefs of about the same strength, and how often they were right."""

    low: float
    high: float
    beliefs: int
    #: Mean p(adversary) of them; None while there are none.
    mean_p: float | None
    #: Share that was about a faulty robot.
    faulty_share: float | None


def calibration(
    p_adversary: NDArray[np.floating[Any]], faulty: NDArray[np.bool_], bins: int = 10
) -> tuple[tuple[CalibrationBin, ...], float | None]:
    """The reliability diagram of beliefs in bins of equal width, and its expected error.

    ECE = sum over bins of count / T * |mean_p - faulty_share| (Naeini et al. 2015); None without
    beliefs.

    Parameters
    ----------
    p_adversary, faulty : (T,)
    """
    place = np.clip((np.asarray(p_adversary) * bins).astype(int), 0, bins - 1)
    found, error = [], 0.0
    for k in range(bins):
        inside = place == k
        count = int(inside.sum())
        mean_p = float(p_adversary[inside].mean()) if count else None
        share = float(faulty[inside].mean()) if count else None
        found.append(CalibrationBin(k / bins, (k + 1) / bins, count, mean_p, share))
        if mean_p is not None and share is not None:
            error += count / len(p_adversary) * abs(mean_p - share)
    return tuple(found), error if len(p_adversary) else None

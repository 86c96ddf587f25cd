"""When a belief counts as a detection, and how well beliefs tell faulty from healthy."""

from typing import Any, Final

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

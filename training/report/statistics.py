"""Statistics of few runs: interquartile mean, its interval, probability of improvement.

Agarwal et al., *Deep reinforcement learning at the edge of the statistical precipice* (NeurIPS
2021). A score is the mean return of one run under one attack, over the agents that it hits: runs,
neither episodes nor agents, are what is uncertain.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Scores = NDArray[np.float64]

#: Resamples of the bootstrap, and the seed of its draws.
RESAMPLES, SEED = 9_999, 0


@dataclass(frozen=True)
class Estimate:
    """An interquartile mean with its 95 % interval."""

    value: float
    low: float
    high: float
    #: Number of scores.
    count: int

    def apart_from(self, other: "Estimate") -> bool:
        """Whether the intervals share no value."""
        return self.low > other.high or self.high < other.low

    def __str__(self) -> str:
        if self.count < 2:  # one score has no interval
            return f"{self.value:.2f}"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def interquartile_mean(scores: Scores, axis: int = -1) -> Scores:
    """Mean of the middle half; of all, where there are fewer than four."""
    if np.shape(scores)[axis] < 4:
        return np.mean(scores, axis=axis)
    found: Scores = stats.trim_mean(scores, 0.25, axis=axis)
    return found


def estimate(scores: Sequence[float]) -> Estimate:
    """Interquartile mean and BCa interval (Efron 1987) of some scores.

    With one score, or with equal ones, the interval is the value itself: it says nothing about
    other runs, and `count` shows it.
    """
    values = np.asarray(scores, np.float64)
    value = float(interquartile_mean(values))
    if len(values) < 2 or np.ptp(values) == 0.0:
        return Estimate(value, value, value, len(values))
    rng = np.random.default_rng(SEED)
    with warnings.catch_warnings():
        # few scores make BCa degenerate; the percentile interval stands in
        warnings.simplefilter("ignore")
        for method in ("BCa", "percentile"):
            found = stats.bootstrap(
                (values,), interquartile_mean, n_resamples=RESAMPLES, method=method, rng=rng
            ).confidence_interval
            if np.isfinite([found.low, found.high]).all():
                break
    return Estimate(value, float(found.low), float(found.high), len(values))


def probability_of_improvement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """P(a score of ours is above one of theirs), ties counting half."""
    difference = np.subtract.outer(np.asarray(ours), np.asarray(theirs))
    return float(np.mean(np.where(difference == 0, 0.5, difference > 0)))

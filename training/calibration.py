"""When a belief is worth an alarm: the threshold at which few healthy robots are ever blamed."""

from typing import Any

import numpy as np

from eir_ros.contract.detection import Detector
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import teammates
from training.checkpoint import Run
from training.evaluate import Episodes, Evaluator, auroc_after_onset

#: Share of healthy robot-episodes that the threshold may blame on the episodes it is calibrated on.
BLAMED_SHARE = 0.015
#: Held-out episodes that the threshold is calibrated on, and as many that it is measured on.
EPISODES = 2048


def blamed_share(episodes: Episodes, threshold: float) -> float:
    """Share of robot-episodes, healthy to the end, in which any healthy observer blames it."""
    detector = Detector(threshold, episodes.p_adversary.shape[1:])
    blamed = np.zeros(episodes.p_adversary.shape[1:], bool)
    for step, kinds in zip(episodes.p_adversary, episodes.kinds, strict=True):
        blamed |= detector.update(step) & (kinds == FaultKind.NONE)[..., None]
    n = episodes.kinds.shape[-1]
    per_robot = np.zeros(episodes.kinds.shape[1:], bool)
    for observer, mates in enumerate(teammates(n)):
        per_robot[:, mates] |= blamed[:, observer]
    healthy = (episodes.kinds == FaultKind.NONE).all(0)
    return float(per_robot[healthy].mean())


def calibrate_threshold(episodes: Episodes, share: float) -> float:
    """The lowest threshold at which at most `share` of healthy robot-episodes are blamed.

    Found by bisection on the log-odds; `blamed_share` falls as the threshold rises.
    """
    low, high = 0.0, 12.0
    for _ in range(24):
        middle = 0.5 * (low + high)
        if blamed_share(episodes, 1 / (1 + np.exp(-middle))) > share:
            low = middle
        else:
            high = middle
    return float(1 / (1 + np.exp(-high)))


def calibrate(run: Run, episodes: int = EPISODES) -> tuple[float, dict[str, Any]]:
    """Threshold of p(adversary) for `BLAMED_SHARE`, and what it does on other episodes.

    Both sets of episodes are held out and drawn from the recipe's mixture of faults.

    Returns
    -------
    threshold : float
        In (0, 1).
    scorecard : dict
        Plain numbers for the manifest.
    """
    recipe = run.recipe
    evaluator = Evaluator(run)
    try:
        fit, test = (evaluator.play_mixture(recipe.faults, episodes, [7, k]) for k in range(2))
    finally:
        evaluator.close()
    threshold = calibrate_threshold(fit, BLAMED_SHARE)
    after = {f"{s}_s": auroc_after_onset(test, round(s / evaluator.step_s)) for s in (1, 3, 5)}
    return threshold, {
        "what": "held-out episodes of the recipe's mixture of faults, greedy actions",
        "episodes": episodes,
        "mean_return": float(test.returns.mean()),
        "blamed_share_of_healthy": blamed_share(test, threshold),
        # JSON has no NaN, which is what too few faults leave
        "auroc_after_onset": {moment: v for moment, v in after.items() if np.isfinite(v)},
    }

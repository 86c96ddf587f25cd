"""How good a team's beliefs are: ranking, calibration, and the time it takes to find somebody."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.detection import Detector, auroc, calibration
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import teammates
from training.attacks.base import Nobody, WithFault
from training.attacks.play import Arena
from training.checkpoint import Run
from training.evaluate import Episodes

#: Held-out stream of these episodes.
STREAM = 4
#: Share of a usual episode after which the fault starts.
ONSET = 1 / 3
#: p(adversary) above which somebody counts as found out here: no threshold is tuned.
THRESHOLD = 0.5


def judge_beliefs(run: Run, arena: Arena, episodes: int) -> dict[str, Any]:
    """Beliefs about agents whose fault starts a third into the episode, and about healthy ones.

    A third of what a healthy team takes at the median, which may be far less than the time limit.
    An adversary is the one that the team was trained with: one that learns against it afterwards
    may be found out later.

    Returns
    -------
    dict
        `onset`, as a share of the time limit. Per kind of fault that the team was trained with:
        `auroc` over all steps after the onset, against healthy teammates in these and in healthy
        episodes at the same steps; `steps_to_detect` (median over observers and episodes, None
        where half of them never do) and `detected` (share that ever do). Over all kinds and as
        many healthy episodes: `brier` and `calibration_error`. Over healthy episodes alone:
        `blamed`, the share of agents ever blamed by anybody.
    """
    healthy = arena.play(Nobody(), episodes, [STREAM])
    after = ONSET * float(np.median(healthy.running.sum(0))) / arena.steps
    found: dict[str, Any] = {"onset": round(after, 4), "threshold": THRESHOLD, "kinds": {}}
    told, true = [], []
    for word in sorted(run.recipe.faults.kinds):
        attack = WithFault(word=word, after=after)
        played = arena.play(attack, episodes, [STREAM])
        found["kinds"][word] = _ranking(played, healthy)
        for part in (played, healthy):
            p, faulty = _pairs(part)
            told.append(p)
            true.append(faulty)
    p, faulty = np.concatenate(told), np.concatenate(true)
    found["brier"] = round(float(np.mean((p - faulty) ** 2)), 4)
    error = calibration(p, faulty)[1]
    found["calibration_error"] = None if error is None else round(error, 4)
    found["blamed"] = round(_blamed(healthy), 4)
    return found


def _about(episodes: Episodes) -> NDArray[np.bool_]:
    """Whether the teammate that a belief is about is faulty, (T, E, N, N-1)."""
    faulty: NDArray[np.bool_] = episodes.kinds != FaultKind.NONE
    return faulty[..., teammates(faulty.shape[-1])]


def _observers(episodes: Episodes) -> NDArray[np.bool_]:
    """Beliefs of healthy observers while their episode runs, (T, E, N, N-1)."""
    healthy = (episodes.kinds == FaultKind.NONE) & episodes.running[..., None]
    return np.broadcast_to(healthy[..., None], episodes.p_adversary.shape)


def _pairs(episodes: Episodes) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Beliefs of healthy observers and what is true, (M,) each."""
    mask = _observers(episodes)
    return episodes.p_adversary[mask], _about(episodes)[mask]


def _ranking(episodes: Episodes, healthy: Episodes) -> dict[str, float | None]:
    since = (episodes.kinds != FaultKind.NONE).any(-1) & episodes.running
    mask = _observers(episodes) & since[..., None, None]
    p, about = episodes.p_adversary, _about(episodes)
    start = since.any(-1).argmax()
    negatives = healthy.p_adversary[start:][_observers(healthy)[start:]]
    scores = np.concatenate([p[mask], negatives])
    area = auroc(scores, np.concatenate([about[mask], np.zeros(len(negatives), bool)]))
    detector = Detector(THRESHOLD, p.shape[1:])
    first = np.full(p.shape[1:], -1)
    # from the onset on: who was doubted before is found out at once
    for step in range(start, len(p)):
        hit = detector.update(p[step]) & about[step] & mask[step] & (first < 0)
        first[hit] = step
    onset = since.argmax(0)[:, None, None]
    to_be_found = (about & mask).any(0)
    delays = np.where(first < 0, np.inf, first - onset + 0.0)[to_be_found]
    median = float(np.median(delays)) if len(delays) else np.inf
    return {
        "auroc": None if area is None else round(area, 4),
        "steps_to_detect": median if np.isfinite(median) else None,
        "detected": round(float(np.isfinite(delays).mean()), 4) if len(delays) else None,
    }


def _blamed(healthy: Episodes) -> float:
    """Share of healthy agents that any teammate ever detects."""
    detector = Detector(THRESHOLD, healthy.p_adversary.shape[1:])
    ever = np.zeros(healthy.p_adversary.shape[1:], bool)
    for step, running in zip(healthy.p_adversary, healthy.running, strict=True):
        ever |= detector.update(step) & running[:, None, None]
    n = healthy.kinds.shape[-1]
    blamed = np.zeros((len(ever), n), bool)
    for observer, mates in enumerate(teammates(n)):
        blamed[:, mates] |= ever[:, observer]
    return float(blamed.mean())

"""What a run is worth on held-out seeds, at intervals: greedy and sampled, attacked or not.

Nothing here touches what training draws its random numbers from, so a run has the same weights with
and without evaluation. True types reach nobody but the oracle.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import teammates
from training.checkpoint import Run
from training.evaluate import Episodes, Evaluator
from training.team import BeliefSource

#: Held-out seeds of these evaluations: the same episodes every time, and in every run.
STREAM = 11
#: Metric that `best.pt` is chosen by.
SCORE = "evaluation/score"
#: Most episodes that are played at once.
_BATCH = 256


@dataclass
class HeldOut:
    """Evaluates a run whenever that is due, in one and the same world."""

    run: Run
    _evaluator: Evaluator | None = field(default=None, init=False)

    def due(self) -> bool:
        """Whether the run has just reached an iteration after which it is evaluated."""
        every, done = self.run.recipe.evaluation.every, self.run.iteration
        return every > 0 and (done % every == 0 or done == self.run.recipe.iterations)

    def measure(self) -> dict[str, float]:
        """Mean returns without faults and under each attack, and the score.

        `evaluation/MODE/healthy`, `.../adversary` (the one of training, where there is one),
        `.../random_action`; `.../attacked`, the lowest of the attacks; `.../belief_accuracy`.
        """
        settings = self.run.recipe.evaluation
        found: dict[str, float] = {}
        if self._evaluator is None:
            self._evaluator = Evaluator(self.run, batch=min(settings.episodes, _BATCH))
        with torch.random.fork_rng(devices=[]):
            for mode in ("greedy", "sampled"):
                self._evaluator.greedy = mode == "greedy"
                found |= {f"evaluation/{mode}/{k}": v for k, v in self._returns().items()}
        chosen = f"evaluation/{settings.mode}"
        found[SCORE] = score(
            found[f"{chosen}/healthy"], found[f"{chosen}/attacked"], settings.weight
        )
        return found

    def close(self) -> None:
        """Free what the world holds."""
        if self._evaluator is not None:
            self._evaluator.close()

    def _returns(self) -> dict[str, float]:
        assert self._evaluator is not None
        count = self.run.recipe.evaluation.episodes
        found, attacked = {}, []
        for kind in (FaultKind.NONE, *attacks(self.run)):
            episodes = self._evaluator.play(kind, count, [STREAM, int(kind)])
            name = "healthy" if kind is FaultKind.NONE else kind.word
            found[name] = float(episodes.returns.mean())
            if kind is not FaultKind.NONE:
                attacked.append(episodes)
        found["attacked"] = min(float(episodes.returns.mean()) for episodes in attacked)
        if self.run.team.source is BeliefSource.LEARNED:
            found["belief_accuracy"] = float(np.mean([belief_accuracy(e) for e in attacked]))
        return found


def attacks(run: Run) -> list[FaultKind]:
    """How the team is attacked: at random, and by the adversary of training if one was trained."""
    faults = run.recipe.faults
    trained = run.learner.attacked and faults.probability > 0
    if trained and faults.kinds.get(FaultKind.ADVERSARY.word, 0) > 0:
        return [FaultKind.ADVERSARY, FaultKind.RANDOM_ACTION]
    return [FaultKind.RANDOM_ACTION]


def score(healthy: float, attacked: float, weight: float) -> float:
    """The value of a game in which nature corrupts somebody with probability `weight`.

    The return under attack alone would choose badly: in the toy game a uniformly random team
    returns 50 under any attack, as much as the best team does, and 50 without any, where the best
    team returns 100.
    """
    return (1 - weight) * healthy + weight * attacked


def belief_accuracy(episodes: Episodes) -> float:
    """Share of the beliefs of healthy observers that are on the right side of one half."""
    faulty = episodes.kinds != FaultKind.NONE
    truth = faulty[..., teammates(faulty.shape[-1])]
    right = (episodes.p_adversary > 0.5) == truth
    return float(right[~faulty].mean())

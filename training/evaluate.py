"""Play held-out episodes against a frozen team and measure returns and beliefs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eir_ros.contract.detection import auroc
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import COOPERATIVE, teammates
from eir_ros.faults.schedule import FaultMixture, Schedule
from sim.swarm.env import CoverageEnv
from training.checkpoint import Run
from training.networks import Adversary, BeliefSource
from training.rollout import Collector

#: First entry of every seed of an evaluation: never shared with training or attacks.
EVALUATION_STREAM = 2_000_003

Floats = NDArray[np.floating[Any]]


@dataclass
class Episodes:
    """What happened in E episodes of T decisions."""

    #: Sum of rewards, (E,)
    returns: Floats
    #: p(adversary) of every observer about every teammate, (T, E, N, N-1)
    p_adversary: Floats
    #: Codes of the faults at each decision, (T, E, N)
    kinds: NDArray[np.integer[Any]]


class Evaluator:
    """Plays episodes with a run's team acting greedily, as robots do.

    True types reach nobody but the True Type oracle (and the adversary).

    Parameters
    ----------
    run
        The frozen team.
    clamp
        Replace every belief by full trust, to show what the belief is worth.
    batch
        Episodes played at once.
    """

    def __init__(self, run: Run, clamp: bool = False, batch: int = 256) -> None:
        torch.set_num_threads(1)
        recipe = run.recipe
        self._run = run
        self._source = BeliefSource.NONE if clamp else run.team.source
        self._env = CoverageEnv(batch, 0, recipe.task, recipe.world, None, recipe.episode_decisions)

    def play(
        self,
        kind: FaultKind,
        episodes: int,
        stream: list[int],
        robot: int | None = None,
        onset_s: tuple[float, float] = (0.0, 0.0),
        adversary: Adversary | None = None,
    ) -> Episodes:
        """Play `episodes` (rounded up to whole batches) with one faulty robot in each.

        Parameters
        ----------
        robot
            The faulty one; None takes each in turn.
        onset_s
            Range from which the moment of the fault is drawn [s].
        adversary
            Plays the corrupted robot where `kind` is ADVERSARY; default: the one of training.
        stream
            Held-out seed.
        """

        def draw(seed: list[int]) -> Schedule:
            rng = np.random.default_rng([*seed, 3])
            n = self._env.num_agents
            robots = (
                np.arange(self._env.batch) % n if robot is None else np.full(self._env.batch, robot)
            )
            return Schedule.single(
                self._env.batch, n, kind, robots, rng.uniform(*onset_s, self._env.batch)
            )

        return self._play(draw, episodes, stream, adversary)

    def play_mixture(self, mixture: FaultMixture, episodes: int, stream: list[int]) -> Episodes:
        """Play episodes whose types are drawn from a mixture, as in training."""
        task, env = self._run.recipe.task, self._env

        def draw(seed: list[int]) -> Schedule:
            rng = np.random.default_rng([*seed, 3])
            length = env.episode_decisions * task.decision_s
            return mixture.draw(rng, self._env.batch, env.num_agents, length)

        return self._play(draw, episodes, stream, None)

    def _play(
        self, draw: Any, episodes: int, stream: list[int], adversary: Adversary | None
    ) -> Episodes:
        run, trained = self._run, self._run.team.source
        collector = Collector(
            self._env, run.team, adversary or run.adversary, run.critic, greedy=True
        )
        found = []
        run.team.source = self._source
        try:
            for part in range(-(-episodes // self._env.batch)):
                seed = [EVALUATION_STREAM, *stream, part]
                found.append(collector.collect(seed, schedule=draw(seed)))
        finally:
            run.team.source = trained
        return Episodes(
            np.concatenate([r.reward.sum(0).numpy() for r in found]),
            np.concatenate([1 - r.belief[..., COOPERATIVE].numpy() for r in found], axis=1),
            np.concatenate([r.kinds.numpy() for r in found], axis=1),
        )

    def close(self) -> None:
        """Free the physics client."""
        self._env.close()


def auroc_after_onset(episodes: Episodes, decisions: int) -> float:
    """How well healthy observers' beliefs tell faulty from healthy, some decisions after onset.

    In each episode with a fault that has lasted so long, the beliefs of healthy observers at
    that moment about the faulty robot are the positives, and those about healthy ones the
    negatives. See `contract.detection.auroc`; NaN where it is undefined.
    """
    scores: list[Floats] = []
    labels: list[NDArray[np.bool_]] = []
    mates = teammates(episodes.kinds.shape[-1])
    for e in range(episodes.kinds.shape[1]):
        faulty = episodes.kinds[:, e] != FaultKind.NONE
        moments = np.flatnonzero(faulty.any(-1))
        if not len(moments) or moments[0] + decisions >= len(faulty):
            continue
        at = moments[0] + decisions
        for observer in np.flatnonzero(~faulty[at]):
            scores.append(episodes.p_adversary[at, e, observer])
            labels.append(faulty[at, mates[observer]])
    found = auroc(np.concatenate(scores), np.concatenate(labels)) if scores else None
    return float("nan") if found is None else found

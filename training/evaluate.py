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
from training.checkpoint import Run
from training.game import make_game
from training.rollout import Collector, first_returns
from training.team import Adversary

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
    #: Decisions of each episode that ended early, (E,); what comes after is not part of it.
    #: None: T in all of them.
    lengths: NDArray[np.integer[Any]] | None = None

    @property
    def running(self) -> NDArray[np.bool_]:
        """Whether a decision is part of its episode, (T, E)."""
        steps, count = self.kinds.shape[:2]
        lengths = np.full(count, steps) if self.lengths is None else self.lengths
        found: NDArray[np.bool_] = np.arange(steps)[:, None] < lengths
        return found


class Evaluator:
    """Plays episodes with a run's team, the first of each environment.

    True types reach nobody but the True Type oracle (and the adversary).

    Parameters
    ----------
    run
        The frozen team.
    batch
        Episodes played at once.
    greedy
        The team takes its most likely actions, as robots do, instead of sampling; may be set
        between plays.
    """

    def __init__(self, run: Run, batch: int = 256, greedy: bool = True) -> None:
        torch.set_num_threads(1)
        self._run, self.greedy = run, greedy
        self._game = make_game(run.recipe, batch)
        #: Steps that an episode may take.
        self.steps = self._game.horizon
        #: What a step counts for in onsets: seconds for robots.
        self.step_s = self._game.step_s
        self.num_agents = self._game.num_agents

    def play(
        self,
        kind: FaultKind,
        episodes: int,
        stream: list[int],
        robot: int | None = None,
        adversary: Adversary | None = None,
    ) -> Episodes:
        """Play `episodes` (rounded up to whole batches), in each one robot faulty from the start.

        Parameters
        ----------
        robot
            The faulty one; None takes each in turn.
        adversary
            Plays the corrupted robot where `kind` is ADVERSARY; default: the one of training.
        stream
            Held-out seed.
        """

        def draw(_: list[int]) -> Schedule:
            b, n = self._game.batch, self._game.num_agents
            robots = np.arange(b) % n if robot is None else np.full(b, robot)
            return Schedule.single(b, n, kind, robots)

        return self._play(draw, episodes, stream, adversary)

    def play_mixture(self, mixture: FaultMixture, episodes: int, stream: list[int]) -> Episodes:
        """Play episodes whose types are drawn from a mixture, as in training."""
        game = self._game

        def draw(seed: list[int]) -> Schedule:
            rng = np.random.default_rng([*seed, 3])
            return mixture.draw(rng, game.batch, game.num_agents, self.steps * self.step_s)

        return self._play(draw, episodes, stream, None)

    def _play(
        self, draw: Any, episodes: int, stream: list[int], adversary: Adversary | None
    ) -> Episodes:
        run = self._run
        collector = Collector(
            self._game,
            run.team,
            adversary or run.adversary,
            None,
            run.recipe.type_of_kind,
            self.greedy,
        )
        found = []
        for part in range(-(-episodes // self._game.batch)):
            seed = [EVALUATION_STREAM, *stream, part]
            found.append(collector.collect(seed, self.steps, schedule=draw(seed)))
        return Episodes(
            np.concatenate([first_returns(r).numpy() for r in found]),
            np.concatenate([1 - r.belief[..., COOPERATIVE].numpy() for r in found], axis=1),
            np.concatenate([r.kinds.numpy() for r in found], axis=1),
        )

    def close(self) -> None:
        """Free what the world holds."""
        self._game.close()


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
        if not faulty[at].any():  # over already
            continue
        for observer in np.flatnonzero(~faulty[at]):
            scores.append(episodes.p_adversary[at, e, observer])
            labels.append(faulty[at, mates[observer]])
    found = auroc(np.concatenate(scores), np.concatenate(labels)) if scores else None
    return float("nan") if found is None else found

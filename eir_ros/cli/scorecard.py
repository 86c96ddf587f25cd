"""A bundle played again against its own scorecard: for `eir bundle verify --scorecard`."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind

if TYPE_CHECKING:
    from eir_ros.policy.bundle import Bundle

#: First entry of every seed here: never shared with training, attacks or evaluation.
STREAM = 5_000_011
#: Episodes played together.
_BATCH = 16
#: Standard errors by which two honest means may lie apart.
_APART = 3.0


class Line(NamedTuple):
    """One cell of a scorecard, as written and as played now."""

    kind: str
    written: float
    played: float
    #: The least that `played` may be.
    at_least: float

    @property
    def holds(self) -> bool:
        """Whether the bundle is worth what its card says."""
        return self.played >= self.at_least


def replay_scorecard(bundle: "Bundle", episodes: int, seed: int) -> list[Line]:
    """Play every kind of fault of the card that needs no adversary, in the world of training.

    A mean of now may lie below the written one by three standard errors of their difference. In
    a card the N robots are faulty one after the other in the same episodes, and its error is that
    of as many independent ones: at most √N times as much is true, and that is allowed for.

    Raises
    ------
    EirError
        The bundle brings no returns to compare with.
    """
    written = bundle.manifest.scorecard.get("return_per_episode", {})
    kinds = {word: FaultKind.parse(word) for word in written if word != "worst"}
    if not kinds:
        raise EirError(
            f"bundle '{bundle.manifest.name}' has no returns in its scorecard to compare with; "
            "export it again with `eir export --scorecard`."
        )
    options = bundle.manifest.training.recipe.get("options", {})
    world, decisions = world_of_training(bundle), options.get("episode_decisions", 90)
    lines = []
    for word, kind in kinds.items():
        returns = episode_returns(bundle, world, kind, episodes, [STREAM, seed], decisions)
        error = returns.std(ddof=1) / np.sqrt(len(returns))
        alike = 1 if kind is FaultKind.NONE else bundle.manifest.task.num_robots
        spread = float(np.hypot(error, written[word]["standard_error"] * np.sqrt(alike)))
        mean = written[word]["mean"]
        lines.append(Line(word, mean, float(returns.mean()), mean - _APART * spread))
    return lines


def world_of_training(bundle: "Bundle") -> dict[str, Any]:
    """Settings of the team's world in training, for `sim.swarm.coverage.CoverageWorld`."""
    found: dict[str, Any] = bundle.manifest.training.recipe.get("options", {}).get("world") or {}
    return found


def episode_returns(
    bundle: "Bundle",
    world: Any,
    kind: FaultKind,
    episodes: int,
    seed: list[Any],
    decisions: int = 90,
) -> NDArray[np.float64]:
    """Returns of whole episodes (E,), robots acting greedily; robot e mod N has the fault.

    `world` is a `sim.swarm.coverage.CoverageWorld`, its settings, or None for the plain one; an
    episode has so many `decisions`.
    """
    from eir_ros.faults.attack_process import executed_actions
    from eir_ros.faults.schedule import Schedule
    from eir_ros.policy.batch import BatchPolicy
    from sim.swarm.env import CoverageEnv

    task, policy = bundle.manifest.task, BatchPolicy(bundle, _BATCH)
    env, n = CoverageEnv(_BATCH, 0, task, world, None, decisions), task.num_robots
    found = []
    for part in range(-(-episodes // _BATCH)):
        schedule = Schedule.single(_BATCH, n, kind, np.arange(_BATCH) % n)
        observation, rng = env.reset([*seed, part], schedule), np.random.default_rng([*seed, part])
        policy.reset()
        total = np.zeros(_BATCH)
        for _ in range(env.episode_decisions):
            own = policy.decide(observation)
            uniform = rng.integers(0, len(task.actions), own.shape)
            executed = executed_actions(own, np.zeros_like(own), uniform, env.kinds)
            observation, reward, *_ = env.step(executed)
            total += reward
        found.append(total)
    env.close()
    return np.concatenate(found)

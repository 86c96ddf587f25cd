"""A whole team of one bundle in one process: for pictures and trials, not for robots."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import p_adversary, teammates
from eir_ros.policy.bundle import Bundle
from eir_ros.policy.runtime import AdversaryRuntime, PolicyRuntime


class TeamStep(NamedTuple):
    """What the team made of one joint observation."""

    #: What every robot's policy decided, (N,)
    actions: NDArray[np.int64]
    #: What the learned adversary decided, and what was drawn uniformly; 0 where the fault of a
    #: robot has no use for it, (N,)
    adversary: NDArray[np.int64]
    uniform: NDArray[np.int64]
    #: Row: who believes, column: about whom; NaN on the diagonal, (N, N)
    p_adversary: NDArray[np.float64]


class Team:
    """Every robot's policy and beliefs, and what corrupted ones would rather do.

    Whose decision is carried out is up to the attack process (`faults.attack_process`).

    Parameters
    ----------
    bundle
        Verified.
    seed
        Of the corrupted robots' luck.
    """

    def __init__(self, bundle: Bundle, seed: int) -> None:
        self._bundle, self._seed = bundle, seed
        self._task = bundle.manifest.task
        self._policies = [PolicyRuntime(bundle) for _ in range(self._task.num_robots)]
        self._others = teammates(self._task.num_robots)
        self._adversary: AdversaryRuntime | None = None
        self._rng = np.random.default_rng(seed)

    def step(self, observation: NDArray[np.float32], kinds: NDArray[np.integer[Any]]) -> TeamStep:
        """Decide for everybody.

        Parameters
        ----------
        observation : (N, D)
        kinds : (N,)
            Codes of the present faults.

        Raises
        ------
        EirError
            A robot is an adversary, and the bundle brings none.
        """
        count = len(self._policies)
        own, adversary, uniform = (np.zeros(count, np.int64) for _ in range(3))
        step = TeamStep(own, adversary, uniform, np.full((count, count), np.nan))
        for i, policy in enumerate(self._policies):
            answer = policy.step(observation[i])
            own[i] = answer.action
            step.p_adversary[i, self._others[i]] = p_adversary(answer.belief)
            if kinds[i] == FaultKind.RANDOM_ACTION:
                uniform[i] = self._rng.integers(len(self._task.actions))
            elif kinds[i] == FaultKind.ADVERSARY:
                if self._adversary is None:
                    self._adversary = AdversaryRuntime(self._bundle, self._seed)
                adversary[i] = self._adversary.step(observation[i], i)
        return step

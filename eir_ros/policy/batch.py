"""Many teams of one bundle at once: for measuring what a bundle is worth, not for robots."""

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.manifest import POLICY_FILE
from eir_ros.contract.types import p_adversary
from eir_ros.policy.bundle import Bundle
from eir_ros.policy.runtime import make_session


class BatchPolicy:
    """The policy of a bundle for B teams of N robots that act greedily.

    Parameters
    ----------
    bundle
        Verified.
    batch
        Number of teams, B.

    Attributes
    ----------
    belief : (B, N, N-1, K+1) float32
        What each robot believes of its teammates since the last decision.
    blames : (B, N, N-1) bool
        Whether p(adversary) is at or above the calibrated threshold of the bundle; the agent's
        alarm and its ladder of trust ask for more.
    """

    def __init__(self, bundle: Bundle, batch: int) -> None:
        manifest = bundle.manifest
        shape = next(t.shape for t in manifest.inputs if t.name == "hidden")
        self._fresh = np.zeros((batch * manifest.task.num_robots, *shape[1:]), np.float32)
        self._hidden = self._fresh
        self._threshold = manifest.belief.threshold
        self._session = make_session(bundle.policy, POLICY_FILE)

    def reset(self) -> None:
        """Episodes begin: everybody believes what the prior says."""
        self._hidden = self._fresh

    def decide(self, observation: NDArray[np.float32]) -> NDArray[np.int64]:
        """Decisions (B, N) on observations (B, N, D)."""
        inputs = {
            "observation": observation.reshape(len(self._hidden), -1),
            "hidden": self._hidden,
        }
        wanted = ("logits", "belief", "next_hidden")
        logits, belief, self._hidden = self._session.run(wanted, inputs)
        self.belief: NDArray[np.float32] = belief.reshape(*observation.shape[:2], *belief.shape[1:])
        self.blames: NDArray[np.bool_] = p_adversary(self.belief) >= self._threshold
        found: NDArray[np.int64] = logits.argmax(-1).reshape(observation.shape[:2])
        return found

"""The attack process: whose action is carried out (Li et al. 2024, section 3.1)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.faults import FaultKind

Actions = NDArray[np.number[Any]]


def executed_actions(
    policy: Actions, adversary: Actions, uniform: Actions, kinds: NDArray[np.integer[Any]]
) -> Actions:
    """Joint action that reaches the environment, elementwise over `(...)`.

    A robot of type 0 does what its policy says. A corrupted one does what the learned adversary
    says, or something uniformly random, depending on its fault; the remaining faults leave the
    decision alone and act on the commands (`CommandFaults`) or on the work.

    Parameters
    ----------
    policy, adversary, uniform : (...)
        Actions of the team's policy, of the learned adversary, and drawn uniformly: indices, or
        (..., A) floats.
    kinds : (...)
        Codes of `FaultKind` active at this decision.
    """
    if policy.ndim > kinds.ndim:
        kinds = kinds[..., None]
    executed = np.where(kinds == FaultKind.ADVERSARY, adversary, policy)
    return np.where(kinds == FaultKind.RANDOM_ACTION, uniform, executed)

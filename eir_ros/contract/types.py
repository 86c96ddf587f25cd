"""The type space of the Bayesian game: what a teammate can be."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Type of a robot that does what its policy says.
COOPERATIVE: Final = 0
#: First type of a robot that does not; a richer space numbers severities 1 ... K.
ADVERSARY: Final = 1
#: Names of the paper's type space, K = 1 (Li et al. 2024, section 3).
BYZANTINE_TYPES: Final = ("cooperative", "adversary")


def p_adversary(belief: NDArray) -> NDArray:
    """Probability of any type but cooperative.

    Parameters
    ----------
    belief : (..., K + 1)
        A distribution over types on the last axis.
    """
    return 1.0 - belief[..., COOPERATIVE]


def teammates(num_robots: int) -> NDArray[np.int64]:
    """Whom each robot watches, (N, N - 1): the other robots in roster order.

    Row `i` is the order of robot `i`'s tracks, of its beliefs and of the belief's hidden states.
    """
    everyone = np.arange(num_robots)
    return np.stack([np.delete(everyone, i) for i in everyone])

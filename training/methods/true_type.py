"""True Type: EIR-MAPPO that is told θ, the oracle that no robot can have.

It has no memory. So it is an upper bound only where EIR-MAPPO's actor reads the belief alone, and
not with `belief.actor: memory`.
"""

from training.methods.ear_mappo import EarMappo
from training.team import BeliefSource


class TrueType(EarMappo):
    """The belief is the truth."""

    title = "True Type"
    source = BeliefSource.TRUE

"""True Type: EIR-MAPPO that is told θ, the oracle that no robot can have and the upper bound."""

from training.methods.ear_mappo import EarMappo
from training.team import BeliefSource


class TrueType(EarMappo):
    """The belief is the truth."""

    title = "True Type"
    source = BeliefSource.TRUE

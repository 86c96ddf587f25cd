"""The methods: one algorithm, told apart by what it trains against and what it believes."""

from dataclasses import dataclass

from training.networks import BeliefSource


@dataclass(frozen=True)
class Method:
    """What distinguishes a method; everything else is the same code and the same settings."""

    title: str
    source: BeliefSource
    #: Whether robots are corrupted in training.
    attacked: bool


METHODS = {
    # Yu et al. 2022: cooperative only
    "mappo": Method("MAPPO", BeliefSource.NONE, attacked=False),
    # ex ante robust: adversaries under the prior, no belief
    "ear-mappo": Method("EAR-MAPPO", BeliefSource.NONE, attacked=True),
    # the same memory as EIR-MAPPO without the type loss: separates belief from memory
    "recurrent-ear-mappo": Method("recurrent EAR-MAPPO", BeliefSource.LATENT, attacked=True),
    # ex interim robust (Li et al. 2024)
    "eir-mappo": Method("EIR-MAPPO", BeliefSource.LEARNED, attacked=True),
    # the oracle
    "true-type": Method("True Type", BeliefSource.TRUE, attacked=True),
}

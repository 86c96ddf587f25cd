"""The methods by name: one readable file each, over shared parts."""

from training.learner import Learner
from training.methods.ear_mappo import EarMappo, RecurrentEarMappo
from training.methods.eir_mappo import EirMappo
from training.methods.mappo import Mappo
from training.methods.true_type import TrueType

METHODS: dict[str, type[Learner]] = {
    "mappo": Mappo,
    "ear-mappo": EarMappo,
    "recurrent-ear-mappo": RecurrentEarMappo,
    "eir-mappo": EirMappo,
    "true-type": TrueType,
}

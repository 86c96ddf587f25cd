"""The methods by name: one readable file each, over shared parts."""

from training.learner import Learner
from training.methods.ear_mappo import EarMappo, RecurrentEarMappo
from training.methods.eir_mappo import EirMappo
from training.methods.m3ddpg import M3ddpg
from training.methods.maddpg import Maddpg
from training.methods.mappo import Mappo
from training.methods.rmaac import Rmaac
from training.methods.true_type import TrueType

METHODS: dict[str, type[Learner]] = {
    "maddpg": Maddpg,
    "m3ddpg": M3ddpg,
    "mappo": Mappo,
    "rmaac": Rmaac,
    "ear-mappo": EarMappo,
    "recurrent-ear-mappo": RecurrentEarMappo,
    "eir-mappo": EirMappo,
    "true-type": TrueType,
}

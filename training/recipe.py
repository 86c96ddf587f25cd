"""The recipe: every setting of a training run, typed and checked."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema, load_mapping, validate
from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.errors import EirError
from eir_ros.faults.schedule import FaultMixture
from sim.swarm.coverage import CoverageWorld


class Anneal(Schema):
    """A setting that moves linearly from its first to its last value over the run."""

    first: float = Setting(ge=0)
    last: float = Setting(ge=0)

    def at(self, progress: float) -> float:
        """Value at `progress` in [0, 1]."""
        return self.first + (self.last - self.first) * min(max(progress, 0.0), 1.0)


class PPO(Schema):
    """Settings of clipped policy optimisation (Schulman et al. 2017)."""

    learning_rate: Anneal
    entropy: Anneal
    epochs: int = Setting(ge=1)
    minibatches: int = Setting(ge=1)
    clip: float = Setting(gt=0, lt=1)
    max_gradient_norm: float = Setting(10.0, gt=0)


class CriticSettings(Schema):
    """Settings of the central critic."""

    learning_rate: Anneal
    epochs: int = Setting(ge=1)
    huber: float = Setting(10.0, gt=0)
    gamma: float = Setting(0.97, gt=0, lt=1)
    gae_lambda: float = Setting(0.95, ge=0, le=1)


class BeliefSettings(Schema):
    """Settings of the belief network."""

    learning_rate: Anneal
    epochs: int = Setting(ge=1)
    hidden: int = Setting(32, ge=1)
    #: Share of the run over which true types in place of beliefs fade out.
    teacher_forcing: float = Setting(0.5, ge=0, le=1)


class Recipe(Schema):
    """A training run. `config/recipes/*.yaml` are commented examples."""

    name: str
    environment: Literal["swarm-coverage"] = "swarm-coverage"
    method: Literal["mappo", "ear-mappo", "recurrent-ear-mappo", "eir-mappo", "true-type"]
    seed: int = Setting(0, ge=0)
    #: Environments stepped together.
    batch: int = Setting(128, ge=1)
    #: Collect one episode per environment, then update: this many times.
    iterations: int = Setting(ge=1)
    episode_decisions: int = Setting(90, ge=1)
    task: CoverageTask = CoverageTask()
    world: CoverageWorld = CoverageWorld()
    faults: FaultMixture
    #: Units of each of the two hidden layers of actor, critic and adversary.
    width: int = Setting(128, ge=1)
    policy: PPO
    #: The adversary's own time scale.
    adversary: PPO
    critic: CriticSettings
    belief: BeliefSettings
    #: Write a checkpoint every so many iterations.
    checkpoint_every: int = Setting(10, ge=1)

    @model_validator(mode="after")
    def _divisible(self) -> "Recipe":
        most = max(self.policy.minibatches, self.adversary.minibatches)
        if most > self.batch:
            raise ValueError(
                f"{most} minibatches cannot be made of a batch of {self.batch} environments"
            )
        return self


def read_recipe(path: str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe, with `changes` such as `seed=1` or `policy.clip=0.1` on top.

    Raises
    ------
    EirError
        The file, a key or a value is wrong; the sentence names it and the nearest valid key.
    """
    data = load_mapping(path)
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise EirError(f"'{change}' is not of the form KEY=VALUE, for example seed=1.")
        *parents, last = key.split(".")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise EirError(f"'{key}': '{parent}' is a value and has no settings inside it.")
        place[last] = yaml.safe_load(value)
    return validate(data, Recipe, where=str(path))

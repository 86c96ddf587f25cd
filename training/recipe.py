"""The recipe: every setting of a training run, typed and checked."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema, load_mapping, load_value, validate
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


class Descent(Schema):
    """How one network follows its gradient."""

    learning_rate: Anneal
    #: Passes over a rollout, each in so many minibatches.
    epochs: int = Setting(ge=1)
    minibatches: int = Setting(ge=1)
    max_gradient_norm: float = Setting(10.0, gt=0)


class PPO(Descent):
    """Settings of clipped policy optimisation (Schulman et al. 2017)."""

    entropy: Anneal
    clip: float = Setting(gt=0, lt=1)


class CriticSettings(Descent):
    """Settings of the central critic."""

    huber: float = Setting(10.0, gt=0)
    gamma: float = Setting(0.97, gt=0, lt=1)
    gae_lambda: float = Setting(0.95, ge=0, le=1)


class BeliefSettings(Descent):
    """Settings of the belief network."""

    hidden: int = Setting(32, ge=1)
    #: Share of the run over which true types in place of beliefs fade out.
    teacher_forcing: float = Setting(0.5, ge=0, le=1)


class Recipe(Schema):
    """A training run. `config/recipes/*.yaml` are commented examples."""

    called: ClassVar[str] = "a recipe"

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

    def differences(self, other: "Recipe") -> list[str]:
        """One phrase for each setting that `other` has differently."""
        return list(_differences(self.model_dump(), other.model_dump()))

    @model_validator(mode="after")
    def _divisible(self) -> "Recipe":
        # the critic's and the adversary's minibatches are of single decisions: never too few
        most = max(self.policy.minibatches, self.belief.minibatches)
        if most > self.batch:
            raise ValueError(
                f"{most} minibatches cannot be made of a batch of {self.batch} environments"
            )
        return self


def _differences(ours: dict[str, Any], theirs: dict[str, Any], where: str = "") -> Iterator[str]:
    for name in sorted({*ours, *theirs}):
        a, b = ours.get(name), theirs.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{where}{name}.")
        elif a != b:
            yield f"{where}{name} is {a} there, {b} here"


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
        place[last] = load_value(value, f"--set {key}")
    return validate(data, Recipe, where=str(path))

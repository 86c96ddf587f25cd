"""The recipe: every setting of a training run, typed and checked."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field as Setting
from pydantic import field_validator, model_validator

from eir_ros.contract.config import Schema, load_mapping, load_value, validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.places import changed, places_in
from eir_ros.faults.schedule import FaultMixture, check_faulty

MethodName = Literal[
    "maddpg",
    "m3ddpg",
    "mappo",
    "rmaac",
    "ear-mappo",
    "recurrent-ear-mappo",
    "eir-mappo",
    "true-type",
]

#: Sections that only these methods read.
_ONLY_FOR: dict[str, tuple[MethodName, ...]] = {
    "belief": ("recurrent-ear-mappo", "eir-mappo"),
    "replay": ("maddpg", "m3ddpg"),
    "rmaac": ("rmaac",),
}


class Anneal(Schema):
    """A setting that moves linearly from its first to its last value over the run."""

    first: float = Setting(ge=0)
    last: float = Setting(ge=0)

    def at(self, progress: float) -> float:
        """Value at `progress` in [0, 1]."""
        return self.first + (self.last - self.first) * min(max(progress, 0.0), 1.0)


class Steps(Schema):
    """Steps along a gradient."""

    learning_rate: Anneal
    max_gradient_norm: float = Setting(10.0, gt=0)


class Descent(Steps):
    """How one network follows its gradient."""

    #: Passes over a rollout, each in so many minibatches.
    epochs: int = Setting(ge=1)
    minibatches: int = Setting(ge=1)


class PPO(Descent):
    """Settings of clipped policy optimisation (Schulman et al. 2017)."""

    entropy: Anneal
    clip: float = Setting(gt=0, lt=1)


class AdversarySettings(PPO):
    """Settings of the adversary of training."""

    #: How many times it begins anew in a run, at equal distances: an adversary stays at the exploit
    #: that it found first, and a team that has only met that one is open to others.
    restarts: int = Setting(0, ge=0)


class CriticSettings(Descent):
    """Settings of the central critic."""

    huber: float = Setting(10.0, gt=0)
    gamma: float = Setting(0.97, gt=0, lt=1)
    gae_lambda: float = Setting(0.95, ge=0, le=1)


class BeliefSettings(Descent):
    """Settings of the belief network."""

    #: `plain`: one memory of all that is observed, as in the paper. `pairwise`: one per teammate,
    #: with shared weights, so that it runs in a team of any size.
    network: Literal["plain", "pairwise"] = "pairwise"
    hidden: int = Setting(32, ge=1)
    #: Share of the run over which true types in place of beliefs fade out.
    teacher_forcing: float = Setting(0.5, ge=0, le=1)
    #: EIR-MAPPO: whether the policy's loss trains the network, too, and not the true types alone.
    #: The belief then keeps of the past what pays, besides who is what.
    joint: bool = False
    #: What the actor reads: the belief, or, with `joint`, the memory behind it as well, which makes
    #: it the π(a | H, b) of the paper. Recurrent EAR-MAPPO, too, so that these can be compared.
    actor: Literal["belief", "memory"] = "belief"


class Perturbation(Schema):
    """RMAAC's adversary: it bends what agents observe, each number by at most `radius`."""

    #: In units of the running spread of each observed number.
    radius: float = Setting(0.1, ge=0)
    policy: PPO


class Replay(Schema):
    """Settings of the methods that learn from a replay buffer: MADDPG and M3DDPG."""

    #: Transitions (joint ones, of one environment) that are kept.
    capacity: int = Setting(100_000, ge=1)
    #: Transitions before the first update.
    warmup: int = Setting(5_000, ge=0)
    #: Gradient steps per iteration, and transitions in each.
    updates: int = Setting(50, ge=1)
    batch: int = Setting(1024, ge=1)
    policy: Steps = Steps(learning_rate=Anneal(first=5e-4, last=5e-4))
    critic: Steps = Steps(learning_rate=Anneal(first=1e-3, last=1e-3))
    #: Weight of the mean square of the policy's scores, which keeps it from being sure too early.
    regularisation: float = Setting(1e-3, ge=0)
    #: Share of the way that target networks move after each gradient step.
    target_rate: float = Setting(0.01, gt=0, le=1)
    #: Temperature of the Gumbel-softmax relaxation of discrete actions.
    temperature: float = Setting(1.0, gt=0)
    #: Standard deviation of the noise on continuous actions while collecting.
    noise: Anneal = Anneal(first=0.2, last=0.05)
    #: M3DDPG: length of the one-step worst-case change of each of the others' actions.
    perturbation: float = Setting(0.1, ge=0)

    @model_validator(mode="after")
    def _begins(self) -> "Replay":
        if self.warmup > self.capacity:
            raise ValueError(
                f"warmup is {self.warmup} transitions, and the buffer keeps {self.capacity}: "
                "learning would never begin"
            )
        return self


class Evaluation(Schema):
    """Held-out episodes at intervals. They measure and choose; nothing is learned from them."""

    #: Iterations between two evaluations; there is one at the end, too. 0: none at all.
    every: int = Setting(50, ge=0)
    #: Episodes without faults, and as many for each way to be attacked.
    episodes: int = Setting(64, ge=1)
    #: Whose returns choose `best.pt`: a team that takes its most likely actions, as robots do, or
    #: one that samples, as where the best policy is a mixed one. Both are measured.
    mode: Literal["greedy", "sampled"] = "greedy"
    #: Share of the return under attack in what is compared; the rest is the return without faults.
    #: At 1 a team that never cooperates may win: in the toy game a uniformly random one does.
    weight: float = Setting(0.5, ge=0, le=1)


class Observe(Schema):
    """What is added to the observation of a world; robots get nothing but their contract."""

    #: The agent's index, one-hot.
    identity: bool = False
    #: The last executed action of the agent itself and of each teammate, one-hot.
    last_actions: bool = False


class Recipe(Schema):
    """A training run. `config/recipes/*.yaml` are commented examples."""

    called: ClassVar[str] = "a recipe"

    name: str
    #: A name of `eir envs`, and options of that world.
    environment: str
    options: dict[str, Any] = Setting(default_factory=dict)
    observe: Observe = Observe()
    method: MethodName
    #: Below the first numbers of the seeds of attacks and evaluations.
    seed: int = Setting(0, ge=0, lt=1_000_000)
    #: Environments stepped together, in so many groups of equal size. A group is what one worker
    #: or rank takes; results depend on the number of groups, not on who takes them.
    batch: int = Setting(128, ge=1)
    shards: int = Setting(1, ge=1)
    #: Steps of every environment per iteration, from fresh episodes.
    steps: int = Setting(ge=1)
    #: Collect, then update: this many times.
    iterations: int = Setting(ge=1)
    faults: FaultMixture
    #: Types beyond the cooperative one, each as a list of fault kinds; empty: one type for all.
    type_space: tuple[tuple[str, ...], ...] = ()
    #: Units of each hidden layer of actor, critic and adversary, and the number of these layers.
    width: int = Setting(128, ge=1)
    layers: int = Setting(2, ge=1)
    policy: PPO
    #: The adversary's own time scale.
    adversary: AdversarySettings
    #: How an adversary learns against the frozen team; as `adversary` where it is left out. The one
    #: of training may be held back so that the team can learn, this one shall not.
    attack: PPO | None = None
    critic: CriticSettings
    belief: BeliefSettings
    #: Share of the average of the team's past weights that an iteration keeps; that average is what
    #: is evaluated, attacked and exported. 0: the last weights. Where the best policy under attack
    #: is a mixed one, learners circle around it, and their average is near it.
    averaging: float = Setting(0.0, ge=0, lt=1)
    rmaac: Perturbation | None = None
    replay: Replay = Replay()
    evaluation: Evaluation = Evaluation()
    #: Where networks learn; worlds and the agents in them are always on the CPU.
    device: Literal["cpu", "cuda"] = "cpu"
    #: Write a checkpoint every so many iterations, and keep so many of those before the last one.
    checkpoint_every: int = Setting(10, ge=1)
    checkpoints_kept: int = Setting(2, ge=0)

    @property
    def type_of_kind(self) -> list[int]:
        """The type θ that a robot with each code of `FaultKind` is of."""
        found = [0] + [1] * (len(FaultKind) - 1)
        for theta, words in enumerate(self.type_space, start=1):
            for word in words:
                found[FaultKind.parse(word)] = theta
        return found

    @property
    def num_types(self) -> int:
        """K + 1."""
        return 1 + max(1, len(self.type_space))

    def unread(self, changes: Iterable[str]) -> list[str]:
        """One sentence for each of `changes`, such as `belief.hidden=8`, that its method ignores.

        A recipe has the settings of every method, so that these can be compared; but who changes
        one by hand expects that something comes of it.
        """
        found = []
        for key in (change.partition("=")[0] for change in changes):
            readers = _ONLY_FOR.get(key.partition(".")[0], (self.method,))
            if self.method not in readers:
                found.append(f"{self.method} does not read {key}; {' and '.join(readers)} would.")
        return found

    def differences(self, other: "Recipe") -> list[str]:
        """One phrase for each setting that `other` has differently."""
        return list(_differences(self.model_dump(), other.model_dump()))

    @field_validator("type_space")
    @classmethod
    def _known(cls, types: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        told = [word for words in types for word in words]
        check_faulty(told)
        twice = sorted({word for word in told if told.count(word) > 1})
        if twice or not all(types):
            found = f"{', '.join(twice)} is told twice" if twice else "a type has no kind"
            raise ValueError(f"{found}; expected each type with kinds of its own")
        return types

    @model_validator(mode="after")
    def _all_of_a_type(self) -> "Recipe":
        told = {word for words in self.type_space for word in words}
        missing = [word for word in self.faults.kinds if word not in told]
        if told and missing:
            raise ValueError(
                f"{', '.join(missing)} of faults.kinds is of no type in type_space; put each kind "
                "into one of its types, or leave type_space empty"
            )
        return self

    @model_validator(mode="after")
    def _one_teacher(self) -> "Recipe":
        belief = self.belief
        if self.method == "recurrent-ear-mappo":
            return self  # its memory is always its policy's own, and knows no types
        if belief.joint and belief.teacher_forcing:
            raise ValueError(
                f"belief.joint is true and belief.teacher_forcing is {belief.teacher_forcing:g}; "
                "the policy's loss cannot reach the network through true types: set "
                "belief.teacher_forcing=0 or belief.joint=false"
            )
        if belief.actor == "memory" and not belief.joint:
            raise ValueError(
                "belief.actor is memory and belief.joint is false; an actor that reads the memory "
                "trains it: set belief.joint=true or belief.actor=belief"
            )
        return self

    @model_validator(mode="after")
    def _divisible(self) -> "Recipe":
        if self.batch % self.shards:
            raise ValueError(
                f"a batch of {self.batch} environments cannot be made of {self.shards} equal shards"
            )
        # the critic's and the adversary's minibatches are of single decisions: never too few
        most = max(self.policy.minibatches, self.belief.minibatches)
        if most > self.batch // self.shards:
            raise ValueError(
                f"{most} minibatches cannot be made of {self.batch // self.shards} environments "
                "(batch / shards)"
            )
        if self.adversary.restarts >= self.iterations:
            raise ValueError(
                f"adversary.restarts is {self.adversary.restarts}, and there are {self.iterations} "
                "iterations: the adversary would never learn"
            )
        if self.method == "rmaac" and self.rmaac is None:
            raise ValueError("the method rmaac needs the section 'rmaac'")
        return self


def _differences(ours: dict[str, Any], theirs: dict[str, Any], where: str = "") -> Iterator[str]:
    for name in sorted({*ours, *theirs}):
        a, b = ours.get(name), theirs.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{where}{name}.")
        elif a != b:
            yield f"{where}{name} is {a} there, {b} here"


def read_recipe(path: str | Path, changes: Iterable[str] = (), option: str = "--set") -> Recipe:
    """Read a recipe, with `changes` such as `seed=1` or `policy.clip=0.1` on top.

    Parameters
    ----------
    option
        How changes were given, for the sentence about one that is wrong.

    Raises
    ------
    EirError
        The file, a key or a value is wrong; the sentence names it and the nearest valid key.
    """
    data, written, changes = load_mapping(path), dict[str, str](), list(changes)
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
        place[last] = load_value(value, f"{option} {key}")
        written[key] = f"{option} {change}"
    where = f"{path} with {option} {', '.join(changes)}" if changes else str(path)
    return validate(data, Recipe, where, lambda: changed(places_in(path), written))

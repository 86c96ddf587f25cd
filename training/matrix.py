"""A matrix of evaluation: methods x worlds x seeds x attacks, and the units of work it takes.

A matrix is a YAML file (`config/matrices`). Its work is done in stages, world by world and seed by
seed: teams are trained, then attacked, attacked again from the adversaries of their rivals, then
judged by all adversaries of their world and seed; so the stages do not overlap. Every unit is a
command that keeps what is there.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field as Setting
from pydantic import ValidationInfo, field_validator

from eir_ros.contract.config import Schema, load_yaml
from eir_ros.contract.errors import EirError
from training.attacks import make_attack, name_of
from training.engine import Unit
from training.methods import METHODS
from training.recipe import MethodName, Recipe, read_recipe
from training.team import BeliefSource

#: Seeds of attacks begin here: an attack shares none with the training of a team.
ATTACK_SEEDS = 1000
#: An attack by each team's worst adversary on every other one.
TRANSFER = "transfer"
#: Cells that teams have beside those of the attacks of a matrix: nobody is attacked, the strongest
#: attack found, what a learned belief is worth, and the curve of training.
TOGETHER, WORST, BELIEF, TRAINING = "none", "worst", "belief", "training"
EVERYBODYS = frozenset((TOGETHER, WORST, BELIEF, TRAINING))


class World(Schema):
    """One world of a matrix: a recipe, who plays it, and how hard it is attacked."""

    #: Path of the recipe, from the folder that the command is started in.
    recipe: str
    #: Seeds of each method.
    seeds: dict[MethodName, int]
    #: Settings of single methods on top of the recipe, where each is to be at its best.
    set_of: dict[MethodName, dict[str, Any]] = Setting(default_factory=dict)
    #: Settings on top of these, the same for every method.
    set: dict[str, Any] = Setting(default_factory=dict)
    #: For an ablation: the world that this one varies, and whose teams' adversaries attack these
    #: teams, too. A report has one table of all variants of a world instead of a chapter for each.
    variant_of: str | None = None
    #: Teams sample their actions instead of taking the most likely ones.
    sampled: bool = False
    #: Held-out episodes in every cell, per attacked agent.
    episodes: int = Setting(256, ge=1)
    #: Updates of an adversary that is trained against a frozen team.
    attack_iterations: int = Setting(60, ge=1)

    @field_validator("set", "set_of")
    @classmethod
    def _no_other_team(cls, changes: dict[str, Any], about: ValidationInfo) -> dict[str, Any]:
        for settings in changes.values() if about.field_name == "set_of" else [changes]:
            for key in ("method", "seed"):
                if key in settings:
                    raise ValueError(f"'{key}' is not to be set here: `seeds` says which there are")
        return changes

    def settings_of(self, method: MethodName) -> dict[str, Any]:
        """All that is set on top of the recipe for `method`."""
        return {**self.set_of.get(method, {}), **self.set}

    @field_validator("seeds")
    @classmethod
    def _some(cls, seeds: dict[MethodName, int]) -> dict[MethodName, int]:
        if not seeds or min(seeds.values()) < 1:
            raise ValueError("expected at least one method, each with one seed or more")
        return seeds


class Matrix(Schema):
    """What is trained, attacked and judged."""

    called: ClassVar[str] = "a matrix of evaluation"

    name: str = Setting(pattern=r"^[\w-]+$")
    #: Cheapest first: they are done in this order.
    worlds: dict[str, World]
    #: Attacks beside the worst case: a name, or a mapping {kind: name, setting: value}; `transfer`
    #: stands for one attack by the adversary of each method.
    attacks: tuple[str | dict[str, Any], ...] = ()

    @field_validator("worlds")
    @classmethod
    def _some(cls, worlds: dict[str, World]) -> dict[str, World]:
        if not worlds:
            raise ValueError("expected at least one world")
        return worlds

    @field_validator("attacks")
    @classmethod
    def _known(cls, attacks: tuple[str | dict[str, Any], ...]) -> Any:
        for entry in attacks:
            if attacks.count(entry) > 1:
                raise ValueError(f"{entry} is listed {attacks.count(entry)} times, expected once")
            kind, settings = _parted(entry)
            if kind != TRANSFER:
                try:
                    make_attack(kind, settings)
                except EirError as error:
                    raise ValueError(str(error).rstrip(".")) from error
        return attacks

    def unseen(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Name, kind and settings of the attacks of the list, but for transfer."""
        for entry in self.attacks:
            kind, settings = _parted(entry)
            if kind != TRANSFER:
                yield name_of(kind, settings), kind, settings

    @property
    def transfers(self) -> bool:
        """Whether adversaries are transferred between teams."""
        return TRANSFER in self.attacks


@dataclass(frozen=True)
class Victim:
    """One team of a matrix."""

    world: str
    method: MethodName
    seed: int

    @property
    def name(self) -> str:
        """As on the command line and in folders: `lbf/eir-mappo-0`."""
        return f"{self.world}/{self.method}-{self.seed}"


@dataclass(frozen=True)
class Cell:
    """One number to be known of a team, and the attack that gives it."""

    #: As in tables, and of its file.
    name: str
    #: The attack and its settings; none where it is not one attack that is played.
    kind: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    #: The team whose strongest adversary is played.
    adversary_of: Victim | None = None


def read_matrix(path: str | Path) -> Matrix:
    """Read a matrix and every recipe that it names.

    Raises
    ------
    EirError
        A file, a key, a method, an attack or a setting is wrong; the sentence names it.
    """
    matrix = load_yaml(path, Matrix)
    for label, world in matrix.worlds.items():
        if not Path(world.recipe).exists():
            raise EirError(
                f"{path}: the recipe of the world '{label}', {world.recipe}, is not in "
                f"{Path.cwd()}. Matrices name recipes from the folder that the command is started "
                "in, which for those that come with eir_ros is the checkout."
            )
    for victim in victims(matrix):
        recipe_of(matrix, victim)
    return matrix


def victims(matrix: Matrix, world: str | None = None) -> list[Victim]:
    """All teams, world by world, seed by seed: after each seed there is something to compare."""
    found = []
    for label, settings in matrix.worlds.items():
        for seed in range(max(settings.seeds.values())):
            found += [Victim(label, m, seed) for m, count in settings.seeds.items() if seed < count]
    return [victim for victim in found if world in (None, victim.world)]


def find_victim(matrix: Matrix, name: str) -> Victim:
    """The team of that name; `EirError` lists those there are."""
    for victim in victims(matrix):
        if victim.name == name:
            return victim
    known = ", ".join(victim.name for victim in victims(matrix))
    raise EirError(f"the matrix '{matrix.name}' has no team '{name}'; it has {known}.")


def changes_of(matrix: Matrix, victim: Victim) -> list[str]:
    """What is set on top of the recipe of `victim`, as `--set` takes it."""
    settings = matrix.worlds[victim.world].settings_of(victim.method)
    found = {**settings, "method": victim.method, "seed": victim.seed}
    # JSON is YAML, and has a word for what Python calls None
    return [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in found.items()
    ]


def recipe_of(matrix: Matrix, victim: Victim) -> Recipe:
    """The recipe that `victim` is trained by."""
    recipe = matrix.worlds[victim.world].recipe
    return read_recipe(recipe, changes_of(matrix, victim), f"`set` of '{victim.world}':")


def rivals(matrix: Matrix, victim: Victim) -> list[Victim]:
    """The teams of the same world and seed, itself among them: their adversaries are shared.

    Where another method has fewer seeds, its last one stands in. A variant of a world of this
    matrix meets that world's teams, too, but for methods that the variant has itself.
    """
    world = matrix.worlds[victim.world]
    counts = {method: (victim.world, count) for method, count in world.seeds.items()}
    if world.variant_of in matrix.worlds:
        for method, count in matrix.worlds[world.variant_of].seeds.items():
            counts.setdefault(method, (world.variant_of, count))
    return [
        Victim(label, method, min(victim.seed, count - 1))
        for method, (label, count) in counts.items()
    ]


def cells_of(matrix: Matrix, victim: Victim) -> list[Cell]:
    """Every cell of a team, in the order they are made in."""
    found = [Cell(TOGETHER, "none"), Cell(TRAINING)]
    for name, kind, settings in matrix.unseen():
        needs = make_attack(kind, settings).needs_adversary
        found.append(Cell(name, kind, settings, victim if needs else None))
    if matrix.transfers:
        for rival in rivals(matrix, victim):
            found.append(Cell(f"{TRANSFER}-{rival.method}", "learned", {}, rival))
    found.append(Cell(WORST))
    if METHODS[victim.method].source is BeliefSource.LEARNED:
        found.append(Cell(BELIEF))
    return found


def train_unit(matrix: Matrix, victim: Victim, runs: Path) -> Unit:
    """Train the team, or go on with it."""
    world = matrix.worlds[victim.world]
    settings = [part for change in changes_of(matrix, victim) for part in ("--set", change)]
    return _eir(
        f"train {victim.name}", "train", world.recipe, *settings, "--out", _of(runs, victim)
    )


def attack_units(matrix: Matrix, victim: Victim, runs: Path) -> list[Unit]:
    """Train the adversaries against it: one from scratch, one from what it was trained with."""
    starts = ("fresh", "warm") if METHODS[victim.method].attacked else ("fresh",)
    return [_attack_unit(matrix, victim, runs, start, "--start", start) for start in starts]


def rival_units(matrix: Matrix, victim: Victim, runs: Path) -> list[Unit]:
    """Train one more, from the adversary of another team that already hurts this one most.

    All of those that the other teams of its world and seed were trained with or attacked by are
    tried, so `attack_units` of these come first.
    """
    donors: list[Any] = []
    for rival in rivals(matrix, victim):
        if rival.method != victim.method:
            trained = [_of(runs, rival)] if METHODS[rival.method].attacked else []
            donors += trained + [unit.command[-1] for unit in attack_units(matrix, rival, runs)]
    warm = [part for donor in donors for part in ("--warm-from", donor)]
    return [_attack_unit(matrix, victim, runs, "rival", *warm)] if warm else []


def donors_of(unit: Unit) -> set[tuple[str, ...]]:
    """Whose adversaries a rival unit tries, as `named` says it; empty for any other unit."""
    words = unit.command
    return {named(path) for word, path in pairwise(words) if word == "--warm-from"}


def named(path: str) -> tuple[str, ...]:
    """World, team and, of an attack, its file: wherever the folder of all runs is."""
    return Path(path).parts[-3 if path.endswith(".pt") else -2 :]


def judge_unit(matrix_path: Path, victim: Victim, runs: Path, out: Path) -> Unit:
    """Play every cell of the team that is missing."""
    where = ["--runs", runs, "--out", out, "--only", victim.name]
    return _eir(f"judge {victim.name}", "evaluate", matrix_path, *where)


def _attack_unit(matrix: Matrix, victim: Victim, runs: Path, name: str, *start: Any) -> Unit:
    """The last word of its command is the file that it writes."""
    world, folder = matrix.worlds[victim.world], _of(runs, victim)
    options = ["--iterations", world.attack_iterations, "--seed", ATTACK_SEEDS + victim.seed]
    options += ["--sampled"] if world.sampled else []
    out = ["--out", folder / f"attack-{name}.pt"]
    return _eir(f"attack {victim.name} {name}", "attack", folder, *start, *options, *out)


def _of(runs: Path, victim: Victim) -> Path:
    return runs / victim.name


def _eir(name: str, *arguments: Any) -> Unit:
    return Unit(name, (sys.executable, "-m", "eir_ros.cli.main", *map(str, arguments)))


def _parted(entry: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    settings = dict(entry)
    return str(settings.pop("kind", "")), settings

"""Worst-case attacks: adversaries trained against a frozen victim."""

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from training import checkpoint
from training.attacks.actions import Learned
from training.attacks.play import Arena, shapes
from training.checkpoint import Run
from training.game import make_game
from training.methods import METHODS
from training.provenance import digest
from training.recipe import Recipe
from training.records import write_whole
from training.rollout import Collector, first_returns
from training.team import Adversary
from training.views import view_of

#: First entry of every seed of an attack: never shared with training or evaluation.
ATTACK_STREAM = 1_000_003
#: Updates over which a curve is smoothed to find where it was lowest.
SMOOTHING = 5
#: Held-out stream and episodes per agent in which donors of a warm start are compared.
DONORS, SCREENED = 5, 64


@dataclass
class Attack:
    """An adversary and how it came about."""

    adversary: Adversary
    #: "fresh" or "warm"
    start: str
    #: Agents that it was trained to play.
    agents: list[int]
    seed: int
    #: Whether the victim took its most likely actions, as robots do, or sampled.
    greedy: bool = True
    #: Victim's return per attacked agent before each update; row = {agent: return}.
    curve: list[dict[int, float]] = field(default_factory=list)
    #: Weights that left the victim least: its mean return over agents and `SMOOTHING` updates.
    lowest: dict[str, Tensor] = field(default_factory=dict)
    #: Where it could have started, and what each of these left of the victim's return.
    tried: dict[str, float] = field(default_factory=dict)


def train_attack(
    victim: Run,
    start: str,
    agents: list[int],
    iterations: int,
    seed: int,
    warm: Adversary | None = None,
    greedy: bool = True,
) -> Attack:
    """Train an adversary against `victim`, which never learns.

    The adversary is corrupted from the start of every episode. One network plays every robot in
    `agents`, told apart by the identity in its observation and by θ; each gets an equal share of
    the episodes, so its return is known for each robot separately.

    Parameters
    ----------
    start
        "fresh" weights, or "warm": those of `warm`, by default the adversary that the victim was
        trained with.
    greedy
        The victim takes its most likely actions, as robots do, instead of sampling.

    Raises
    ------
    EirError
        A robot outside the team, more robots than environments, a start of another name, or a
        warm one from an adversary that was never trained.
    """
    recipe = victim.recipe
    torch.set_num_threads(1)
    if start == "warm" and warm is None and not METHODS[recipe.method].attacked:
        raise EirError(
            f"a team of '{recipe.method}' trains with no adversary to start from; give another "
            "one with --warm-from, or start fresh."
        )
    game = make_game(recipe, recipe.batch)
    _check(start, agents, game.num_agents, recipe.batch)
    torch.manual_seed(seed)
    learner = METHODS[recipe.method](recipe, game)
    learner.team = victim.team
    if start == "warm":
        learner.adversary.load_state_dict((warm or victim.adversary).state_dict())
    # The victim's critic has met other adversaries, but it is a far better start than none.
    learner.critic.load_state_dict(victim.critic.state_dict())
    collector = Collector(
        game, victim.team, learner.adversary, learner.critic, recipe.type_of_kind, greedy=greedy
    )
    played = np.resize(agents, recipe.batch)
    schedule = Schedule.single(recipe.batch, game.num_agents, FaultKind.ADVERSARY, played)
    attack = Attack(learner.adversary, start, agents, seed, greedy)
    means, least = list[float](), math.inf
    for iteration in range(iterations):
        stream = [ATTACK_STREAM, seed, iteration]
        rollout = collector.collect(stream, recipe.steps, schedule=schedule)
        total = first_returns(rollout).numpy()
        attack.curve.append({a: float(total[played == a].mean()) for a in agents})
        means.append(float(np.mean(list(attack.curve[-1].values()))))
        smoothed = float(np.mean(means[-SMOOTHING:]))
        if smoothed < least and len(means) >= min(SMOOTHING, iterations):
            # these weights played the last of the updates that were averaged
            least, attack.lowest = smoothed, copy.deepcopy(learner.adversary.state_dict())
        learner.update_attack(rollout, iteration / iterations, [*stream, 2])
    game.close()
    return attack


def _check(start: str, agents: list[int], num_robots: int, batch: int) -> None:
    if start not in ("fresh", "warm"):
        raise EirError(f"an attack starts 'fresh' or 'warm', not '{start}'.")
    wrong = [agent for agent in agents if not 0 <= agent < num_robots]
    if wrong or not agents:
        raise EirError(
            f"agents to attack with are {agents}; expected some of 0 to {num_robots - 1}."
        )
    if len(agents) > batch:
        raise EirError(
            f"the recipe's batch is {batch}; expected at least one environment for each of the "
            f"{len(agents)} agents to attack with."
        )


def story_of(attack: Path) -> dict[str, Any]:
    """What `save_attack` wrote beside the weights at `attack`.

    Raises
    ------
    OSError, ValueError
        It is not there, or it is half of one.
    """
    found: dict[str, Any] = json.loads(attack.with_suffix(".json").read_text(encoding="utf-8"))
    return found


def attack_at(path: Path) -> str:
    """What attack lies at `path`, in a few words; empty where there is none."""
    if not path.exists():
        return ""
    try:
        story = story_of(path)
        team, agents = "greedy" if story["greedy"] else "sampling", story["agents"]
        whom = f"agent{'s' if len(agents) > 1 else ''} {', '.join(map(str, agents))}"
        updates = f"{len(story['curve'])} updates against a {team} team"
        return f"{story['start']}, {updates}, {whom}, seed {story['seed']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown one"


def save_attack(attack: Attack, victim: Run, victim_path: Path, path: Path) -> None:
    """Write the adversary's weights to `path` and its story beside it as JSON.

    `victim_path` is the checkpoint that `victim` was read from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "adversary": attack.adversary.state_dict(),
        "lowest": attack.lowest,
        "recipe": victim.recipe.model_dump(mode="json"),
    }
    story = {
        "victim": {
            "method": victim.recipe.method,
            "seed": victim.recipe.seed,
            "sha256": digest(victim_path),
        },
        "start": attack.start,
        **({"tried": attack.tried} if attack.tried else {}),
        "agents": attack.agents,
        "seed": attack.seed,
        "greedy": attack.greedy,
        "curve": [{a: round(value, 3) for a, value in row.items()} for row in attack.curve],
    }
    told = path.with_suffix(".json")
    # at no moment do new weights stand beside the story of old ones
    told.unlink(missing_ok=True)
    write_whole(path, checkpoint.pack(state))
    write_whole(told, (json.dumps(story, indent=1) + "\n").encode())


def strongest(
    victim: Run, donors: Mapping[str, Adversary], agents: list[int], greedy: bool = True
) -> tuple[str, dict[str, float]]:
    """Which of `donors` leaves `victim` least, and the mean return over agents under each.

    Raises
    ------
    EirError
        The adversary of a donor has networks of another shape.
    """
    for name, adversary in donors.items():
        if shapes(adversary) != shapes(victim.adversary):
            raise EirError(
                f"the adversary of {name} does not fit this team; expected one of the same world "
                "and network sizes."
            )
    arena, left = Arena(victim, SCREENED, greedy), {}
    for name, adversary in donors.items():
        played = [
            arena.play(Learned(), SCREENED, [DONORS], agent, adversary).returns for agent in agents
        ]
        left[name] = round(float(np.mean(played)), 3)
    arena.close()
    return min(left, key=lambda name: left[name]), left


def load_attack(path: Path, lowest: bool = False) -> Adversary:
    """The adversary that `save_attack` wrote, as it was last or where it was at its `lowest`.

    Raises
    ------
    EirError
        There is none.
    """
    try:
        state = checkpoint.unpack(path)
        recipe = validate(state["recipe"], Recipe, where=f"recipe in {path}")
        game = make_game(recipe, 1)
        adversary = Adversary(view_of(game), recipe)
        game.close()
        # attacks from before it was kept have no lowest
        adversary.load_state_dict((lowest and state.get("lowest")) or state["adversary"])
    except (OSError, KeyError, RuntimeError, BadZipFile, UnpicklingError) as error:
        raise EirError(f"{path} is not an attack written by `eir attack`: {error}") from error
    return adversary


def adversary_in(place: Path) -> Adversary:
    """The adversary of a run (its folder or a checkpoint), or one that `eir attack` wrote.

    Raises
    ------
    EirError
        There is neither at `place`, or the run's method trains no adversary.
    """
    # `save_attack` leaves its story beside the weights
    if place.with_suffix(".json").is_file():
        return load_attack(place)
    run = checkpoint.load(checkpoint.find(place))
    if not METHODS[run.recipe.method].attacked:
        raise EirError(
            f"{place} is of '{run.recipe.method}', which trains with no adversary; give a run of a "
            "method that does, or an attack."
        )
    return run.adversary

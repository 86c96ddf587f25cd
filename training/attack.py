"""Worst-case attacks: adversaries trained against a frozen victim."""

import json
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from training.checkpoint import Run
from training.game import make_game
from training.methods import METHODS
from training.provenance import digest
from training.recipe import Recipe
from training.rollout import Collector, first_returns
from training.team import Adversary
from training.views import view_of

#: First entry of every seed of an attack: never shared with training or evaluation.
ATTACK_STREAM = 1_000_003


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
    #: Victim's return per attacked agent after each iteration; row = {agent: return}.
    curve: list[dict[int, float]] = field(default_factory=list)


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
        A robot outside the team, or a start of another name.
    """
    recipe = victim.recipe
    torch.set_num_threads(1)
    game = make_game(recipe, recipe.batch)
    _check(start, agents, game.num_agents)
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
    for iteration in range(iterations):
        stream = [ATTACK_STREAM, seed, iteration]
        rollout = collector.collect(stream, recipe.steps, schedule=schedule)
        learner.update_attack(rollout, iteration / iterations, [*stream, 2])
        total = first_returns(rollout).numpy()
        attack.curve.append({a: float(total[played == a].mean()) for a in agents})
    game.close()
    return attack


def _check(start: str, agents: list[int], num_robots: int) -> None:
    if start not in ("fresh", "warm"):
        raise EirError(f"an attack starts 'fresh' or 'warm', not '{start}'.")
    wrong = [agent for agent in agents if not 0 <= agent < num_robots]
    if wrong or not agents:
        raise EirError(
            f"agents to attack with are {agents}; expected some of 0 to {num_robots - 1}."
        )


def save_attack(attack: Attack, victim: Run, victim_path: Path, path: Path) -> None:
    """Write the adversary's weights to `path` and its story beside it as JSON.

    `victim_path` is the checkpoint that `victim` was read from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "adversary": attack.adversary.state_dict(),
        "recipe": victim.recipe.model_dump(mode="json"),
    }
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)
    story = {
        "victim": {
            "method": victim.recipe.method,
            "seed": victim.recipe.seed,
            "sha256": digest(victim_path),
        },
        "start": attack.start,
        "agents": attack.agents,
        "seed": attack.seed,
        "greedy": attack.greedy,
        "curve": [{a: round(value, 3) for a, value in row.items()} for row in attack.curve],
    }
    path.with_suffix(".json").write_text(json.dumps(story, indent=1) + "\n", encoding="utf-8")


def load_attack(path: Path) -> Adversary:
    """The adversary that `save_attack` wrote; `EirError` where there is none."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        recipe = validate(state["recipe"], Recipe, where=f"recipe in {path}")
        game = make_game(recipe, 1)
        adversary = Adversary(view_of(game), recipe)
        game.close()
        adversary.load_state_dict(state["adversary"])
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise EirError(f"{path} is not an attack written by `eir attack`: {error}") from error
    return adversary

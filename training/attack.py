"""Worst-case attacks: adversaries trained against a frozen victim."""

import copy
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from sim.swarm.env import CoverageEnv
from training.checkpoint import Run
from training.eir_mappo import Learner
from training.networks import Adversary
from training.provenance import digest
from training.rollout import Collector

#: First entry of every seed of an attack: never shared with training or evaluation.
ATTACK_STREAM = 1_000_003


@dataclass
class Attack:
    """An adversary and how it came about."""

    adversary: Adversary
    #: "fresh" or "warm"
    start: str
    #: Robots that it was trained to play.
    agents: list[int]
    seed: int
    #: Victim's return per attacked robot after each iteration; row = {agent: return}.
    curve: list[dict[int, float]] = field(default_factory=list)


def train_attack(
    victim: Run,
    start: str,
    agents: list[int],
    iterations: int,
    seed: int,
    warm: Adversary | None = None,
) -> Attack:
    """Train an adversary against `victim`, which acts greedily as robots do and never learns.

    The adversary is corrupted from the start of every episode. One network plays every robot in
    `agents`, told apart by the identity in its observation and by θ; each gets an equal share of
    the episodes, so its return is known for each robot separately.

    Parameters
    ----------
    start
        "fresh" weights, or "warm": those of `warm`, by default the adversary that the victim was
        trained with.

    Raises
    ------
    EirError
        A robot outside the team, or a start of another name.
    """
    recipe = victim.recipe
    _check(start, agents, recipe.task.num_robots)
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    adversary = Adversary(recipe.task, recipe.width)
    if start == "warm":
        adversary = copy.deepcopy(warm or victim.adversary)
    # The victim's critic has met other adversaries, but it is a far better start than none.
    critic = copy.deepcopy(victim.critic)
    env = CoverageEnv(recipe.batch, 0, recipe.task, recipe.world, None, recipe.episode_decisions)
    collector = Collector(env, victim.team, adversary, critic, greedy=True)
    learner = Learner(recipe, victim.team, adversary, critic)
    played = np.resize(agents, recipe.batch)
    schedule = Schedule.single(recipe.batch, env.num_agents, FaultKind.ADVERSARY, played)
    attack = Attack(adversary, start, agents, seed)
    for iteration in range(iterations):
        stream = [ATTACK_STREAM, seed, iteration]
        rollout = collector.collect(stream, schedule=schedule)
        learner.update_attack(rollout, iteration / iterations, [*stream, 2])
        total = rollout.reward.sum(0).numpy()
        attack.curve.append({a: float(total[played == a].mean()) for a in agents})
    env.close()
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
        "task": victim.recipe.task.model_dump(mode="json"),
        "width": victim.recipe.width,
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
        "curve": [{a: round(value, 3) for a, value in row.items()} for row in attack.curve],
    }
    path.with_suffix(".json").write_text(json.dumps(story, indent=1) + "\n", encoding="utf-8")


def load_attack(path: Path, victim: Run) -> Adversary:
    """The adversary that `save_attack` wrote; `EirError` where there is none."""
    try:
        state = torch.load(path, weights_only=True)
        adversary = Adversary(victim.recipe.task, state["width"])
        adversary.load_state_dict(state["adversary"])
    except (OSError, KeyError, RuntimeError) as error:
        raise EirError(f"{path} is not an attack written by `eir attack`: {error}") from error
    return adversary

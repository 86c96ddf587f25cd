"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from sim.swarm.env import CoverageEnv
from training.eir_mappo import Learner
from training.methods import METHODS
from training.networks import Adversary, Critic, Team, num_kinds
from training.recipe import Recipe

#: Name of the checkpoint in the folder of a run.
FILE = "checkpoint.pt"
_FORMAT = 1


@dataclass
class Run:
    """A training run in memory; `iteration` updates have been made."""

    recipe: Recipe
    team: Team
    adversary: Adversary
    critic: Critic
    learner: Learner
    iteration: int = 0
    #: Time spent training, over all sessions of the run [s].
    wall_s: float = 0.0
    #: Commit and machine that the run was started with.
    commit: str = "unknown"
    machine: str = "unknown"


def fresh(recipe: Recipe) -> Run:
    """Networks and optimisers at their start, fixed by the recipe's seed."""
    torch.manual_seed(recipe.seed)
    method = METHODS[recipe.method]
    team = Team(recipe.task, method.source, recipe.width, recipe.belief.hidden)
    adversary = Adversary(recipe.task, recipe.width)
    env = CoverageEnv(1, 0, recipe.task, recipe.world)
    critic = Critic(
        env.team_state.shape[-1], env.num_agents, recipe.width, num_kinds(recipe.faults.kinds)
    )
    env.close()
    return Run(recipe, team, adversary, critic, Learner(recipe, team, adversary, critic))


def save(run: Run, path: Path) -> None:
    """Write `path` whole or not at all.

    Random generators are not in it: every iteration derives its own from the recipe's seed and
    its number, and starts with fresh episodes.
    """
    state: dict[str, Any] = {
        "format": _FORMAT,
        "recipe": run.recipe.model_dump(mode="json"),
        "iteration": run.iteration,
        "wall_s": run.wall_s,
        "commit": run.commit,
        "machine": run.machine,
        "networks": {name: getattr(run, name).state_dict() for name in _NETWORKS},
        "optimisers": {k: v.state_dict() for k, v in run.learner.optimisers.items()},
    }
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    os.replace(partial, path)


_NETWORKS = ("team", "adversary", "critic")


def find(place: str | Path) -> Path:
    """The checkpoint file meant by a file or by the folder of a run."""
    place = Path(place)
    return place / FILE if place.is_dir() else place


def load(path: str | Path) -> Run:
    """Read a checkpoint.

    Raises
    ------
    EirError
        The file is missing, is not a checkpoint, or is of another format.
    """
    path = Path(path)
    try:
        state = torch.load(path, weights_only=True)
        found = state["format"]
    except OSError as error:
        raise EirError(f"checkpoint {path} cannot be read ({error.strerror}).") from error
    except Exception as error:
        raise EirError(f"{path} is not a checkpoint of `eir train`, or is damaged.") from error
    if found != _FORMAT:
        raise EirError(f"checkpoint {path} has format {found}; this version reads {_FORMAT}.")
    run = fresh(validate(state["recipe"], Recipe, where=f"recipe in {path}"))
    for name in _NETWORKS:
        getattr(run, name).load_state_dict(state["networks"][name])
    for name, optimiser in run.learner.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    for name in ("iteration", "wall_s", "commit", "machine"):
        setattr(run, name, state.get(name, getattr(run, name)))
    return run

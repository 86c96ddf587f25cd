"""Recipes so small that a run takes a second."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from training.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parents[2] / "config" / "recipes"

#: Of `tiny_everywhere`: recipe and changes. Between them: masks, continuous actions, both beliefs.
WORLDS: dict[str, tuple[str, dict[str, str]]] = {
    "toy": ("toy", {"belief.network": "pairwise", "options.episode_steps": 5}),
    "lbf": ("lbf", {"environment": "lbf-6x6-3p-2f-c", "options.episode_limit": 5}),
    "smac": ("smac", {"environment": "smac-3m", "options.episode_limit": 5}),
    "mpe": ("mpe", {"options": "{num_agents: 3, episode_steps: 5}"}),
    "mpe-continuous": ("mpe", {"options": "{num_agents: 3, episode_steps: 5, continuous: true}"}),
    "coverage": ("coverage", {"options.episode_decisions": 6, "belief.network": "plain"}),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As `eir train` has it: networks this small are slower with more."""
    torch.set_num_threads(1)


def _read(name: str, settings: dict[str, object]) -> Recipe:
    return read_recipe(RECIPES / f"{name}.yaml", [f"{k}={v}" for k, v in settings.items()])


@pytest.fixture
def tiny_recipe() -> Callable[..., Recipe]:
    """`tiny_recipe(method, **changes)`: the recipe of the shipped team, made small."""

    def make(method: str, **changes: object) -> Recipe:
        small = {"method": method, "batch": 8, "iterations": 4, "steps": 20, "width": 16}
        small |= {"options.episode_decisions": 20, "checkpoint_every": 2, "evaluation.every": 0}
        small |= {"replay.warmup": 200, "replay.updates": 4, "replay.batch": 64}
        return _read("coverage", {**small, **changes})

    return make


@pytest.fixture
def toy_recipe() -> Callable[..., Recipe]:
    """`toy_recipe(method, **changes)`: the matrix game, made small."""

    def make(method: str, **changes: object) -> Recipe:
        small = {"method": method, "batch": 16, "steps": 10, "width": 16, "averaging": 0.0}
        return _read("toy", {**small, **changes})

    return make


@pytest.fixture
def tiny_everywhere() -> Callable[..., Recipe]:
    """`tiny_everywhere(method, world, **changes)`: six steps in four environments of any family.

    With two types beyond the cooperative one, and up to two adversaries in every episode.
    """

    def make(method: str, world: str, **changes: object) -> Recipe:
        name, fitting = WORLDS.get(world, (world, {"options.episode_decisions": 6}))
        small: dict[str, object] = {"method": method, "batch": 4, "shards": 2, "steps": 6}
        small |= {"iterations": 4, "width": 8, "belief.hidden": 8}
        small |= {f"{part}.minibatches": 1 for part in ("policy", "belief", "rmaac.policy")}
        small |= {f"{part}.epochs": 1 for part in ("policy", "critic", "belief", "adversary")}
        small |= {"faults.kinds": "{adversary: 1.0, random_action: 1.0}"}
        small |= {"faults.max_faulty": 2, "faults.probability": 1.0}
        small |= {"type_space": "[[adversary], [random_action]]"}
        small |= {"replay.warmup": 20, "replay.capacity": 40, "replay.updates": 2}
        return _read(name, {**small, "replay.batch": 16, **fitting, **changes})

    return make

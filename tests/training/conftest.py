"""A recipe so small that a run takes a second."""

from collections.abc import Callable
from pathlib import Path

import pytest

from training.recipe import Recipe, read_recipe

RECIPE = Path(__file__).parents[2] / "config" / "recipes" / "coverage.yaml"


@pytest.fixture
def tiny_recipe() -> Callable[..., Recipe]:
    """`tiny_recipe(method, **changes)`: the shipped recipe, made small."""

    def make(method: str, **changes: object) -> Recipe:
        small = {"method": method, "batch": 8, "iterations": 4, "steps": 20, "width": 16}
        small |= {"options.episode_decisions": 20, "checkpoint_every": 2, "evaluation.every": 0}
        settings = {**small, **changes}
        return read_recipe(RECIPE, [f"{key}={value}" for key, value in settings.items()])

    return make

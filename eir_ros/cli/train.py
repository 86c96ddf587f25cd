"""`eir train RECIPE`: train a team."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[
        Path, typer.Argument(help="Recipe, for example config/recipes/coverage.yaml.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run; a run that is there goes on. Default: runs/NAME-METHOD-SEED."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the recipe, for example --set seed=1.",
        ),
    ] = None,
) -> None:
    """Train a team; Ctrl-C saves, and the same command goes on where it stopped."""
    from training.progress import run_with_progress
    from training.recipe import read_recipe

    settings = read_recipe(recipe, set_ or [])
    folder = out or Path("runs") / f"{settings.name}-{settings.method}-{settings.seed}"
    run_with_progress(settings, folder)

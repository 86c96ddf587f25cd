"""`eir train RECIPE`: train a team, or many."""

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
            help="Folder of the run; a run that is there goes on. Default: runs/NAME-METHOD-SEED. "
            "Of a sweep: the folder that holds the folders of its runs. Default: runs."
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
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help="Train one run for each value, for example --sweep seeds=1..5. May be repeated: "
            "--sweep method=mappo,eir-mappo trains each method with each seed.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Runs of a sweep at a time. Default: one per processor."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Where the runs of a sweep run: local, or ray.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, with --engine ray.")
    ] = None,
) -> None:
    """Train a team; Ctrl-C saves, and the same command goes on where it stopped."""
    from training.recipe import read_recipe
    from training.sweep import default_name, members

    if sweep:
        from training.sweep_progress import sweep_with_progress

        runs = members(recipe, sweep, set_ or [], out)
        if not sweep_with_progress(runs, engine=engine, jobs=jobs, address=address):
            raise typer.Exit(1)
        return
    _refuse_options_of_a_sweep(jobs, engine, address)
    settings = read_recipe(recipe, set_ or [])

    from training.progress import run_with_progress

    run_with_progress(settings, out or Path("runs") / default_name(settings))


def _refuse_options_of_a_sweep(jobs: int | None, engine: str, address: str | None) -> None:
    from eir_ros.contract.errors import EirError

    if jobs is not None or engine != "local" or address is not None:
        raise EirError(
            "--jobs, --engine and --address say where the runs of a sweep run; add --sweep, for "
            "example --sweep seeds=1..5, or leave them out."
        )

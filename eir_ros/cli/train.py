"""`eir train RECIPE`: train a team, or many."""

import json
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
    faults: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="Faults of every episode instead of drawn ones: ROBOT:KIND[@START[-END]] or a "
            "schedule file (.yaml), robots being r0, r1, ... Can be given again.",
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
    workers: Annotated[
        int,
        typer.Option(min=0, help="Processes that play the rollouts of one run. Default: itself."),
    ] = 0,
    engine: Annotated[
        str,
        typer.Option(help="Where the runs of a sweep, or the rollouts of one, run: local, or ray."),
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, with --engine ray.")
    ] = None,
) -> None:
    """Train a team; Ctrl-C saves, and the same command goes on where it stopped."""
    from eir_ros.contract.errors import EirError
    from training.recipe import read_recipe
    from training.sweep import default_name, members

    changes = list(set_ or [])
    if faults:
        from eir_ros.swarm.schedule import read_faults

        texts = [fault.text for fault in read_faults(faults)]
        changes.append(f"faults.schedule={json.dumps(texts)}")
    if sweep and workers:
        raise EirError("--workers is for one run; a sweep shares out --jobs runs at a time.")
    if sweep:
        from training.sweep_progress import sweep_with_progress

        runs = members(recipe, sweep, changes, out)
        if not sweep_with_progress(runs, engine=engine, jobs=jobs, address=address):
            raise typer.Exit(1)
        return
    if jobs is not None:
        raise EirError(
            "--jobs says how many runs of a sweep run at a time; add --sweep, for example "
            "--sweep seeds=1..5, or leave it out."
        )
    settings = read_recipe(recipe, changes)
    for sentence in settings.unread(changes):
        typer.echo(f"note: {sentence}", err=True)

    from training import ranks
    from training.players import Staff
    from training.progress import run_with_progress

    with ranks.joined(settings.device):
        staff = Staff(workers, engine, address)
        run_with_progress(settings, out or Path("runs") / default_name(settings), staff)

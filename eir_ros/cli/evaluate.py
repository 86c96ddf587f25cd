"""`eir evaluate MATRIX`: train, attack and judge every team of a matrix."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    matrix: Annotated[Path, typer.Argument(help="Matrix, for example config/matrices/toy.yaml.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the cells. Default: results/NAME.")
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(help="Folder of the teams and their adversaries. Default: runs/NAME."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what there is to do and how long it takes.")
    ] = False,
    only: Annotated[
        str | None, typer.Option(help="Judge this team only, here: WORLD/METHOD-SEED.")
    ] = None,
    world: Annotated[str | None, typer.Option(help="Do this world of the matrix only.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Do the teams of this seed only.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Units at a time. Default: one per processor.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: on a Ray cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, for example auto.")
    ] = None,
) -> None:
    """Evaluate methods x worlds x seeds x attacks; what is done already is kept.

    A cell that fails is reported and stops nothing; the status is then 1. After Ctrl-C the same
    command goes on.
    """
    from eir_ros.contract.errors import EirError

    others = {"--plan": plan, "--world": world, "--jobs": jobs, "--address": address}
    # zero is a seed
    others |= {"--seed": seed is not None, "--engine": engine != "local"}
    if only is not None and (given := [name for name, value in others.items() if value]):
        raise EirError(
            f"--only judges one team, here and now; leave out {given[0]}, or --only for what is "
            "missing of all."
        )
    from training.campaign import judge_one, plan_matrix, run_matrix
    from training.matrix import find_victim, read_matrix
    from training.room import check_folder

    found = read_matrix(matrix)
    cells = out or Path("results") / found.name
    teams = runs or Path("runs") / found.name
    check_folder(cells, "--out")
    check_folder(teams, "--runs")
    if only is not None:
        judge_one(found, find_victim(found, only), teams, cells, matrix)
    elif plan:
        plan_matrix(found, teams, cells, world, seed, jobs)
    else:
        try:
            whole = run_matrix(matrix, found, teams, cells, world, seed, jobs, engine, address)
        except KeyboardInterrupt:
            typer.echo("stopped; the same command goes on from here", err=True)
            raise
        if not whole:
            raise typer.Exit(1)
        typer.echo(f"all cells are in {cells}; next: eir report {cells}")

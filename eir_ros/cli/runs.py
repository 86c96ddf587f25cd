"""`eir runs [FOLDER]`: the runs of a folder in one table."""

from pathlib import Path
from typing import Annotated, Any

import typer

COLUMNS = (
    "run", "recipe", "method", "seed", "iteration", "commit", "return", "attacked", "of", "state",
)  # fmt: skip


def runs(
    folder: Annotated[
        Path, typer.Argument(help="Looked through with all folders in it.", metavar="[FOLDER]")
    ] = Path("runs"),
) -> None:
    """List training runs: recipe, commit, returns without faults and under attack, state."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from eir_ros.contract.errors import EirError
    from training.summary import find_runs, summarise

    found = [summarise(path) for path in find_runs(folder)]
    if not found:
        raise EirError(f"there are no runs in {folder}; `eir train RECIPE` makes one.")
    console = Console()
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
    for summary in found:
        table.add_row(*_cells(summary, folder))
    if not console.is_terminal:
        console.width = 400  # nobody's terminal: the lines are as long as they are
    console.print(table)
    for summary in found:
        if summary.reason:
            console.print(f"{summary.folder}: {summary.reason}", soft_wrap=True, markup=False)


def _cells(summary: Any, folder: Path) -> list[str]:
    """One row, of a `training.summary.Summary`; `of` says what the returns are of.

    Held-out seeds, with the attacks that the team met there, or the last iterations of training.
    A team that trained without an adversary has not met one.
    """
    name = str(summary.folder.relative_to(folder)) if summary.folder != folder else str(folder)
    recipe = summary.recipe
    if recipe is None:
        return [name, *[""] * (len(COLUMNS) - 2), summary.state]
    values = ["" if v is None else f"{v:.4g}" for v in (summary.healthy, summary.attacked)]
    source = f"held-out: {', '.join(summary.attacks)}" if summary.held_out else "training"
    return [
        name, recipe.name, recipe.method, str(recipe.seed),
        f"{summary.iteration}/{recipe.iterations}", _short(summary.commit), *values,
        source if any(values) else "", summary.state,
    ]  # fmt: skip


def _short(commits: str) -> str:
    """The first of the commits that worked on a run, and how many more did."""
    first, *more = commits.split(", ")
    dirty = "-dirty" if first.endswith("-dirty") else ""
    return first.removesuffix("-dirty")[:8] + dirty + (f" +{len(more)}" if more else "")

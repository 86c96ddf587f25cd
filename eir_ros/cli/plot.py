"""`eir plot RUN...`: learning curves of runs in one picture."""

from pathlib import Path
from typing import Annotated

import typer


def plot(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, or folders that hold some.", metavar="RUN..."),
    ],
    out: Annotated[Path, typer.Option(help="The picture: a name that ends in .svg or .png.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of metrics.csv; may be repeated, one panel each. Default: the return "
            "without faults and under attack."
        ),
    ] = None,
    smooth: Annotated[
        int, typer.Option(min=1, help="Show at each point the mean of so many up to it.")
    ] = 1,
) -> None:
    """Draw learning curves: the mean over seeds of each method, with its 95 % band."""
    from training.plot import plot as draw

    draw(runs, out, metric or [], smooth)
    typer.echo(f"written to {out}")

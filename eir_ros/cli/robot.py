"""`eir robot`: add robots to a running swarm, and remove them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Add and remove robots of a running swarm.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the robot in the roster.", metavar="ROBOT")]
RunDir = Annotated[
    Path | None, typer.Option(help="Folder of the run. Default: that of the newest one.")
]


@app.command()
def add(robot: Name, run_dir: RunDir = None) -> None:
    """Start the processes of a robot that was absent, removed or given up."""
    _give("add", robot, run_dir)


@app.command()
def remove(robot: Name, run_dir: RunDir = None) -> None:
    """End the processes of a robot, which then stands; the others go on."""
    _give("remove", robot, run_dir)


@app.command("list")
def list_(run_dir: RunDir = None) -> None:
    """Print every process of the run, and how it is."""
    _give("list", "", run_dir)


def _give(do: str, robot: str, run_dir: Path | None) -> None:
    from eir_ros.cli import prepare
    from eir_ros.contract.config import validate
    from eir_ros.swarm.control import Order, give, newest_run

    order = validate({"do": do, "robot": robot}, Order, where="order")
    typer.echo(give(run_dir or newest_run(prepare.runs()), order))

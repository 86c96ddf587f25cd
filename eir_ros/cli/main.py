"""Entry point of `eir`: registers the sub-commands and turns a user's mistake into a sentence.

A sub-command lives in a file of its own and imports torch, rclpy, numpy and the like inside its
functions, so that `eir --help` is instant and a robot without them keeps the other commands.
"""

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

from eir_ros import __version__
from eir_ros.cli import (
    attack,
    bundle,
    discovery,
    doctor,
    envs,
    estop,
    evaluate,
    export,
    fault,
    play,
    plot,
    recover,
    replay,
    report,
    robot,
    runs,
    security,
    swarm,
    train,
    trust,
)
from eir_ros.cli.extras import EXTRAS, install_command
from eir_ros.contract.errors import EirError

#: Environment variable with which a mistake shows its traceback, too: for who writes code of their
#: own, an attack for example.
TRACEBACK = "EIR_TRACEBACK"

app = typer.Typer(
    name="eir",
    help="Train, sign, run and watch robot swarms that expect a traitor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eir {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


# One line for each sub-command, in the order in which --help lists them.
app.command("swarm")(swarm.swarm)
app.add_typer(robot.app, name="robot")
app.command("estop")(estop.estop)
app.command("fault")(fault.fault)
app.command("trust")(trust.trust)
app.command("envs")(envs.envs)
app.command("play")(play.play)
app.command("train")(train.train)
app.command("runs")(runs.runs)
app.command("plot")(plot.plot)
app.command("attack")(attack.attack)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.add_typer(bundle.app, name="bundle")
app.command("report")(report.report)
app.command("replay")(replay.replay)
app.add_typer(security.app, name="security")
app.command("discovery")(discovery.discovery)
app.command("recover")(recover.recover)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run `eir`; a user's mistake exits with 2, Ctrl-C with 130, neither with a traceback."""
    try:
        app(prog_name="eir")
    except EirError as error:
        if os.environ.get(TRACEBACK):
            raise
        _refuse(str(error))
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        _refuse(
            f"this command needs the Python package '{error.name}', which is not installed: "
            f"{install_command(EXTRAS[error.name])}."
        )
    except OSError as error:
        # a folder that may not be written, a full disk, a path that is none
        if error.filename is not None:
            _refuse(f"{error.filename}: {error.strerror}; nothing was written there.")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _refuse(f"{error.strerror}: make room, and give the same command again.")
        raise
    except KeyboardInterrupt:
        sys.exit(130)


def _refuse(sentence: str) -> NoReturn:
    typer.echo(f"error: {sentence}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()

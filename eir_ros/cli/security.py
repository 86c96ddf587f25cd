"""`eir security`: keys by which the hosts of a swarm know each other."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make, rotate and revoke the keys of hosts.", no_args_is_help=True)

Keys = Annotated[Path, typer.Option(help="Folder of the keys of all hosts.")]
Host = Annotated[str, typer.Argument(help="Name of the host.", metavar="HOST")]


@app.command()
def init(
    roster: Annotated[
        Path | None, typer.Option(help="The fleet. Default: config/rosters/default.yaml.")
    ] = None,
    out: Annotated[Path, typer.Option(help="New folder for the keys.")] = Path("keys"),
) -> None:
    """Make keys for the operator and for every host of the roster."""
    from eir_ros.cli import prepare
    from eir_ros.policy.keyring import make_keyring
    from eir_ros.swarm.roster import OPERATOR, load_roster

    team = load_roster(roster or prepare.default_roster()).team()
    hosts = list(dict.fromkeys((OPERATOR, *(robot.host for robot in team))))
    for folder in make_keyring(out, hosts):
        typer.echo(f"{folder}: copy this folder to host '{folder.name}', and to no other.")
    typer.echo(f"Then delete the private keys here: rm {out}/*/*.key")


@app.command()
def add(host: Host, keys: Keys = Path("keys")) -> None:
    """Make keys for one more host."""
    from eir_ros.policy import keyring

    folder = keyring.add(keys, host)
    typer.echo(f"{folder}: copy this folder to host '{host}', and to no other.")
    typer.echo(f"{folder / host}.pub: copy this into the folder of keys of every other host.")


@app.command()
def rotate(host: Host, keys: Keys = Path("keys")) -> None:
    """Replace the keys of a host."""
    from eir_ros.policy import keyring

    folder = keyring.rotate(keys, host)
    typer.echo(f"{folder}: copy this folder to host '{host}', and to no other.")
    typer.echo(
        f"{folder / host}.pub: put this in the place of the old one on every other host, and "
        "start the swarm again; until then the old key counts."
    )


@app.command()
def revoke(host: Host, keys: Keys = Path("keys")) -> None:
    """Take the keys of a host away, for example of a robot that was lost."""
    from eir_ros.policy import keyring

    keyring.revoke(keys, host)
    typer.echo(
        f"{host}.pub is gone from {keys}: delete it on every other host as well, and start the "
        "swarm again; until then the lost key counts."
    )

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


@app.command()
def sros2(
    roster: Annotated[
        Path | None, typer.Option(help="The fleet. Default: config/rosters/default.yaml.")
    ] = None,
    keystore: Annotated[Path, typer.Option(help="Folder of the keystore.")] = Path("keystore"),
    record: Annotated[
        bool, typer.Option("--record", help="Also an enclave for a recorder.")
    ] = False,
    simulation: Annotated[bool, typer.Option(help="Also enclaves for world and faults.")] = False,
) -> None:
    """Write the policy of every process, and make keystore, enclaves and permissions of it.

    The policy is left in KEYSTORE/policy.xml. The rest is made by `ros2 security` (package sros2 of
    a ROS distribution); where that is missing, the command to run elsewhere is printed, with
    status 1.
    """
    import shutil
    import subprocess

    from eir_ros.cli import prepare
    from eir_ros.policy.bundle import load_bundle
    from eir_ros.swarm.enclaves import policy
    from eir_ros.swarm.options import Options
    from eir_ros.swarm.plan import make_plan
    from eir_ros.swarm.roster import load_roster

    fleet = load_roster(roster or prepare.default_roster())
    bundle = prepare.default_bundle()
    options = Options(
        bundle=bundle, simulation=simulation, record=Path("recording") if record else None
    )
    # the topics of a plan do not depend on what its bundle has learned
    plan = make_plan(fleet, load_bundle(bundle).manifest, options)
    keystore.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = keystore / "policy.xml"
    path.write_text(policy(plan, [robot.name for robot in fleet.team()]), encoding="utf-8")
    command = ["ros2", "security", "generate_artifacts", "-k", str(keystore), "-p", str(path)]
    if shutil.which("ros2") is None:
        typer.echo(
            f"{path} is written. There is no `ros2` here to make keys of it; where there is:\n  "
            + " ".join(command),
            err=True,
        )
        raise typer.Exit(1)
    raise typer.Exit(subprocess.run(command, check=False).returncode)

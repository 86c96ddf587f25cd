"""`python -m benchmarks.chaos`: see the package."""

import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.chaos.actor import Actor
from benchmarks.chaos.invariants import Verdict, judge
from benchmarks.chaos.schedule import OF_HOSTS, Kind, draw
from benchmarks.chaos.swarm import Swarm, compiler, own_domain
from benchmarks.namespaces import Host, hosts_of, missing, network
from eir_ros.swarm.roster import OPERATOR

TEAM = ("r0", "r1", "r2", "r3")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def play(
    seed: int,
    duration_s: float,
    folder: Path,
    kinds: Collection[Kind],
    hosts: Mapping[str, Host] | None,
) -> list[Verdict]:
    """Run a swarm into `folder`, strike it, and judge what was recorded; prints as it goes."""
    strikes = draw(seed, duration_s, TEAM, kinds)
    for strike in strikes:
        typer.echo(f"planned {strike}")
    bag = folder / "bag"
    own_domain(hosts)
    swarm = Swarm(folder / "run", bag, seed, hosts)
    actor = Actor(swarm, TEAM, seed)
    try:
        if not actor.wait_for_start(90.0):
            typer.echo(f"error: the swarm does not start; see {folder / 'run'}.", err=True)
            raise typer.Exit(2)
        actor.run(strikes, duration_s, lambda line: typer.echo(line))
        actor.kill_recorder()
        beats = actor.beats
        left = swarm.end()
    finally:
        actor.close()
        swarm.kill()
    ended = Verdict("nothing is left running", not left, f"{len(left)} of {len(swarm.seen)} alive")
    return [*judge(bag, beats), ended]


@app.command()
def main(
    minutes: Annotated[float, typer.Option(min=0.2, max=600.0, help="Length of the run.")] = 2.0,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Of the schedule. Default: the time.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder for recording and logs. Default: a new one.")
    ] = None,
    hosts: Annotated[
        bool | None,
        typer.Option(
            help="A (simulated) computer for each robot, whose cable can be pulled and whose clock "
            "can be set. Default: where this machine can (root, iproute2)."
        ),
    ] = None,
    on: Annotated[str, typer.Option(hidden=True, help="The network that this joins.")] = "",
) -> None:
    """Run four robots in the plain world under everything that may go wrong; judge the recording.

    Kills and hangs of processes, invalid messages, floods, jumps of clocks, cables that are pulled,
    injected faults and e-stops come in an order drawn from the seed. Status 0: every invariant
    holds; 1: one does not; 2: nothing was run.
    """
    if hosts and missing():
        typer.echo(f"error: {missing()}; leave out --hosts.", err=True)
        raise typer.Exit(2)
    if out is not None and out.exists():
        typer.echo(f"error: {out} exists; give a new folder.", err=True)
        raise typer.Exit(2)
    hosts = not missing() if hosts is None else hosts
    if hosts and not on:
        # from here on this is the operator's computer
        with network(OPERATOR, *TEAM) as made:
            here = made[OPERATOR]
            words = [*sys.argv[1:], "--on", here.namespace.partition("-")[0]]
            run = here.start(sys.executable, "-m", "benchmarks.chaos", *words, log=None)
            sys.exit(run.wait())
    seed = int(time.time()) % 2**31 if seed is None else seed
    folder = out or Path(tempfile.mkdtemp(prefix="eir-chaos-"))
    again = f"python -m benchmarks.chaos --minutes {minutes:g} --seed {seed}"
    again += " --hosts" if hosts else " --no-hosts"
    typer.echo(f"{again}\nrecording and logs: {folder}")
    kinds = set(Kind)
    if not hosts:
        kinds -= OF_HOSTS
        typer.echo(f"one computer, no cables, no clock of its own: {missing() or 'as told'}")
    elif compiler() is None:
        kinds.discard(Kind.TIME)
        typer.echo("no computer's clock is set: that needs a C compiler")
    joined = hosts_of(on, OPERATOR, *TEAM) if hosts else None
    verdicts = play(seed, 60.0 * minutes, folder, kinds, joined)
    for verdict in verdicts:
        typer.echo(str(verdict))
    broken = sum(not verdict.holds for verdict in verdicts)
    if broken:
        typer.echo(f"{broken} broken; the same schedule again: {again}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    app()

"""`python -m benchmarks.chaos`: see the package."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.chaos.actor import Actor, Swarm, own_domain
from benchmarks.chaos.invariants import Verdict, judge
from benchmarks.chaos.schedule import draw

TEAM = ("r0", "r1", "r2", "r3")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def play(seed: int, duration_s: float, folder: Path) -> list[Verdict]:
    """Run a swarm into `folder`, strike it, and judge what was recorded; prints as it goes."""
    strikes = draw(seed, duration_s, TEAM)
    bag = folder / "bag"
    swarm = Swarm(folder / "run", bag, seed)
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
) -> None:
    """Run four robots in the plain world under everything that may go wrong; judge the recording.

    Kills and hangs of processes, invalid messages, floods, jumps of the clock, injected faults and
    e-stops come in an order drawn from the seed. Status 0: every invariant holds; 1: one does not;
    2: nothing was run.
    """
    own_domain()
    seed = int(time.time()) % 2**31 if seed is None else seed
    folder = out or Path(tempfile.mkdtemp(prefix="eir-chaos-"))
    if out is not None and out.exists():
        typer.echo(f"error: {out} exists; give a new folder.", err=True)
        raise typer.Exit(2)
    again = f"python -m benchmarks.chaos --minutes {minutes:g} --seed {seed}"
    typer.echo(f"{again}\nrecording and logs: {folder}")
    for strike in draw(seed, 60.0 * minutes, TEAM):
        typer.echo(f"planned {strike}")
    typer.echo("link flaps: left out, all is on one machine; tests/hosts cuts cables")
    verdicts = play(seed, 60.0 * minutes, folder)
    for verdict in verdicts:
        typer.echo(str(verdict))
    broken = sum(not verdict.holds for verdict in verdicts)
    if broken:
        typer.echo(f"{broken} broken; the same schedule again: {again}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    app()

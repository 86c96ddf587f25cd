"""`eir attack VICTIM`: train worst-case adversaries against a frozen team."""

from pathlib import Path
from typing import Annotated

import typer


def attack(
    victim: Annotated[
        Path, typer.Argument(help="Checkpoint of the team, or its run folder: the last one.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where the adversary goes. Default: beside the victim.")
    ] = None,
    start: Annotated[
        str, typer.Option(help="fresh, or warm: from the adversary the victim was trained with.")
    ] = "fresh",
    warm_from: Annotated[
        Path | None, typer.Option(help="Warm start from the adversary of this run instead.")
    ] = None,
    agent: Annotated[
        list[int] | None, typer.Option(help="Agent to corrupt; may be repeated. Default: each.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="Updates of the adversary.")] = 60,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    sampled: Annotated[
        bool,
        typer.Option(help="The team samples its actions instead of taking the most likely ones."),
    ] = False,
) -> None:
    """Train an adversary against a team that no longer learns, for each robot it may corrupt."""
    from rich.console import Console

    from training import checkpoint
    from training.attack import save_attack, train_attack

    run = checkpoint.load(checkpoint.find(victim))
    name = "warm" if warm_from else start
    found = train_attack(
        run,
        name,
        agent or list(range(run.team.view.shape.num_agents)),
        iterations,
        seed,
        warm=checkpoint.load(checkpoint.find(warm_from)).adversary if warm_from else None,
        greedy=not sampled,
    )
    source = checkpoint.find(victim)
    # the attack on best.pt is not that on the last checkpoint
    prefix = "" if source.name == checkpoint.FILE else f"{source.stem}-"
    path = out or source.with_name(f"{prefix}attack-{name}.pt")
    save_attack(found, run, source, path)
    first, last = found.curve[0], found.curve[-1]
    for k in found.agents:
        Console().print(f"agent {k}: return {first[k]:.1f} -> {last[k]:.1f}")
    Console().print(f"written to {path}", soft_wrap=True)

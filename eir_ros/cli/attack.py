"""`eir attack VICTIM [KIND]`: attack a frozen team, by training or with an attack as it is."""

from pathlib import Path
from typing import Annotated

import typer

#: The kind that trains an adversary; all others are played as they are.
TRAIN = "train"


def attack(
    victim: Annotated[
        Path, typer.Argument(help="Checkpoint of the team, or its run folder: the last one.")
    ],
    kind: Annotated[
        str,
        typer.Argument(
            help="train: the worst that can be learned against it. Or one that is played as it is, "
            "for example random, pgd, late-switch; a wrong name lists all."
        ),
    ] = TRAIN,
    out: Annotated[
        Path | None,
        typer.Option(help="train: where the adversary goes. Default: beside the victim."),
    ] = None,
    start: Annotated[
        str,
        typer.Option(help="train: fresh, or warm: from the adversary the victim was trained with."),
    ] = "fresh",
    warm_from: Annotated[
        list[Path] | None,
        typer.Option(
            help="train: warm start from the adversary of this run, or written by `eir attack`, "
            "instead. May be repeated: then from the one that hurts this team most."
        ),
    ] = None,
    agent: Annotated[
        list[int] | None, typer.Option(help="Agent to attack; may be repeated. Default: each.")
    ] = None,
    iterations: Annotated[int, typer.Option(min=1, help="train: updates of the adversary.")] = 60,
    adversary: Annotated[
        Path | None,
        typer.Option(help="Adversary to play, as trained before. Default: the one of training."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Setting of the kind: --set epsilon=0.2."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes per agent.")] = 256,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    sampled: Annotated[
        bool,
        typer.Option(help="The team samples its actions instead of taking the most likely ones."),
    ] = False,
) -> None:
    """Attack a team that no longer learns, at each of its agents."""
    if kind == TRAIN:
        _train(victim, out, start, warm_from, agent, iterations, seed, sampled)
    else:
        _play(victim, kind, set_ or [], agent, adversary, episodes, seed, sampled)


def _train(
    victim: Path, out: Path | None, start: str, warm_from: list[Path] | None,
    agent: list[int] | None, iterations: int, seed: int, sampled: bool,
) -> None:  # fmt: skip
    from rich.console import Console

    from training import checkpoint
    from training.attack import adversary_in, save_attack, strongest, train_attack

    source = checkpoint.find(victim)
    run = checkpoint.load(source)
    name = "warm" if warm_from else start
    agents = agent or list(range(run.team.view.shape.num_agents))
    donor, tried = None, dict[str, float]()
    if warm_from:
        donors = {str(path): adversary_in(path) for path in warm_from}
        chosen, tried = strongest(run, donors, agents, greedy=not sampled)
        donor = donors[chosen]
        Console().print(f"starting from {chosen}: it leaves {tried[chosen]:.1f}", soft_wrap=True)
    found = train_attack(run, name, agents, iterations, seed, warm=donor, greedy=not sampled)
    found.tried = tried
    # the attack on best.pt is not that on the last checkpoint
    prefix = "" if source.name == checkpoint.FILE else f"{source.stem}-"
    path = out or source.with_name(f"{prefix}attack-{name}.pt")
    save_attack(found, run, source, path)
    first, last = found.curve[0], found.curve[-1]
    for k in found.agents:
        Console().print(f"agent {k}: return {first[k]:.1f} -> {last[k]:.1f}")
    Console().print(f"written to {path}", soft_wrap=True)


def _play(
    victim: Path, kind: str, changes: list[str], agent: list[int] | None, adversary: Path | None,
    episodes: int, seed: int, sampled: bool,
) -> None:  # fmt: skip
    from rich.console import Console
    from rich.table import Table

    from training import checkpoint
    from training.attack import load_attack
    from training.attacks import make_attack, parse_settings
    from training.attacks.play import Arena
    from training.cells import summary

    attack = make_attack(kind, parse_settings(changes))
    played_by = load_attack(adversary) if adversary else None
    arena = Arena(checkpoint.load(checkpoint.find(victim)), min(256, episodes), not sampled)
    quiet = summary(arena.play(make_attack("none"), episodes, [seed]).returns)
    table = Table("agent", "return", "standard error", title=attack.title)
    table.add_row("no attack", f"{quiet['mean']:.2f}", f"{quiet['standard_error']:.2f}")
    for k in agent or range(arena.num_agents):
        found = summary(arena.play(attack, episodes, [seed], k, played_by).returns)
        table.add_row(str(k), f"{found['mean']:.2f}", f"{found['standard_error']:.2f}")
    arena.close()
    Console().print(table)

"""`eir attack VICTIM [KIND]`: attack a frozen team, by training or with an attack as it is."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from eir_ros.contract.errors import EirError

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
        str | None,
        typer.Option(
            help="train: fresh, or warm: from the adversary the victim was trained with. "
            "Default: fresh."
        ),
    ] = None,
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
    iterations: Annotated[
        int | None, typer.Option(min=1, help="train: updates of the adversary. Default: 60.")
    ] = None,
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
    of_others: dict[str, Any] = {"--set": set_, "--adversary": adversary}
    if kind != TRAIN:
        of_others = {"--out": out, "--start": start, "--warm-from": warm_from}
        of_others["--iterations"] = iterations
    _refuse_of_other_kinds(kind, of_others)
    if kind == TRAIN:
        _train(victim, out, start or "fresh", warm_from, agent, iterations or 60, seed, sampled)
    else:
        _play(victim, kind, set_ or [], agent, adversary, episodes, seed, sampled)


def _refuse_of_other_kinds(kind: str, options: dict[str, Any]) -> None:
    """No option is given that this kind would not look at."""
    given = [name for name, value in options.items() if value]
    if given and kind == TRAIN:
        raise EirError(
            f"{given[0]} is for an attack that is played as it is, and none is named: "
            f"`eir attack VICTIM pgd {given[0]} ...`."
        )
    if given:
        raise EirError(f"{given[0]} is for training an adversary; '{kind}' is played as it is.")


def _train(
    victim: Path, out: Path | None, start: str, warm_from: list[Path] | None,
    agent: list[int] | None, iterations: int, seed: int, sampled: bool,
) -> None:  # fmt: skip
    from rich.console import Console

    from training import checkpoint
    from training.attack import (
        adversary_in,
        attack_at,
        save_attack,
        strongest,
        train_attack,
    )

    source = checkpoint.find(victim)
    run = checkpoint.load(source)
    name = "warm" if warm_from else start
    # the attack on best.pt is not that on the last checkpoint
    prefix = "" if source.name == checkpoint.FILE else f"{source.stem}-"
    path = out or source.with_name(f"{prefix}attack-{name}.pt")
    if not os.access(path.parent if path.parent.exists() else ".", os.W_OK):
        raise EirError(f"{path.parent} may not be written; give another place with --out.")
    agents = agent or list(range(run.team.view.shape.num_agents))
    donor, tried = None, dict[str, float]()
    if warm_from:
        donors = {str(path): adversary_in(path) for path in warm_from}
        chosen, tried = strongest(run, donors, agents, greedy=not sampled)
        donor = donors[chosen]
        Console().print(f"starting from {chosen}: it leaves {tried[chosen]:.3g}", soft_wrap=True)
    if earlier := attack_at(path):
        Console().print(
            f"{path} is there already ({earlier}); it will be replaced. --out keeps both.",
            soft_wrap=True,
        )
    found = train_attack(run, name, agents, iterations, seed, warm=donor, greedy=not sampled)
    found.tried = tried
    save_attack(found, run, source, path)
    first, last = found.curve[0], found.curve[-1]
    for k in found.agents:
        Console().print(f"agent {k}: return {first[k]:.3g} -> {last[k]:.3g}")
    Console().print(f"written to {path}: {attack_at(path)}", soft_wrap=True)


def _play(
    victim: Path, kind: str, changes: list[str], agent: list[int] | None, adversary: Path | None,
    episodes: int, seed: int, sampled: bool,
) -> None:  # fmt: skip
    from rich.console import Console
    from rich.table import Table

    from eir_ros.contract.faults import FaultKind
    from training import checkpoint
    from training.attack import load_attack
    from training.attacks import make_attack, parse_settings
    from training.attacks.play import Arena
    from training.cells import summary

    attack = make_attack(kind, parse_settings(changes))
    # a fault of the field may be `adversary`, which is played by one
    if adversary and not (attack.needs_adversary or attack.fault is FaultKind.ADVERSARY):
        raise EirError(f"'{kind}' plays no adversary; leave out --adversary.")
    played_by = load_attack(adversary) if adversary else None
    arena = Arena(checkpoint.load(checkpoint.find(victim)), min(256, episodes), not sampled)
    quiet = summary(arena.play(make_attack("none"), episodes, [seed]).returns)
    table = Table("agent", "return", "standard error")
    table.title = f"{attack.title}, against a {'sampling' if sampled else 'greedy'} team"
    table.add_row("no attack", f"{quiet['mean']:.2f}", f"{quiet['standard_error']:.2f}")
    everyone: list[int | None] = [*range(arena.num_agents)] if attack.on_one else [None]
    for k in agent or everyone:
        found = summary(arena.play(attack, episodes, [seed], k, played_by).returns)
        name = "all" if k is None else str(k)
        table.add_row(name, f"{found['mean']:.2f}", f"{found['standard_error']:.2f}")
    arena.close()
    Console().print(table)

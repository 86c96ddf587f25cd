"""Many runs of one recipe: which, in which folders, and how each of them gets on."""

import itertools
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eir_ros.contract.errors import EirError
from training.engine import Outcome, Unit, run_units
from training.recipe import Recipe, read_recipe
from training.summary import Summary, summarise

#: Time between two looks at how the runs get on [s].
LOOK_S = 1.0
#: What a sweep may call a setting, beside its own name.
ALIASES = {"seeds": "seed", "methods": "method"}
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


@dataclass(frozen=True)
class Member:
    """One run of a sweep."""

    recipe: Recipe
    folder: Path
    unit: Unit


def members(
    path: Path, axes: Iterable[str], changes: Sequence[str] = (), out: Path | None = None
) -> list[Member]:
    """The runs of a sweep over all combinations of `axes`.

    Parameters
    ----------
    path
        The recipe.
    axes
        Such as `seeds=1..5` or `method=mappo,eir-mappo`; any key of a recipe.
    changes
        KEY=VALUE for all of them.
    out
        Folder that the folders of the runs go into; default: `runs`.

    Raises
    ------
    EirError
        An axis is not of that form, or a recipe of the sweep is not valid.
    """
    found = {}
    for combination in itertools.product(*map(parse_axis, axes)):
        settings = [f"{key}={value}" for key, value in combination]
        recipe = read_recipe(path, [*changes, *settings], "--set or --sweep")
        name = default_name(recipe)
        # the name tells methods and seeds apart by itself
        name += "".join(f"-{s}" for s in settings if s.partition("=")[0] not in ("method", "seed"))
        name = name.replace("/", "_")
        folder = (out or Path("runs")) / name
        command = [
            sys.executable, "-m", "eir_ros.cli.main", "train", str(path.absolute()),
            "--out", str(folder.absolute()),
        ]  # fmt: skip
        for change in [*changes, *settings]:
            command += ["--set", change]
        found[name] = Member(recipe, folder, Unit(name, tuple(command)))
    return list(found.values())


def default_name(recipe: Recipe) -> str:
    """What the folder of a run is called unless it is told otherwise."""
    return f"{recipe.name}-{recipe.method}-{recipe.seed}"


def parse_axis(text: str) -> list[tuple[str, str]]:
    """The settings of one axis: `seeds=1..3` is seed 1, 2 and 3; commas part other values."""
    key, separator, values = text.partition("=")
    words = [word.strip() for word in values.split(",")] if separator else []
    if not key or not words or not all(words):
        raise EirError(
            f"'{text}' is not of the form KEY=VALUES; expected, for example, seeds=1..5 or "
            "method=mappo,eir-mappo."
        )
    key, found = ALIASES.get(key, key), []
    for word in words:
        if span := _RANGE.fullmatch(word):
            first, last = map(int, span.groups())
            if last < first:
                raise EirError(f"'{text}' ends before it begins; expected {last}..{first}.")
            found += [str(number) for number in range(first, last + 1)]
        else:
            found.append(word)
    return [(key, value) for value in dict.fromkeys(found)]


@dataclass(frozen=True)
class Verdict:
    """How a run of a sweep ended."""

    member: Member
    summary: Summary
    #: Its process's last words, where it failed.
    trouble: str = ""


#: Called with a run whenever it has got on, and in the end.
Watcher = Callable[[Member, Summary], None]


def run_sweep(
    runs: Sequence[Member],
    watch: Watcher = lambda member, summary: None,
    **engine: Any,
) -> list[Verdict]:
    """Train every run that is not done yet, each in a process of its own.

    A run that fails stops no other. The same sweep again goes on where it stopped: every run
    resumes from its own checkpoint.

    Parameters
    ----------
    watch
        Is told how the runs get on, from the files in their folders.
    engine
        `engine`, `jobs` and `address` of `training.engine.run_units`.
    """
    # a folder that holds another recipe's run is refused by the run itself
    there = ((m, summarise(m.folder)) for m in runs)
    units = [m.unit for m, found in there if (found.state, found.recipe) != ("done", m.recipe)]
    by_name = {m.unit.name: m for m in runs}
    outcomes: dict[str, Outcome] = {}

    def note(outcome: Outcome) -> None:
        outcomes[outcome.name] = outcome
        member = by_name[outcome.name]
        watch(member, summarise(member.folder))

    ended = threading.Event()
    looking = threading.Thread(target=_look, args=(runs, watch, outcomes, ended), daemon=True)
    looking.start()
    try:
        run_units(units, on_done=note, **engine)
    finally:
        ended.set()
        looking.join()
    return [_verdict(member, outcomes.get(member.unit.name)) for member in runs]


def _look(
    runs: Sequence[Member],
    watch: Watcher,
    outcomes: dict[str, Outcome],
    ended: threading.Event,
) -> None:
    """Read the folders of the runs again and again, until the sweep has ended."""
    seen: dict[str, Summary] = {}
    pause = LOOK_S
    while not ended.wait(pause):
        started = time.monotonic()
        for member in runs:
            if member.unit.name in outcomes:
                continue
            found = summarise(member.folder)
            if found != seen.get(member.unit.name):
                seen[member.unit.name] = found
                watch(member, found)
        # tables of long runs take a while to read, which shall not be what the machine does
        pause = max(LOOK_S, 10 * (time.monotonic() - started))


def _verdict(member: Member, outcome: Outcome | None) -> Verdict:
    summary = summarise(member.folder)
    if outcome is None or (outcome.ok and summary.state in ("done", "stopped")):
        return Verdict(member, summary)
    return Verdict(member, summary, outcome.tail or f"exit status {outcome.returncode}")

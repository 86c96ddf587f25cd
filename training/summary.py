"""What the folder of a run comes to, in one line. Needs no torch."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from training.recipe import Recipe, read_recipe
from training.records import METRICS, RECIPE, STORY, Row, is_claimed, read_metrics, read_story

#: Iterations that a return of training is averaged over.
WINDOW = 10
#: Attacks of an evaluation, by the names in `metrics.csv`.
ATTACKS = (FaultKind.ADVERSARY.word, FaultKind.RANDOM_ACTION.word)
_CHECKPOINTS = ("checkpoint.pt", "best.pt")


@dataclass(frozen=True)
class Summary:
    """One line of `eir runs`; what is not known is None."""

    folder: Path
    #: running, done, stopped, failed, killed, broken, or none.
    state: str
    recipe: Recipe | None = None
    iteration: int = 0
    commit: str = ""
    #: Without faults, and under attack.
    healthy: float | None = None
    attacked: float | None = None
    #: Whether these are of held-out seeds, and the attacks that the second is the lowest of.
    held_out: bool = False
    attacks: tuple[str, ...] = ()
    #: Why it failed, or what is broken.
    reason: str = ""
    steps_per_s: float | None = None


def summarise(folder: Path) -> Summary:
    """Read the folder of a run; a damaged one is `broken`, one without a run is `none`."""
    if not (folder / STORY).exists() and not (folder / RECIPE).exists():
        return Summary(folder, "none")
    try:
        return _read(folder)
    except EirError as error:
        return Summary(folder, "broken", reason=str(error))


def _read(folder: Path) -> Summary:
    recipe = read_recipe(folder / RECIPE)
    story = read_story(folder)
    rows = read_metrics(folder / METRICS)
    for name in _CHECKPOINTS:
        path = folder / name
        if path.exists() and not zipfile.is_zipfile(path):
            raise EirError(f"{path} is damaged.")
    state: str = story.state
    if state == "running" and not is_claimed(folder):
        # nobody works there, and nobody wrote down why
        state = "killed"
    found = returns(rows, recipe)
    commits = list(dict.fromkeys(session.commit for session in story.sessions))
    return Summary(
        folder,
        state,
        recipe,
        int(rows[-1]["iteration"]) if rows else 0,
        ", ".join(commits),
        reason=story.reason,
        steps_per_s=rows[-1].get("steps_per_s") if rows else None,
        **found,
    )


def returns(rows: Sequence[Row], recipe: Recipe) -> dict[str, Any]:
    """Return without faults and under attack, and what they are of: fields of `Summary`.

    Those of the last evaluation, in the mode that the recipe chooses checkpoints by; without one,
    means of the last iterations of training.
    """
    mode = f"evaluation/{recipe.evaluation.mode}/"
    for row in reversed(rows):
        if mode + "healthy" in row:
            return {
                "healthy": row[mode + "healthy"],
                "attacked": row[mode + "attacked"],
                "held_out": True,
                "attacks": tuple(name for name in ATTACKS if mode + name in row),
            }
    return {
        "healthy": _mean(rows, "return/healthy"),
        "attacked": _mean(rows, "return/attacked"),
    }


def _mean(rows: Sequence[Row], key: str) -> float | None:
    values = [row[key] for row in rows[-WINDOW:] if key in row]
    return sum(values) / len(values) if values else None


def find_runs(place: Path) -> Iterator[Path]:
    """The folders of runs in `place` and below it, or `place` itself, in order of their names."""
    if (place / STORY).exists() or (place / RECIPE).exists():
        yield place
        return
    try:
        below = sorted(path for path in place.iterdir() if path.is_dir())
    except FileNotFoundError:  # before the first run
        return
    except OSError as error:
        raise EirError(f"{place} cannot be read ({error.strerror}).") from error
    for path in below:
        if not path.name.startswith("."):
            yield from find_runs(path)

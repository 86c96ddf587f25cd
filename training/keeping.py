"""Which checkpoints stay: the last, the best on held-out seeds, and some of the past."""

import os
from collections.abc import Mapping
from pathlib import Path

from training import checkpoint
from training.checkpoint import Run
from training.held_out import SCORE
from training.records import write_whole

#: The best checkpoint by its score on held-out seeds, in the folder of a run.
BEST = "best.pt"
#: Folder of the checkpoints before the last one.
PAST = "checkpoints"


def save_last(run: Run, folder: Path) -> None:
    """Write `checkpoint.pt`, and keep `checkpoints_kept` of those before it.

    Raises
    ------
    OSError
        The disk does not take it; the checkpoint that was there is whole.
    """
    last, past = folder / checkpoint.FILE, folder / PAST
    kept = run.recipe.checkpoints_kept
    checkpoint.save(run, last)
    if not kept:
        return
    past.mkdir(exist_ok=True)
    # the same file under a second name: it takes room only once the first is replaced
    _link(last, past / f"{run.iteration:09d}.pt")
    for old in sorted(past.glob("*.pt"))[: -kept - 1]:
        old.unlink()


def save_if_best(run: Run, folder: Path, metrics: Mapping[str, float]) -> None:
    """Write `best.pt` if the run has just been evaluated, and scored higher than ever before."""
    score = metrics.get(SCORE)
    if score is None or (run.best_score is not None and score <= run.best_score):
        return
    run.best_score, run.best_iteration = score, run.iteration
    checkpoint.save(run, folder / BEST)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        write_whole(target, source.read_bytes())

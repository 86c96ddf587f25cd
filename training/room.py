"""Whether a folder takes what is going to be written there: found out before the first step."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from eir_ros.contract.errors import EirError
from training import checkpoint
from training.checkpoint import Run
from training.keeping import BEST, PAST
from training.records import DISK_TROUBLE, METRICS

#: What one number takes in `metrics.csv` and in the TensorBoard events [bytes].
_CSV, _EVENT = 20, 45
#: Numbers that are written after every iteration, and after an evaluation.
_METRICS, _EVALUATION = 40, 15
#: Optimisers keep two moments for every weight; at the start they do not have them yet.
_MOMENTS = 2


@dataclass(frozen=True)
class Needs:
    """What a run may still write."""

    #: Size of one checkpoint, and how many of them are to come [bytes].
    checkpoint: int
    checkpoints: int
    #: Rows of metrics and events [bytes].
    metrics: int

    @property
    def total(self) -> int:
        """All of it [bytes]."""
        return self.checkpoint * self.checkpoints + self.metrics

    def __str__(self) -> str:
        return (
            f"about {self.total / 1e6:.1f} MB: {self.checkpoints} checkpoints of "
            f"{self.checkpoint / 1e6:.1f} MB, {self.metrics / 1e6:.1f} MB of metrics"
        )


def needs_of(run: Run, folder: Path) -> Needs:
    """What `run` may write into `folder` until its end, beside what is there."""
    recipe, learner = run.recipe, run.learner
    weights = sum(
        p.numel() * p.element_size()
        for optimiser in learner.optimisers.values() if not optimiser.state
        for group in optimiser.param_groups for p in group["params"]
    )  # fmt: skip
    size = len(checkpoint.pack(checkpoint.state_of(run))) + _MOMENTS * weights + learner.growth()
    past = len(list((folder / PAST).glob("*.pt")))
    # one more than stay: a checkpoint is written beside the one that it replaces
    missing = 1 + max(0, recipe.checkpoints_kept - past) + (not (folder / checkpoint.FILE).exists())
    missing += recipe.evaluation.every > 0 and not (folder / BEST).exists()
    left = recipe.iterations - run.iteration
    evaluations = left // recipe.evaluation.every + 1 if recipe.evaluation.every else 0
    numbers = left * _METRICS + evaluations * _EVALUATION
    written = (folder / METRICS).stat().st_size if (folder / METRICS).exists() else 0
    # the table is written anew, beside itself, when it gets more columns
    csv = left * (_METRICS + _EVALUATION // 2) * _CSV
    return Needs(size, missing, csv + written + numbers * _EVENT)


def check_room(run: Run, folder: Path) -> None:
    """Reserve what `run` will write for a moment, which finds quotas and limits, too.

    Raises
    ------
    EirError
        The folder cannot be written, or has less room than that.
    """
    needs = needs_of(run, folder)
    try:
        probe = Path(tempfile.mkdtemp(prefix=".room-", dir=folder))
        try:
            for number in range(needs.checkpoints):
                _reserve(probe / str(number), needs.checkpoint)
            _reserve(probe / "metrics", needs.metrics)
        finally:
            shutil.rmtree(probe, ignore_errors=True)
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        free = shutil.disk_usage(folder).free
        raise EirError(
            f"{folder} has no room for this run ({error.strerror}; {free / 1e6:.1f} MB are free): "
            f"it will write {needs}. Free some space, choose another folder with --out, or lower "
            "checkpoints_kept or replay.capacity."
        ) from error


def check_folder(folder: Path, option: str) -> None:
    """Whether `folder` is one that may be written, or can be made; it is not made.

    Parameters
    ----------
    option
        Of the command line, that names another folder.

    Raises
    ------
    EirError
        A file is in its place or in that of a folder above it, or it may not be written.
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    trouble = None
    if not place.is_dir():
        trouble = f"{place} is a file"
    elif not os.access(place, os.W_OK | os.X_OK):
        trouble = f"{place} may not be written"
    if trouble:
        raise EirError(
            f"{folder} cannot be a folder of results: {trouble}; choose another folder "
            f"with {option}."
        )


def _reserve(path: Path, size: int) -> None:
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))

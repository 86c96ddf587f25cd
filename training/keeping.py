"""What a run leaves in its folder after every iteration: metrics, and the checkpoints that stay."""

import os
from collections.abc import Mapping
from pathlib import Path

from training import checkpoint
from training.checkpoint import Run
from training.held_out import SCORE, HeldOut
from training.logbook import Logbook
from training.records import write_whole

#: The best checkpoint by its score on held-out seeds, in the folder of a run.
BEST = "best.pt"
#: Folder of the checkpoints before the last one.
PAST = "checkpoints"


class Keeper:
    """Evaluates, logs and saves `run` into `folder`.

    Raises
    ------
    OSError
        From every method that writes: the disk does not take it. Files with a name are whole.
    """

    def __init__(self, run: Run, folder: Path) -> None:
        self._run, self._folder = run, folder
        self._log, self._held_out = Logbook(folder, run.iteration), HeldOut(run)

    def evaluation(self) -> dict[str, float]:
        """What the run is worth on held-out seeds, where it is due after this iteration."""
        return self._held_out.measure() if self._held_out.due() else {}

    def keep(self, metrics: Mapping[str, float]) -> None:
        """Write what has come of an iteration, and the checkpoints that are due."""
        run = self._run
        score = metrics.get(SCORE)
        if score is not None and (run.best_score is None or score > run.best_score):
            run.best_score, run.best_iteration = score, run.iteration
            checkpoint.save(run, self._folder / BEST)
        self._log.write(run.iteration, metrics)
        if run.iteration % run.recipe.checkpoint_every == 0:
            self.save()

    def save(self) -> None:
        """Write `checkpoint.pt`, and keep `checkpoints_kept` of those before it."""
        last, past = self._folder / checkpoint.FILE, self._folder / PAST
        kept = self._run.recipe.checkpoints_kept
        checkpoint.save(self._run, last)
        if not kept:
            return
        past.mkdir(exist_ok=True)
        _link(last, past / f"{self._run.iteration:09d}.pt")
        for old in sorted(past.glob("*.pt"))[: -kept - 1]:
            old.unlink()

    def close(self) -> None:
        """Close the files, and free what the world of the evaluations holds."""
        self._log.close()
        self._held_out.close()


def _link(source: Path, target: Path) -> None:
    """Give a file a second name: it takes room only once something else has the first one."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        write_whole(target, source.read_bytes())

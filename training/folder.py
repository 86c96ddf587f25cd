"""The folder of a run while somebody works in it: opened, claimed, and told how it went."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import yaml

from eir_ros.contract.errors import EirError
from training import checkpoint, provenance, ranks
from training.checkpoint import Run
from training.game import make_game
from training.keeping import BEST, PAST
from training.recipe import Recipe
from training.records import (
    DISK_TROUBLE,
    RECIPE,
    STORY,
    Session,
    State,
    Story,
    claimed,
    read_story,
    write_story,
    write_whole,
)
from training.room import check_room


@contextmanager
def opened(recipe: Recipe, folder: Path) -> Iterator[Run]:
    """The run of `folder`, continued if there is one, while nobody else works there.

    Only the first rank writes. Afterwards `run.json` says whether the run is done, stopped or
    failed, and why.

    Raises
    ------
    EirError
        The folder cannot be written, has no room for what the run will write, is in use, or holds
        a run of another recipe; later on, the disk takes no more.
    """
    if ranks.index() > 0:
        yield _open(recipe, folder)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = claimed(folder)
        claim.__enter__()
    except OSError as error:
        raise EirError(
            f"{folder} cannot be written ({error.strerror}); choose another folder with --out."
        ) from error
    try:
        with _disk_trouble_explained(folder):
            run = _open(recipe, folder)
            check_room(run, folder)
            story = _begin(run, folder)
        try:
            with _disk_trouble_explained(folder):
                yield run
                done = run.iteration >= recipe.iterations
                _end(folder, story, "done" if done else "stopped")
        except BaseException as error:
            # best effort: the disk may be what failed
            with suppress(OSError):
                _end(folder, story, "failed", str(error) or type(error).__name__)
            raise
    finally:
        claim.__exit__(None, None, None)


def _open(recipe: Recipe, folder: Path) -> Run:
    if (folder / checkpoint.FILE).exists():
        run = checkpoint.load(folder / checkpoint.FILE)
        if run.recipe != recipe:
            # a recipe that there cannot be is refused for that
            make_game(recipe, 1).close()
            found = "; ".join(run.recipe.differences(recipe))
            raise EirError(
                f"{folder} holds a run of another recipe: {found}. Choose another folder with "
                "--out, or set what the run there has."
            )
        return run
    if any((folder / PAST).glob("*.pt")) or (folder / BEST).exists():
        raise EirError(
            f"{folder} holds a run without its {checkpoint.FILE}. Copy one of {folder / PAST} to "
            f"{folder / checkpoint.FILE} to go on from there, or choose another folder with --out."
        )
    run = checkpoint.fresh(recipe)
    run.commit, run.machine = provenance.commit(), provenance.machine()
    return run


def _begin(run: Run, folder: Path) -> Story:
    """Write down what is trained and who trains it from here on."""
    text = yaml.safe_dump(run.recipe.model_dump(mode="json"), sort_keys=False)
    write_whole(folder / RECIPE, text.encode())
    before: tuple[Session, ...] = ()
    if run.iteration and (folder / STORY).exists():
        # a damaged story is no reason not to go on with a good checkpoint
        with suppress(EirError):
            before = read_story(folder).sessions
    session = Session(
        command=shlex.join(sys.argv),
        commit=provenance.commit(),
        machine=provenance.machine(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        iteration=run.iteration,
    )
    story = Story(state="running", sessions=(*before, session))
    write_story(folder, story)
    return story


def _end(folder: Path, story: Story, state: State, reason: str = "") -> None:
    write_story(folder, story.model_copy(update={"state": state, "reason": reason}))


@contextmanager
def _disk_trouble_explained(folder: Path) -> Iterator[None]:
    """Say which checkpoint is left when the disk takes no more."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_TROUBLE and folder.exists():
            raise
        last = folder / checkpoint.FILE
        kept = "no checkpoint had been written yet"
        if last.exists():
            kept = f"{last} of iteration {checkpoint.load(last).iteration} is whole"
        raise EirError(
            f"{folder} takes no more files ({error.strerror}); {kept}. Make room, then give the "
            "same command again: it goes on from there."
        ) from error

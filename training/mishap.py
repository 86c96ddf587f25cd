"""When numbers stop being numbers: the batch that made it happen is kept in a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from training import checkpoint
from training.checkpoint import Run
from training.recipe import Recipe
from training.records import write_whole
from training.rollout import Rollout


class NotANumberError(EirError):
    """An update has led to something that is no finite number."""

    def __init__(self, names: list[str], iteration: int, rollout: Rollout) -> None:
        super().__init__(f"{', '.join(names)} is not a number at iteration {iteration}")
        self.names, self.iteration, self.rollout = names, iteration, rollout


@dataclass
class Mishap:
    """The last good state of a run, and the batch that an iteration after it broke down on."""

    #: At the last good checkpoint, or at the start where there was none yet.
    run: Run
    #: Updates that had been made when `rollout` was learned from.
    iteration: int
    rollout: Rollout
    #: What was not a number after that.
    names: list[str]


def save(error: NotANumberError, run: Run, folder: Path) -> Path:
    """Write `nan-ITERATION.pt`: the batch, and the last good checkpoint to get to it from."""
    last = folder / checkpoint.FILE
    state: dict[str, Any] = {
        "names": error.names,
        "iteration": error.iteration,
        "recipe": run.recipe.model_dump(mode="json"),
        "checkpoint": torch.load(last, weights_only=True) if last.exists() else None,
        "rollout": error.rollout.tensors(),
    }
    path = folder / f"nan-{error.iteration:06d}.pt"
    write_whole(path, checkpoint.pack(state))
    return path


def load(path: Path) -> Mishap:
    """Read what `save` wrote; `EirError` where it is not that."""
    try:
        state = checkpoint.unpack(path)
        recipe = validate(state["recipe"], Recipe, where=f"recipe in {path}")
        saved, rollout = state["checkpoint"], Rollout.of_tensors(state["rollout"])
        iteration, names = state["iteration"], state["names"]
    except OSError as error:
        raise EirError(f"{path} cannot be read ({error.strerror}).") from error
    except EirError:
        raise
    except Exception as error:
        raise EirError(f"{path} is not a batch that `eir train` kept, or is damaged.") from error
    run = checkpoint.fresh(recipe) if saved is None else checkpoint.restore(saved, path)
    return Mishap(run, iteration, rollout, names)

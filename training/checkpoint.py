"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from training.game import make_game
from training.learner import Learner
from training.methods import METHODS
from training.recipe import Recipe
from training.records import write_whole
from training.team import Adversary, Critic, Team

#: Name of the checkpoint in the folder of a run.
FILE = "checkpoint.pt"
_FORMAT = 2
#: Fields of a run that are numbers and text.
_PLAIN = ("iteration", "wall_s", "commit", "machine", "best_score", "best_iteration")


@dataclass
class Run:
    """A training run in memory; `iteration` updates have been made."""

    recipe: Recipe
    learner: Learner
    iteration: int = 0
    #: Time spent training, over all sessions of the run [s].
    wall_s: float = 0.0
    #: Commit and machine that the run was started with.
    commit: str = "unknown"
    machine: str = "unknown"
    #: The best score on held-out seeds so far, and when it was reached; None: not evaluated yet.
    best_score: float | None = None
    best_iteration: int = 0

    @property
    def team(self) -> Team:
        """The cooperative agents as they are evaluated, attacked and exported."""
        return self.learner.deployed

    @property
    def adversary(self) -> Adversary:
        """The corrupted agents of training."""
        return self.learner.adversary

    @property
    def critic(self) -> Critic:
        """The team's value."""
        return self.learner.critic


def fresh(recipe: Recipe) -> Run:
    """Networks and optimisers at their start, fixed by the recipe's seed.

    Raises
    ------
    EirError
        The recipe's world, an option of it, or a kind of fault is unknown.
    """
    method = METHODS[recipe.method]
    game = make_game(recipe, 1, recipe.faults if method.attacked else None)
    torch.manual_seed(recipe.seed)
    run = Run(recipe, method(recipe, game))
    game.close()
    return run


def save(run: Run, path: Path) -> None:
    """Write `path` whole or not at all.

    Random generators are not in it: every iteration derives its own from the recipe's seed and
    its number, and starts with fresh episodes.

    Raises
    ------
    OSError
        The disk does not take it.
    """
    write_whole(path, pack(state_of(run)))


def state_of(run: Run) -> dict[str, Any]:
    """What a checkpoint holds: tensors, numbers and text."""
    learner = run.learner
    return {
        "format": _FORMAT,
        "recipe": run.recipe.model_dump(mode="json"),
        **{name: getattr(run, name) for name in _PLAIN},
        "networks": {name: net.state_dict() for name, net in learner.networks.items()},
        "optimisers": {name: opt.state_dict() for name, opt in learner.optimisers.items()},
        "memory": learner.memory(),
    }


def pack(state: dict[str, Any]) -> bytes:
    """The bytes of a file that `torch.load` reads.

    In memory first: written straight to a full disk, torch reports no more than a failed assertion.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(path: Path) -> Any:
    """What `pack` made the bytes of, on the CPU.

    Raises
    ------
    OSError
        The file cannot be read.
    Exception
        It is another one, or damaged. Its checksums are compared first: torch does not, and a bit
        that flipped would be a slightly different team.
    """
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
    return torch.load(path, map_location="cpu", weights_only=True)


def find(place: str | Path) -> Path:
    """The checkpoint file meant by a file or by the folder of a run: there, the last one."""
    place = Path(place)
    return place / FILE if place.is_dir() else place


def load(path: str | Path) -> Run:
    """Read a checkpoint.

    Raises
    ------
    EirError
        The file is missing, is not a checkpoint, or is of another format.
    """
    path = Path(path)
    try:
        state = unpack(path)
        state["format"]
    except OSError as error:
        raise EirError(f"checkpoint {path} cannot be read ({error.strerror}).") from error
    except Exception as error:
        raise EirError(
            f"{path} is not a checkpoint of `eir train`, or is damaged; earlier ones are in "
            f"{path.parent / 'checkpoints'}, and one of them, copied here, goes on from there."
        ) from error
    return restore(state, path)


def restore(state: dict[str, Any], path: Path) -> Run:
    """The run that `state_of` described; `path` says where that was found."""
    if state["format"] != _FORMAT:
        raise EirError(
            f"checkpoint {path} has format {state['format']}; this version reads {_FORMAT}."
        )
    run = fresh(validate(state["recipe"], Recipe, where=f"recipe in {path}"))
    learner = run.learner
    for name, network in learner.networks.items():
        network.load_state_dict(state["networks"][name])
    for name, optimiser in learner.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    learner.remember(state["memory"])
    for name in _PLAIN:
        # checkpoints from before a field existed have its default
        setattr(run, name, state.get(name, getattr(run, name)))
    return run

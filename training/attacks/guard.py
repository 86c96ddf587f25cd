"""Mistakes in somebody's own attack: one sentence that names the line."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eir_ros.contract.errors import EirError
from training.attacks.base import Attack


@contextmanager
def blamed(attack: Attack, method: str) -> Iterator[None]:
    """Whatever is raised while somebody's own `attack` does `method` is its mistake.

    An attack that comes with the project keeps its traceback: that would be a bug here.
    """
    try:
        yield
    except EirError:
        raise
    except Exception as error:
        cls = type(attack)
        if cls.__module__.startswith("training."):
            raise
        raise EirError(
            f"attack '{cls.__module__}:{cls.__name__}' failed in {method}(): {reason_of(error)} "
            f"({_place(error, cls)})."
        ) from error


def reason_of(error: Exception) -> str:
    """What was raised, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _place(error: Exception, cls: type[Attack]) -> str:
    """The last file and line in the module of the attack, or else the very last ones."""
    frames = traceback.extract_tb(error.__traceback__)
    module = getattr(sys.modules.get(cls.__module__), "__file__", None)
    own = [frame for frame in frames if frame.filename == module] or frames
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}"

"""The catalogue of environments by name."""

import difflib
from collections.abc import Callable
from typing import Any

from eir_ros.contract.errors import EirError
from sim.swarm.env import CoverageEnv
from sim.swarm.parallel import CoverageParallelEnv

#: name -> (batched environment, PettingZoo view)
_ENVIRONMENTS: dict[str, tuple[Callable[..., CoverageEnv], Callable[..., CoverageParallelEnv]]] = {
    "swarm-coverage": (CoverageEnv, CoverageParallelEnv),
}


def names() -> list[str]:
    """Names that `make` and `parallel_env` know."""
    return sorted(_ENVIRONMENTS)


def make(name: str, batch: int = 1, seed: int | list[int] = 0, **options: Any) -> CoverageEnv:
    """A batched environment; `options` are those of its class.

    Raises
    ------
    EirError
        The name is unknown; the nearest one is given.
    """
    return _entry(name)[0](batch=batch, seed=seed, **options)


def parallel_env(name: str, **options: Any) -> CoverageParallelEnv:
    """The PettingZoo `ParallelEnv` of that name."""
    return _entry(name)[1](**options)


def _entry(name: str) -> tuple[Callable[..., CoverageEnv], Callable[..., CoverageParallelEnv]]:
    if name not in _ENVIRONMENTS:
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.0)
        raise EirError(f"unknown environment '{name}'; did you mean '{near[0]}'?")
    return _ENVIRONMENTS[name]

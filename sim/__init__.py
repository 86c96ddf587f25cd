"""Batched environments: preallocated arrays `(B, N, ...)`, with PettingZoo views of batch one.

Importing this imports no world; `make` does that for the one that is asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from sim import cache
from sim.catalogue import make, names, options_of, parallel_env, summary_of

if TYPE_CHECKING:
    from sim.batched import BatchedEnv, Step
    from sim.wrapping import wrap

__all__ = [
    "BatchedEnv",
    "Step",
    "make",
    "names",
    "options_of",
    "parallel_env",
    "summary_of",
    "wrap",
]

#: Where the rest of `__all__` lives; imported when it is first used, because numba takes its time.
_LATER = {"BatchedEnv": "sim.batched", "Step": "sim.batched", "wrap": "sim.wrapping"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'sim' has no attribute '{name}'")
    return getattr(importlib.import_module(_LATER[name]), name)


cache.choose()

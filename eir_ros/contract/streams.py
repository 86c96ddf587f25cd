"""Random streams that belong together: one seed, and for each place a generator of its own."""

from typing import Any

import numpy as np


def sequence_of(seed: Any) -> np.random.SeedSequence:
    """The root of all that follows from `seed`: None, integers from 0 on, or a `SeedSequence`.

    Raises
    ------
    ValueError
        It is something else.
    """
    if isinstance(seed, np.random.SeedSequence):
        # a copy that has spawned nothing: it answers the same every time
        return np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    try:
        return np.random.SeedSequence(seed)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"seed is {seed!r}; expected an integer from 0 on, a list of them, "
            "a numpy SeedSequence, or None"
        ) from error


def generators(seed: Any, count: int) -> list[np.random.Generator]:
    """As many generators: the first ones of any longer list from the same seed, too."""
    return [np.random.default_rng(child) for child in sequence_of(seed).spawn(count)]

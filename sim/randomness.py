"""Random numbers for compiled worlds: one SplitMix64 stream per environment.

Steele, Lea & Flood, *Fast Splittable Pseudorandom Number Generators* (OOPSLA 2014). The functions
are compiled by numba and take the array of streams and the index of the environment, so an
environment's luck depends on the seed and its index alone.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eir_ros.contract.streams import sequence_of

Streams = NDArray[np.uint64]


def streams(seed: Any, batch: int) -> Streams:
    """One stream per environment, (B,) uint64: the first ones of any larger batch, too."""
    return sequence_of(seed).generate_state(batch, np.uint64).astype(np.uint64, copy=False)


@njit(cache=True, inline="always")
def next_bits(states: Streams, b: int) -> np.uint64:
    """64 random bits; moves stream `b` on."""
    states[b] += np.uint64(0x9E3779B97F4A7C15)
    z = states[b]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, inline="always")
def uniform(states: Streams, b: int) -> float:
    """A float64 in [0, 1)."""
    return (next_bits(states, b) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, inline="always")
def below(states: Streams, b: int, count: int) -> int:
    """An integer in [0, count), all but exactly uniform (bias below count / 2^32).

    Multiplies instead of dividing (Lemire, *Fast Random Integer Generation in an Interval*, 2019).
    """
    high = next_bits(states, b) >> np.uint64(32)
    found = np.int64((high * np.uint64(count)) >> np.uint64(32))
    return int(found)

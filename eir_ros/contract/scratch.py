"""Room to work in: arrays that are made once and lent again, so that a step need not make any.

NumPy makes arrays of its own where shapes are broadcast or types mixed, except in a plain copy.
So functions that must make none copy what they need into arrays of one shape and type first.
"""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


class Scratch:
    """Lends arrays by name, shape and type: for the same ones the same array, as it was left.

    A function that is called in every step is handed a
    `Scratch` that outlives it; one that is called now and then makes its own and forgets it.
    """

    def __init__(self) -> None:
        self._lent: dict[Hashable, Array] = {}
        self._kept: dict[Hashable, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> Array:
        """The array of that name."""
        key = (name, shape, dtype)
        found = self._lent.get(key)
        if found is None:
            found = self._lent[key] = np.empty(shape, dtype)
        return found

    def copy(self, name: str, values: Any, dtype: DTypeLike = np.float64) -> Array:
        """`values` in the array of that name."""
        return self.spread(name, values, np.shape(values), dtype)

    def spread(
        self, name: str, values: Any, shape: tuple[int, ...], dtype: DTypeLike = np.float64
    ) -> Array:
        """`values`, broadcast to `shape`, in the array of that name."""
        found = self(name, shape, dtype)
        np.copyto(found, values, casting="unsafe")
        return found

    def kept(self, key: Hashable, make: Callable[[], Array]) -> Array:
        """A table that `make` makes the first time, for whoever only reads it."""
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make()
        return found


def ascending(keys: NDArray[np.float32], name: str, scratch: Scratch) -> NDArray[np.intp]:
    """Like a stable `argsort` of keys (..., M) from 0 on, in the array of that name."""
    places = scratch.kept(
        ("places", keys.shape),
        lambda: np.broadcast_to(np.arange(keys.shape[-1], dtype=np.uint64), keys.shape).copy(),
    )
    # such floats compare like their bits, and not a number comes last; places make them unique
    packed = scratch.copy(f"{name}.packed", keys.view(np.uint32), np.uint64)
    packed <<= np.uint64(8)
    packed |= places
    packed.sort(axis=-1)
    packed &= np.uint64(255)
    return scratch.copy(name, packed, np.intp)


def taken(values: Array, index: NDArray[np.intp], name: str, scratch: Scratch) -> Array:
    """`values[..., index, :]` in the array of that name.

    Parameters
    ----------
    values : (..., M, K)
        In one contiguous piece.
    index : (..., R)
        Which of the M, for the same leading dimensions.
    """
    *lead, count, width = values.shape

    def first_rows() -> Array:
        first = np.arange(0, values.size // width, count).reshape(*lead, 1)
        return np.broadcast_to(first, index.shape).copy()

    rows = scratch.copy(f"{name}.rows", index, np.intp)
    rows += scratch.kept(("rows", values.shape, index.shape), first_rows)
    found = scratch(name, (*index.shape, width), values.dtype)
    # the mode makes it write straight away; no index is out of range
    np.take(values.reshape(-1, width), rows, axis=0, out=found, mode="clip")
    return found

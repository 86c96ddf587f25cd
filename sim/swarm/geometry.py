"""Distances in batches of arenas, worked out in lent arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.scratch import Scratch

Floats = NDArray[np.floating[Any]]


def lengths(
    vectors: Floats, name: str, lend: Scratch, squared: bool = False
) -> NDArray[np.float64]:
    """Lengths of vectors (..., 2), or their squares, in the array of that name."""
    square = lend("lengths.square", vectors.shape)
    np.square(lend.copy("lengths.vectors", vectors), out=square)
    found = lend(name, vectors.shape[:-1])
    np.add(square[..., 0], square[..., 1], out=found)
    return found if squared else np.sqrt(found, out=found)


def distances(
    points: Floats, places: Floats, name: str, lend: Scratch, squared: bool = False
) -> NDArray[np.float64]:
    """Of points (B, K, 2) from places (B, N, 2), or their squares: (B, K, N), as `lengths`."""
    shape = (len(points), points.shape[1], places.shape[1], 2)
    offset = lend.spread("distances.offset", points[:, :, None], shape)
    offset -= lend.spread("distances.places", places[:, None], shape)
    return lengths(offset, name, lend, squared)


def wrap(angles: Floats, lend: Scratch) -> None:
    """Bring angles [rad] into [-pi, pi), in place."""
    turned = lend.copy("wrap", angles)
    turned += np.pi
    np.mod(turned, 2 * np.pi, out=turned)
    turned -= np.pi
    angles[...] = turned


def scatter(
    rng: np.random.Generator,
    count: int,
    reach: float,
    spacing: float,
    others: list[list[float]],
    clearance: float,
    tries: int,
) -> list[tuple[float, float]]:
    """Points in a square, apart from each other and from `others`, by rejection.

    Parameters
    ----------
    count
        How many.
    reach
        Half the side of the square [m].
    spacing, clearance
        Least distance from each other, and from `others` (x, y) [m].
    tries
        Draws for one point; the last of them stays, wherever it is.
    """
    found: list[tuple[float, float]] = []
    apart, away = spacing**2, clearance**2
    for _ in range(count):
        for _ in range(tries):
            x, y = reach * (2 * rng.random() - 1), reach * (2 * rng.random() - 1)
            if all((x - p) ** 2 + (y - q) ** 2 >= apart for p, q in found) and all(
                (x - p) ** 2 + (y - q) ** 2 >= away for p, q in others
            ):
                break
        found.append((x, y))
    return found

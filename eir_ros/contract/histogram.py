"""Counts of positive numbers in logarithmic bins: percentiles of a long run in little memory."""

import math
from collections import Counter
from typing import Final

#: Each bin is this factor wide, so a percentile is right to half a percent.
RATIO: Final = 1.01
#: Anything smaller counts as this, and anything larger as that.
LEAST: Final = 1e-6
MOST: Final = 1e18
#: No run counts more than this; floats and sizes hold it.
_MOST_COUNTS: Final = 2**53


class Histogram:
    """How often each number occurred, to within a bin of one percent.

    Processes send their histograms as text and others merge them: the percentile of the whole
    is then exact to a bin, which no merging of percentiles could be.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]

    def add(self, value: float) -> None:
        """Count one number; `ValueError` when it is not finite."""
        if not math.isfinite(value):
            raise ValueError(f"a histogram counts finite numbers, not {value}")
        self._counts[_bin(value)] += 1

    def merge(self, other: "Histogram") -> None:
        """Count everything that `other` has counted."""
        self._counts.update(other._counts)

    def percentile(self, q: float) -> float | None:
        """The number below or at which `q` percent lie (nearest rank); None when empty.

        `q` goes from 0 to 100. The answer is the middle of a bin.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"a percentile lies between 0 and 100, not at {q}")
        rank = max(1, math.ceil(len(self) * q / 100))
        seen = 0
        for index, count in sorted(self._counts.items()):
            seen += count
            if seen >= rank:
                return float(RATIO ** (index + 0.5))
        return None

    def dumps(self) -> str:
        """The counts as text, `bin:count` separated by spaces."""
        return " ".join(f"{index}:{count}" for index, count in sorted(self._counts.items()))

    @classmethod
    def loads(cls, text: str) -> "Histogram":
        """Read what `dumps` wrote; `ValueError` on anything else."""
        histogram, bins = cls(), range(_bin(LEAST), _bin(MOST) + 1)
        for word in text.split():
            index, separator, count = word.partition(":")
            if not separator or int(count) < 1 or int(index) not in bins:
                raise ValueError(f"'{word}' is not a bin of a histogram")
            histogram._counts[int(index)] += int(count)
        if histogram._counts.total() > _MOST_COUNTS:
            raise ValueError("a histogram has counted more than any run can")
        return histogram


def _bin(value: float) -> int:
    return math.floor(math.log(min(max(value, LEAST), MOST), RATIO))

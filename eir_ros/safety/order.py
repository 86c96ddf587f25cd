"""Messages of one kind in the order in which they were made, however they arrive."""

from math import inf
from typing import Final

#: Whoever is behind by more than this has not been overtaken: it counts time anew [s].
_OVERTAKEN_S: Final = 1.0


class InOrder:
    """Tells a message that a later one has overtaken, by their own stamps."""

    def __init__(self) -> None:
        self._newest = -inf

    def accepts(self, stamp_s: float) -> bool:
        """Whether a message of this time [s] is news; one that is sent again is.

        A stamp that is far behind begins a new time: a simulation that starts again, a clock that
        was set, or the end of one that was ahead. Nobody can make the gate deaf by a stamp of the
        future.
        """
        if self._newest - _OVERTAKEN_S <= stamp_s < self._newest:
            return False
        self._newest = stamp_s
        return True

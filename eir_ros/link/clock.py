"""The clock of a link: that of the system when the link started, and steady from then on."""

import time
from collections.abc import Callable, Iterable
from typing import Final

Now = Callable[[], int]

#: An envelope whose stamp differs by more from the receiver's time is not of now [s].
MAX_AGE_S: Final = 1.0


def _since_boot() -> int:
    """Grows while the computer is suspended, too [ns]. Linux only."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Tells the time [ns] for stamps, and does not follow when the system's clock is set.

    Whoever sets a clock back could make the past be of now, and have what was recorded obeyed
    again. A clock that was behind is put right all the same, see `catch_up`: a computer without a
    battery for its clock learns the time after it has started.

    Parameters
    ----------
    system, steady
        The system's clock, and one that nobody sets [ns].
    """

    def __init__(self, system: Now = time.time_ns, steady: Now = _since_boot) -> None:
        self._system, self._steady = system, steady
        self._origin_ns = system() - steady()

    def __call__(self) -> int:
        """Return the time [ns since 1970]."""
        return self._origin_ns + self._steady()

    def catch_up(self, ahead_s: Iterable[float]) -> float:
        """Take the system's time anew if it is ahead, and somebody who is trusted says the same.

        Parameters
        ----------
        ahead_s
            How far the clocks of others are ahead of this one, by what they have signed [s].

        Returns
        -------
        float
            By how much this clock was put forward [s]; 0 if it was not.
        """
        behind_s = (self._system() - self()) * 1e-9
        agreed = any(abs(theirs - behind_s) < MAX_AGE_S for theirs in ahead_s)
        if behind_s <= MAX_AGE_S or not agreed:
            return 0.0
        self._origin_ns = self._system() - self._steady()
        return behind_s

"""Signs of life: how a process shows its supervisor that it still comes round to its work.

A process that hangs is alive for the system: it has not ended, and its topics are still there. So
each process is given a pipe, and the thread that does its work writes a byte into it whenever it
comes round. Nothing of this is on the network, and it costs four writes a second.
"""

import contextlib
import os
import time
from typing import Final

#: Environment variable with the number of the file descriptor to write to.
ALIVE_VARIABLE: Final = "EIR_ALIVE_FD"

#: Time between two signs [s].
BEAT_S: Final = 0.25


class Pulse:
    """The end of the process; without a supervisor it does nothing.

    The first sign says that the process is ready: its supervisor waits longer for that one.
    """

    def __init__(self) -> None:
        # removed, so that no child writes for us
        number = os.environ.pop(ALIVE_VARIABLE, "")
        self._fd = int(number) if number.isdecimal() else None
        self._due = 0.0
        if self._fd is not None:
            os.set_inheritable(self._fd, False)
            os.set_blocking(self._fd, False)

    @property
    def wait_s(self) -> float | None:
        """How long the work may be waited for [s]; None: for ever."""
        return None if self._fd is None else BEAT_S

    def beat(self) -> None:
        """Come round: call it after every piece of work and every `wait_s` without any."""
        if self._fd is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + BEAT_S
        # full: the supervisor is busy or stopped itself; closed: it is gone
        with contextlib.suppress(OSError):
            os.write(self._fd, b".")

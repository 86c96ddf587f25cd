"""Ctrl-C and SIGTERM: end after the present iteration, with everything saved."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: A Ctrl-C so soon after the first is the same request: it came to the whole process group, or
#: from a launcher that passes it on [s].
SAME_REQUEST_S = 1.0


class StopRequest:
    """Turns SIGINT and SIGTERM into a flag that the loop reads between iterations.

    A second Ctrl-C ends the present iteration at once by `KeyboardInterrupt`; but not while files
    are written, and a repeated SIGTERM never does.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at = 0.0
        self._writing = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Files are written meanwhile: nothing cuts that short."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.requested and time.monotonic() - self._at > SAME_REQUEST_S
        if not self.requested:
            self.requested, self._at = True, time.monotonic()
            # a handler may interrupt a print, so it does not print itself
            os.write(2, b"\nstopping after this iteration; Ctrl-C again: at once, unsaved\n")
        elif again and number == signal.SIGINT and not self._writing:
            raise KeyboardInterrupt

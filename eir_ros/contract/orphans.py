"""No process outlives the one that started it, however that one ends."""

import ctypes
import os
import signal
import sys
from typing import Any, Final

#: From <sys/prctl.h>: the signal that the kernel sends when the parent's thread is gone.
_PR_SET_PDEATHSIG: Final = 1
# looked up here: between fork and exec nothing may be loaded
_LIBC: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent: int, number: signal.Signals) -> None:
    """Ask the kernel to send `number` to this process when its parent's thread ends; Linux only.

    Ends this process at once if that has happened already.

    Parameters
    ----------
    parent
        Process id of the parent, as the parent said it.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:  # it has ended before we asked
        os._exit(1)

"""PyBullet without its banner: importing it writes its build time to standard error."""

import os
import sys


def _import_quietly() -> None:
    """Import pybullet with file descriptor 2 pointed at nothing; exceptions still pass."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        import pybullet  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


_import_quietly()

import pybullet  # noqa: E402

__all__ = ["pybullet"]

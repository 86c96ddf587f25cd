"""Where compiled worlds are kept: in a folder of their own for every state of the sources.

numba looks at the file of a function when it decides whether a kept result is still good, but not
at the files of the functions that are compiled into it. So the folder is named after a digest of
all of `sim`: after an edit or an update nothing old can run.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

#: Folders that are kept: the present one and a few before it, for other checkouts and versions.
_KEPT = 4


def choose() -> None:
    """Tell numba where to keep what it compiles, unless the user or an earlier import has.

    Must run before numba is imported. Where the cache of the user cannot be written, numba's own
    choice stands: `__pycache__` beside the sources.
    """
    if "NUMBA_CACHE_DIR" in os.environ or "numba" in sys.modules:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eir_ros"
    folder = home / f"numba-{_digest(Path(__file__).parent)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _forget(home)
    except OSError:
        return
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


def _digest(package: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def _forget(home: Path) -> None:
    """Remove all but the folders that were used last."""
    folders = sorted(home.glob("numba-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for folder in folders[_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)

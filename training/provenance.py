"""Where a result comes from: the commit of this checkout and the machine."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path


def commit() -> str:
    """Commit of this checkout, marked `-dirty` where files differ from it; else "unknown".

    Results may differ: cells that were just written do not change what makes the next one.
    """
    root = Path(__file__).parents[1]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> str:
    """Processor, cores and the versions that rounding depends on."""
    import torch  # here: where fields are measured there may be none

    python = platform.python_version()
    cores = os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {python}, torch {torch.__version__}"


def digest(*paths: Path) -> str:
    """Short SHA-256 over the contents of files, in order."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]

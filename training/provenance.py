"""Where a result comes from: the commit of this checkout and the machine."""

import hashlib
import os
import platform
import subprocess
from pathlib import Path

import torch


def commit() -> str:
    """Commit of this checkout, marked `-dirty` where files differ from it; else "unknown"."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def machine() -> str:
    """Processor, cores and the versions that rounding depends on."""
    python = platform.python_version()
    cores = os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {python}, torch {torch.__version__}"


def digest(*paths: Path) -> str:
    """Short SHA-256 over the contents of files, in order."""
    found = hashlib.sha256()
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]

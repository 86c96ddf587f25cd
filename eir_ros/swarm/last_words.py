"""How a process ended, in a sentence for the operator."""

import contextlib
import signal
from pathlib import Path
from typing import Final

#: Status of a node that was given something wrong: to start it again would not help.
REFUSED: Final = 2


def last_words(name: str, status: int, log: Path) -> str:
    """Say how the process `name` ended, with the last line of its log: often the reason."""
    if status < 0:
        return f"{name} was ended by signal {-status} ({signal.strsignal(-status)})"
    text = ""
    with contextlib.suppress(OSError):  # somebody has cleaned up
        text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if status == REFUSED:
        said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        if said:
            return f"{name}: {said[-1].strip()}"
    return f"{name} ended with status {status} ({lines[-1] if lines else 'no line in its log'})"

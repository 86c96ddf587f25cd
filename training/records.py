"""What the folder of a run says of it: metrics by iteration, and its story. Needs no torch."""

import csv
import errno
import fcntl
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError

METRICS = "metrics.csv"
RECIPE = "recipe.yaml"
STORY = "run.json"
LOCK = ".lock"
#: What a disk says that takes no more.
DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)

Row = dict[str, float]
State = Literal["running", "done", "stopped", "failed"]


class Session(Schema):
    """One stretch of a run, from a start or a resumption to the next stop."""

    command: str
    commit: str
    machine: str
    #: ISO 8601, UTC.
    started: str
    #: The iteration that it went on from.
    iteration: int


class Story(Schema):
    """`run.json`: who worked on a run, with what, and how it ended."""

    state: State
    #: Why it failed.
    reason: str = ""
    sessions: tuple[Session, ...] = ()


def write_whole(path: Path, data: bytes) -> None:
    """Write `path` whole or not at all, and on the disk before it gets its name.

    Raises
    ------
    OSError
        The disk does not take it; what was there before is untouched.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Let nobody else work in `folder`; the claim ends with the process, whatever ends that.

    Raises
    ------
    EirError
        Another process works there.
    OSError
        The folder cannot be written.
    """
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EirError(
                f"another `eir train` is working in {folder}; wait until it has ended, or choose "
                "another folder with --out."
            ) from error
        yield


def is_claimed(folder: Path) -> bool:
    """Whether a process works in `folder` now, on this machine or (over NFS) another."""
    try:
        with (folder / LOCK).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_story(folder: Path) -> Story:
    """The story of the run in `folder`; `EirError` where there is none, or it is damaged."""
    path = folder / STORY
    try:
        return Story.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise EirError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, ValidationError) as error:
        raise EirError(f"{path} is damaged: it is no story of a run.") from error


def write_story(folder: Path, story: Story) -> None:
    """Write `run.json`."""
    write_whole(folder / STORY, (story.model_dump_json(indent=1) + "\n").encode())


def read_metrics(path: Path) -> list[Row]:
    """Rows of a `metrics.csv`, without what was not measured; none where there is no file.

    A last line that was cut short, as a crash leaves it, is left out.

    Raises
    ------
    EirError
        The file cannot be read, or is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
            whole = file.tell() == 0 or _ends_with_newline(path)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EirError(f"{path} cannot be read ({error}).") from error
    if not lines:
        return []
    columns, *body = lines
    rows = []
    for number, line in enumerate(body, start=2):
        row = _row(columns, line)
        last = number == len(lines)
        if row is not None and (whole or not last):
            rows.append(row)
        elif not last or (whole and row is None):
            raise EirError(f"{path}:{number}: expected {len(columns)} numbers with an iteration.")
    return rows


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _row(columns: Sequence[str], line: Sequence[str]) -> Row | None:
    if len(columns) != len(line) or "iteration" not in columns:
        return None
    try:
        row = {c: float(text) for c, text in zip(columns, line, strict=True) if text != ""}
    except ValueError:
        return None
    return row if math.isfinite(row.get("iteration", math.nan)) else None


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """`rows` as CSV with a header."""
    return "".join(_line(line) for line in [list(columns), *(cells(r, columns) for r in rows)])


def cells(row: Row, columns: Sequence[str]) -> list[Any]:
    """The values of `row` in order, "" for what it has not."""
    known = {**row, "iteration": int(row["iteration"])}
    return [known.get(column, "") for column in columns]


def _line(values: Sequence[Any]) -> str:
    return ",".join(str(value) for value in values) + "\n"

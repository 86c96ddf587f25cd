"""Faults as a user writes them: words on the command line, or a schedule file."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from eir_ros.contract.config import Schema, load_yaml
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import Fault, parse_fault


class FaultSchedule(Schema):
    """A schedule file, for example `config/faults/demo.yaml`."""

    called: ClassVar[str] = "a fault schedule"

    #: Each in the form ROBOT:KIND[@START[-END]] [s].
    faults: tuple[str, ...] = ()


def read_faults(words: Iterable[str]) -> tuple[Fault, ...]:
    """Read faults, each given as ROBOT:KIND[@START[-END]] or as the name of a schedule file.

    Raises
    ------
    EirError
        A word has neither form, a kind is unknown, or a file cannot be read; for a fault in a
        file the sentence names the entry.
    """
    found: list[Fault] = []
    for word in words:
        if word.endswith((".yaml", ".yml")):
            found += _read_file(Path(word))
        else:
            found.append(parse_fault(word))
    return tuple(found)


def _read_file(path: Path) -> Iterable[Fault]:
    for number, text in enumerate(load_yaml(path, FaultSchedule).faults, start=1):
        try:
            yield parse_fault(text)
        except EirError as error:
            raise EirError(f"{path}: entry {number}: {error}") from error

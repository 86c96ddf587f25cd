"""Faults as a user writes them: words on the command line, or a schedule file."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field as Setting

from eir_ros.contract.config import Schema, load_yaml, validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.fault_parameters import check
from eir_ros.contract.faults import LEARNED, Fault, FaultKind, make_fault, parse_fault
from eir_ros.contract.manifest import ADVERSARY_FILE, Manifest
from eir_ros.contract.places import Places, place_of, places_in
from eir_ros.faults.timeline import by_robot


class FaultSchedule(Schema):
    """A schedule file, for example `config/faults/demo.yaml`."""

    called: ClassVar[str] = "a fault schedule"

    #: Of the random numbers of all faults that have none of their own; None: that of the run.
    seed: int | None = Setting(default=None, ge=0, le=2**31 - 1)
    #: Each as text, ROBOT:KIND[(NAME=VALUE,...)][@START[-END]] [s], or with the keys of `Entry`.
    faults: tuple[str | dict[str, Any], ...] = ()


class Entry(Schema):
    """A fault that is written out."""

    robot: str
    kind: str
    parameters: dict[str, Any] = Setting(default_factory=dict)
    #: [s after the start of the mission]
    start: float = Setting(default=0.0, ge=0, allow_inf_nan=False)
    end: float | Literal["until cleared"] = "until cleared"
    seed: int | None = Setting(default=None, ge=0, le=2**31 - 1)


def split_faults(text: str) -> list[str]:
    """Faults and files that are given in one text, by commas; those of parameters do not count."""
    return [word.strip() for word in re.split(r",(?![^(]*\))", text) if word.strip()]


def read_faults(words: Iterable[str], team: Sequence[str] | None = None) -> tuple[Fault, ...]:
    """Read faults, each given as ROBOT:KIND[@START[-END]] or as the name of a schedule file.

    Parameters
    ----------
    team
        The robots that there are; None: that is checked later.

    Raises
    ------
    EirError
        A word has neither form, a robot, a kind or a parameter is unknown, a value is out of
        range, or a file cannot be read; about a fault in a file, with the file and the line.
    """
    found: list[Fault] = []
    for word in words:
        if word.endswith((".yaml", ".yml")):
            found += _read_file(Path(word))
        else:
            found.append(parse_fault(word))
    if team is not None:
        by_robot(found, team)
    return tuple(found)


def check_faults(
    faults: Iterable[Fault], team: Sequence[str], manifest: Manifest, *, lockstep: bool
) -> None:
    """Refuse, with an `EirError`, what these robots cannot play with this bundle."""
    given = list(faults)
    by_robot(given, team)
    for fault in given:
        learned = fault.kind in LEARNED and fault.parameters.get("acts") != "random_action"
        if learned and ADVERSARY_FILE not in manifest.files:
            raise EirError(
                f"{fault.sentence} needs a learned adversary, but bundle '{manifest.name}' has "
                "none; choose another kind or another bundle."
            )
        if lockstep and fault.kind in (FaultKind.HANG, FaultKind.CRASH):
            raise EirError(
                f"{fault.sentence} takes an agent away, and in lockstep the world would wait for "
                "it; leave out --lockstep (lockstep:=true)."
            )


def _read_file(path: Path) -> Iterator[Fault]:
    schedule, places = load_yaml(path, FaultSchedule), places_in(path)
    for number, entry in enumerate(schedule.faults):
        key = f"faults.{number}"
        own = {k.removeprefix(f"{key}."): at for k, at in places.items() if k.startswith(f"{key}.")}
        where = places[key]
        try:
            fault = (
                parse_fault(entry) if isinstance(entry, str) else _written_out(entry, where, own)
            )
        except EirError as error:
            said = str(error)
            raise EirError(said if said.startswith(f"{path}:") else f"{where}: {said}") from error
        seed = schedule.seed if fault.seed is None else fault.seed
        yield fault.model_copy(update={"where": where, "seed": seed})


def _written_out(entry: dict[str, Any], where: str, places: Places) -> Fault:
    read = validate(entry, Entry, where, lambda: places)
    for key, look in (
        ("kind", lambda: FaultKind.parse(read.kind)),
        ("parameters", lambda: check(FaultKind.parse(read.kind).word, read.parameters)),
    ):
        try:
            look()
        except EirError as error:
            raise EirError(f"{place_of(key, places) or where}: {error}") from error
    end = None if isinstance(read.end, str) else read.end
    return make_fault(
        read.robot, FaultKind.parse(read.kind), read.start, end, read.parameters, read.seed, ""
    )

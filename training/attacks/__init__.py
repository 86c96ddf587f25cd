"""Attacks on a frozen team: one small class each over one interface (`training.attacks.base`).

One of your own is a class like these, by the name `module:Class`; docs/attacks.md has an example.
"""

import importlib
from collections.abc import Iterable
from typing import Any

from eir_ros.contract.config import load_value, validate
from eir_ros.contract.errors import EirError, nearest
from training.attacks.actions import (
    Budgeted,
    Frozen,
    Intermittent,
    LateSwitch,
    Learned,
    RandomAction,
    TwoAdversaries,
)
from training.attacks.base import Attack, Moment, Nobody, WithFault
from training.attacks.guard import reason_of
from training.attacks.observations import Noise, TargetedPgd
from training.attacks.wolfpack import Wolfpack

ATTACKS: dict[str, type[Attack]] = {
    "none": Nobody,
    "fault": WithFault,
    "random": RandomAction,
    "learned": Learned,
    "pgd": TargetedPgd,
    "noise": Noise,
    "frozen": Frozen,
    "intermittent": Intermittent,
    "late-switch": LateSwitch,
    "two-adversaries": TwoAdversaries,
    "budgeted": Budgeted,
    "wolfpack": Wolfpack,
}

__all__ = ["ATTACKS", "Attack", "Moment", "make_attack", "name_of", "parse_settings"]


def make_attack(kind: str, settings: dict[str, Any] | None = None) -> Attack:
    """An attack by its name, or by `module:Class` for one of your own, and settings.

    Raises
    ------
    EirError
        The name or a setting is unknown, or a value is out of range; the nearest valid name is
        given.
    """
    return validate(settings or {}, _class_of(kind), where=f"attack '{kind}'")


def _class_of(kind: str) -> type[Attack]:
    module, colon, name = kind.partition(":")
    if not colon:
        if kind not in ATTACKS:
            raise EirError(f"unknown attack '{kind}'{nearest(kind, ATTACKS)}")
        return ATTACKS[kind]
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise EirError(
            f"attack '{kind}' cannot be imported: {error}. Expected module:Class, with the folder "
            "of the module in PYTHONPATH."
        ) from error
    except Exception as error:  # whatever somebody's own module does
        raise EirError(f"attack '{kind}' cannot be imported: {reason_of(error)}.") from error
    if not (isinstance(found, type) and issubclass(found, Attack)):
        raise EirError(
            f"'{kind}' is no attack; expected a class over training.attacks.base.Attack."
        )
    if not hasattr(found, "title"):
        raise EirError(f"attack '{kind}' has no `title`; docs/attacks.md has an example.")
    return found


def parse_settings(changes: Iterable[str]) -> dict[str, Any]:
    """Settings from `KEY=VALUE` on a command line; `EirError` where one has another form."""
    found = {}
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise EirError(f"'{change}' is not of the form KEY=VALUE, for example epsilon=0.2.")
        found[key] = load_value(value, f"--set {key}")
    return found


def name_of(kind: str, settings: dict[str, Any] | None = None) -> str:
    """What an attack is called in tables and file names, for example `pgd-epsilon=0.5`."""
    return "-".join([kind, *(f"{key}={value}" for key, value in sorted((settings or {}).items()))])

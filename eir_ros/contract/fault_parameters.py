"""How strong each kind of fault is: its parameters, their ranges, and what they are without."""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from eir_ros.contract.errors import EirError

#: Parameters of one fault, by name: numbers, or words where a parameter takes words.
Values = dict[str, float | str]


class Parameter(NamedTuple):
    """One setting of a kind of fault."""

    name: str
    #: What it is unless given.
    default: float | str
    #: Range of a number.
    low: float = 0.0
    high: float = math.inf
    #: With the unit, for a list of kinds.
    meaning: str = ""
    #: What a parameter of words may be; ("*",): the name of a teammate.
    words: tuple[str, ...] = ()


_ACTS: Final = Parameter(
    "acts", "adversary", meaning="what it does then", words=("adversary", "random_action")
)

#: Of each kind that has any, by its word. The order is that of their columns in arrays.
PARAMETERS: Final[dict[str, tuple[Parameter, ...]]] = {
    "slow": (Parameter("gain", 0.3, 0.0, 1.0, "what is left of the command"),),
    "random_walk": (Parameter("scale", 1.0, 0.0, 10.0, "size of its steps, 1 = as in training"),),
    "drift": (Parameter("gain", 0.5, 0.0, 1.0, "what is left of the left wheel's speed"),),
    "wear": (Parameter("rate", 0.01, 0.0, 1.0, "share of the gain that each tick takes"),),
    "offset": (
        Parameter("x", 0.5, -100.0, 100.0, "[m]"),
        Parameter("y", 0.5, -100.0, 100.0, "[m]"),
        Parameter("yaw", 0.0, -math.pi, math.pi, "[rad]"),
    ),
    "odom_drift": (
        Parameter("speed", 0.05, 0.0, 1.0, "at which it walks away, somewhere [m/s]"),
        Parameter("turn", 0.0, -1.0, 1.0, "at which its heading turns away [rad/s]"),
    ),
    "noise": (Parameter("sigma", 0.2, 0.0, 5.0, "standard deviation, drawn per tick [m]"),),
    "dropout": (
        Parameter("share", 0.5, 0.0, 0.99, "of the time that a track is lost"),
        Parameter("length_s", 1.0, 0.1, 60.0, "mean length of a gap [s]"),
    ),
    "delay": (Parameter("delay_s", 1.0, 0.0, 60.0, "[s]"),),
    "loss": (Parameter("share", 0.5, 0.0, 1.0, "of its messages"),),
    "replay": (Parameter("age_s", 5.0, 0.1, 60.0, "of what is said again [s]"),),
    "sybil": (Parameter("name", "", meaning="of the teammate; the next one", words=("*",)),),
    "intermittent": (
        Parameter("period_s", 6.0, 0.2, 600.0, "[s]"),
        Parameter("share", 0.5, 0.0, 1.0, "of each period, at its beginning, in which it acts"),
        _ACTS,
    ),
    "late_switch": (
        Parameter("after_s", 20.0, 0.0, 1e6, "so long it works like a healthy one [s]"),
        _ACTS,
    ),
}

#: Columns that any kind needs in an array of parameters.
WIDTH: Final = max(map(len, PARAMETERS.values()))


def check(kind: str, given: Mapping[str, Any]) -> Values:
    """The parameters that were given, as numbers and words.

    Raises
    ------
    EirError
        The kind has no such parameter, or a value is not what it takes.
    """
    known = {parameter.name: parameter for parameter in PARAMETERS.get(kind, ())}
    for name in given:
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise EirError(f"fault '{kind}' has no parameter '{name}'; {has}.")
    return {name: _checked(kind, known[name], value) for name, value in given.items()}


def _checked(kind: str, parameter: Parameter, value: Any) -> float | str:
    what = f"parameter '{parameter.name}' of fault '{kind}' is {value!r}; expected"
    if parameter.words:
        if not isinstance(value, str):
            raise EirError(f"{what} a word.")
        if parameter.words != ("*",) and value not in parameter.words:
            raise EirError(f"{what} one of {', '.join(parameter.words)}.")
        return value
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not parameter.low <= number <= parameter.high:
        raise EirError(f"{what} a number from {parameter.low:g} to {parameter.high:g}.")
    return number


def columns(kind: str, given: Mapping[str, float | str]) -> list[float]:
    """All parameters of a kind as `WIDTH` numbers, defaults filled in; a word is its place.

    The name of a teammate, which no array needs, is -1.
    """
    found = []
    for parameter in PARAMETERS.get(kind, ()):
        value = given.get(parameter.name, parameter.default)
        if isinstance(value, str):
            value = parameter.words.index(value) if value in parameter.words else -1.0
        found.append(float(value))
    return found + [0.0] * (WIDTH - len(found))


def in_words(values: Mapping[str, float | str]) -> str:
    """`name=value,...` of parameters that were given."""
    return ",".join(
        f"{name}={value if isinstance(value, str) else format(value, '.10g')}"
        for name, value in values.items()
    )

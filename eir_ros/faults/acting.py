"""What a fault does at a moment: some kinds act as another one, depending on the time."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from eir_ros.contract.fault_parameters import columns
from eir_ros.contract.faults import CHANGING, COMMUNICATION, SOFTWARE, FaultKind

Kinds = NDArray[np.int8]
Floats = NDArray[np.float64]

#: Parameters of every kind that are used unless others are given, (K, P).
DEFAULTS: Final[Floats] = np.array([columns(kind.word, {}) for kind in FaultKind])
_FIRST_CHANGING: Final = min(CHANGING)
_ACTORS: Final = np.array([FaultKind.ADVERSARY, FaultKind.RANDOM_ACTION], np.int8)


def acting(kinds: Kinds, since_s: Floats, values: Floats | None = None) -> Kinds:
    """What robots do whose faults have lasted for `since_s`, (...) codes of `FaultKind`.

    `intermittent` acts for the first share of every period and does no work in between;
    `late_switch` is as good as healthy before it switches. All others are what they are.

    Parameters
    ----------
    kinds : (...)
        Codes of the faults.
    since_s : (...)
        Time since the onset [s].
    values : (..., P), optional
        Their parameters, as `contract.fault_parameters.columns` lays them out; default: `DEFAULTS`.
    """
    if not (kinds >= _FIRST_CHANGING).any():
        return kinds
    given = DEFAULTS[kinds] if values is None else values
    # a tick that falls on a switch is after it, whatever the rounding
    since = np.maximum(since_s, 0.0) + 1e-6
    on_off = kinds == FaultKind.INTERMITTENT
    late = kinds == FaultKind.LATE_SWITCH
    period = np.where(on_off, given[..., 0], 1.0)
    on = since % period < given[..., 1] * period
    actor = _ACTORS[np.where(on_off, given[..., 2], np.where(late, given[..., 1], 0)).astype(int)]
    found = np.where(on_off, np.where(on, actor, np.int8(FaultKind.MUTE)), kinds)
    switched = np.where(since >= given[..., 0], actor, np.int8(FaultKind.NONE))
    return np.where(late, switched, found).astype(np.int8)


def check_simulated(kind: FaultKind, where: str = "") -> None:
    """Refuse what has no meaning where robots are arrays, in training and in plain simulation.

    Raises
    ------
    EirError
        The fault acts on messages or processes.
    """
    place = f"{where}: " if where else ""
    if kind in COMMUNICATION:
        raise EirError(
            f"{place}fault '{kind.word}' acts on messages, and here nobody sends any; it needs "
            "`eir swarm`."
        )
    if kind in SOFTWARE:
        raise EirError(
            f"{place}fault '{kind.word}' acts on a process of a robot and its gate, and here there "
            "are none; it needs `eir swarm`."
        )


def as_array(kinds: Any) -> Kinds:
    """Codes as an array of one number, for one robot."""
    return np.asarray(kinds, np.int8)

"""Steps on the ladder of trust as messages: the audit line, and how things stand after it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from eir_ros.contract.trust import Level
from eir_ros.nodes import messages
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.safety.trust import Ladder, Step


class Trust(NamedTuple):
    """What a message on `<robot>/trust` says."""

    #: Who trusts.
    observer: str
    #: The level of every teammate, by name.
    levels: dict[str, Level]
    #: Places in the roster of those in quarantine.
    quarantined: frozenset[int]
    #: The step that led to this: its time [s], whom it is about, and its audit line; None: the
    #: observer has only just begun.
    step: tuple[float, str, str] | None


class TrustReport:
    """Makes the messages of one robot.

    Parameters
    ----------
    robot, team
        Whose trust it is, and the robots in roster order.
    mates
        Places of its teammates in the roster, (N-1,).
    """

    def __init__(self, robot: str, team: Sequence[str], mates: NDArray[np.int64]) -> None:
        self._robot, self._mates = robot, mates
        self._names = [team[mate] for mate in mates.tolist()]

    def mate(self, name: str) -> int:
        """The column of a teammate; `EirError` where there is none of that name."""
        if name not in self._names:
            raise EirError(
                f"{self._robot} has no teammate '{name}'; it has {', '.join(self._names)}."
            )
        return self._names.index(name)

    def levels(self, ladder: Ladder) -> dict[str, str]:
        """The level of every teammate, by name."""
        words = [Level(int(level)).word for level in ladder.levels]
        return dict(zip(self._names, words, strict=True))

    def status(self, ladder: Ladder, step: Step | None = None) -> DiagnosticStatus:
        """How things stand, after a step or at the beginning."""
        out = self._mates[ladder.quarantined].tolist()
        values = {
            **{f"level_{name}": word for name, word in self.levels(ladder).items()},
            "quarantined": ",".join(map(str, out)),
            "holds": str(ladder.holds).lower(),
        }
        message = "begins by cooperating with everybody"
        if step is not None:
            subject = self._robot if step.mate < 0 else self._names[step.mate]
            message = f"{subject}: {step.before.word} -> {step.after.word} ({step.reason})"
            values |= {
                "time_s": f"{step.time_s:.3f}",
                "subject": subject,
                "before": step.before.word,
                "after": step.after.word,
                "reason": step.reason,
            }
        level = DiagnosticStatus.WARN if out or ladder.holds else DiagnosticStatus.OK
        return messages.status(
            f"{self._robot}/trust", values, hardware_id=self._robot, message=message, level=level
        )


def decode(message: DiagnosticArray) -> Trust:
    """Read a message on `<robot>/trust`.

    Raises
    ------
    InvalidMessageError
        It is none, or a value is malformed.
    """
    try:
        (status,) = message.status
        values = messages.values_of(status)
        found = {
            key.removeprefix("level_"): Level.parse(word)
            for key, word in values.items()
            if key.startswith("level_")
        }
        out = frozenset(int(place) for place in values["quarantined"].split(",") if place)
        step = None
        if "subject" in values:
            step = float(values["time_s"]), values["subject"], status.message
    except (ValueError, KeyError, EirError) as error:
        raise InvalidMessageError(f"cannot be read: {error!r}") from error
    return Trust(status.name.partition("/")[0], found, out, step)

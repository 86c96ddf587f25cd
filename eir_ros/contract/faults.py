"""The fault vocabulary: one set of words for training, simulation and the field."""

import difflib
import re
from enum import IntEnum
from typing import Final

from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError


class FaultKind(IntEnum):
    """What can be wrong with a robot. The values are codes for arrays; 0 is a healthy robot.

    Codes stay what they are: critics were trained on them. A new kind takes the next one.
    A robot with any fault is of a non-cooperative type: its work at a site is worthless.
    """

    NONE = 0
    #: Actuator: dead motors, everything else alive.
    STOP = 1
    #: Actuator: the last command for ever.
    STUCK = 2
    #: Actuator: a fraction of the commanded speed.
    SLOW = 3
    #: Actuator: speed and yaw rate wander at random.
    RANDOM_WALK = 4
    #: Work: moves like a healthy robot, but what it does is worthless.
    MUTE = 5
    #: Malicious: the learned worst-case policy of the bundle decides.
    ADVERSARY = 6
    #: Malicious: every decision is drawn uniformly.
    RANDOM_ACTION = 7
    #: Actuator: the left wheel is weak, so that the robot turns when it should not.
    DRIFT = 8
    #: Actuator: both wheels turn the other way.
    REVERSE = 9
    #: Actuator: a gain that falls with time from the onset on.
    WEAR = 10

    @property
    def word(self) -> str:
        """The kind as written in schedules, parameters and pages."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> "FaultKind":
        """The kind of that name; `EirError` lists the valid names."""
        try:
            return cls[word.strip().upper()]
        except KeyError:
            known = ", ".join(kind.word for kind in cls)
            near = difflib.get_close_matches(word.strip().lower(), known.split(", "), n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            message = f"unknown fault kind '{word}'{hint}; expected one of {known}."
            raise EirError(message) from None


class Fault(Schema):
    """One fault of one robot, from `start_s` until `end_s` or until it is cleared."""

    robot: str
    kind: FaultKind
    #: Seconds after the start of the mission.
    start_s: float = Setting(0.0, ge=0)
    #: None: until cleared.
    end_s: float | None = None


_SYNTAX: Final = re.compile(
    r"(?P<robot>[A-Za-z]\w*):(?P<kind>\w+)(@(?P<start>\d+(\.\d+)?)(-(?P<end>\d+(\.\d+)?))?)?"
)


def parse_fault(text: str) -> Fault:
    """Read `ROBOT:KIND[@START[-END]]`, for example `r2:adversary@5-12` [s].

    Raises
    ------
    EirError
        The text has another form, the kind is unknown, or the end is not after the start.
    """
    match = _SYNTAX.fullmatch(text.strip())
    if not match:
        raise EirError(
            f"fault '{text}' is not of the form ROBOT:KIND[@START[-END]], for example r2:stop@5-12."
        )
    start = float(match["start"] or 0.0)
    end = float(match["end"]) if match["end"] else None
    if end is not None and end <= start:
        raise EirError(f"fault '{text}' ends at {end:g} s, which is not after its start.")
    kind = FaultKind.parse(match["kind"])
    return Fault(robot=match["robot"], kind=kind, start_s=start, end_s=end)

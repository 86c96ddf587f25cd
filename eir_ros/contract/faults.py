"""The fault vocabulary: one set of words for training, simulation and the field."""

import difflib
import re
from enum import IntEnum
from typing import Annotated, Any, Final

from pydantic import Field as Setting
from pydantic import model_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError
from eir_ros.contract.fault_parameters import Values, check, in_words
from eir_ros.contract.names import ROBOT_NAME


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
    #: Sensing: odometry and tracks stay what they were at the onset.
    FROZEN = 11
    #: Sensing: the odometry is elsewhere, by a fixed offset.
    OFFSET = 12
    #: Sensing: the odometry walks away from where the robot is.
    ODOM_DRIFT = 13
    #: Sensing: odometry and tracks jump about.
    NOISE = 14
    #: Sensing: tracks of teammates are lost for a while, each on its own.
    DROPOUT = 15
    #: Communication: nothing that the robot says is heard.
    SILENT = 16
    #: Communication: what it says arrives late.
    DELAY = 17
    #: Communication: a part of what it says is lost.
    LOSS = 18
    #: Communication: old messages again, in place of new ones.
    REPLAY = 19
    #: Communication: it speaks in a teammate's name as well.
    SYBIL = 20
    #: Software: the agent's process is stopped (SIGSTOP) until the fault is over.
    HANG = 21
    #: Software: the agent's process is killed (SIGKILL) once.
    CRASH = 22
    #: Software: commands that are not numbers.
    NAN = 23
    #: Malicious: acts maliciously for a part of each period, and does no work in between.
    INTERMITTENT = 24
    #: Malicious: works like a healthy robot, and turns malicious later.
    LATE_SWITCH = 25

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


_K = FaultKind
#: Kinds by what they act on.
SENSING: Final = frozenset({_K.FROZEN, _K.OFFSET, _K.ODOM_DRIFT, _K.NOISE, _K.DROPOUT})
COMMUNICATION: Final = frozenset({_K.SILENT, _K.DELAY, _K.LOSS, _K.REPLAY, _K.SYBIL})
SOFTWARE: Final = frozenset({_K.HANG, _K.CRASH, _K.NAN})
#: Kinds that act as another one, or as none, depending on the time since their onset.
CHANGING: Final = frozenset({_K.INTERMITTENT, _K.LATE_SWITCH})
#: Kinds under which the learned adversary may decide.
LEARNED: Final = frozenset({_K.ADVERSARY}) | CHANGING

#: For so long a robot counts as faulty after a crash, unless told otherwise [s].
CRASH_S: Final = 2.0


class Fault(Schema):
    """One fault of one robot, from `start_s` until `end_s` or until it is cleared."""

    robot: str
    kind: FaultKind
    #: Seconds after the start of the mission.
    start_s: float = Setting(0.0, ge=0, allow_inf_nan=False)
    #: None: until cleared.
    end_s: Annotated[float, Setting(allow_inf_nan=False)] | None = None
    #: How strong it is, by the names of `contract.fault_parameters`; what is left out is as there.
    parameters: Values = Setting(default_factory=dict)
    #: Of its random numbers; None: that of the run.
    seed: int | None = Setting(default=None, ge=0, le=2**31 - 1)
    #: File and line where it was written, for a sentence about it.
    where: str = ""

    @model_validator(mode="before")
    @classmethod
    def _checked(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        kind = data.get("kind")
        if isinstance(kind, FaultKind):
            data["parameters"] = check(kind.word, data.get("parameters") or {})
            if kind is FaultKind.CRASH and data.get("end_s") is None:
                data["end_s"] = float(data.get("start_s", 0.0)) + CRASH_S
        return data

    @property
    def sentence(self) -> str:
        """What a sentence calls it: `fault 'r2:stop@5' in faults.yaml:7`."""
        return f"fault '{self.text}'" + (f" in {self.where}" if self.where else "")

    @property
    def text(self) -> str:
        """The inverse of `parse_fault`."""
        start, end = f"@{self.start_s:.10g}", ""
        if self.end_s is not None:
            end = f"-{self.end_s:.10g}"
        return f"{self.robot}:{kind_text(self.kind, self.parameters, self.seed)}{start}{end}"


def kind_text(kind: FaultKind, parameters: Values, seed: int | None = None) -> str:
    """`KIND[(NAME=VALUE, ...)]`; only what is not as it is without."""
    inside = in_words(parameters | ({} if seed is None else {"seed": float(seed)}))
    return f"{kind.word}({inside})" if inside else kind.word


_KIND: Final = r"(?P<kind>\w+)(\((?P<inside>[^()]*)\))?"
_NUMBER: Final = r"\d+(\.\d+)?"
_SYNTAX: Final = re.compile(
    rf"(?P<robot>{ROBOT_NAME}):{_KIND}(@(?P<start>{_NUMBER})(-(?P<end>{_NUMBER}))?)?"
)
_BY_HAND: Final = re.compile(rf"{_KIND}(\s+for\s+(?P<for>{_NUMBER})(\s*s)?)?")


def parse_fault(text: str, where: str = "") -> Fault:
    """Read `ROBOT:KIND[(NAME=VALUE,...)][@START[-END]]`, for example `r2:slow(gain=0.2)@5-12` [s].

    Raises
    ------
    EirError
        The text has another form, the kind or a parameter is unknown, a value is out of range, or
        the end is not after the start.
    """
    match = _SYNTAX.fullmatch(text.strip())
    if not match:
        raise EirError(
            f"fault '{text}' is not of the form ROBOT:KIND[(NAME=VALUE,...)][@START[-END]], for "
            "example r2:stop@5-12."
        )
    start = float(match["start"] or 0.0)
    end = float(match["end"]) if match["end"] else None
    kind, parameters, seed = _read_kind(match)
    return make_fault(match["robot"], kind, start, end, parameters, seed, where)


def make_fault(
    robot: str,
    kind: FaultKind,
    start_s: float,
    end_s: float | None,
    parameters: Values,
    seed: int | None,
    where: str,
) -> Fault:
    """A fault that was written `where`; `EirError` when it ends before it starts."""
    if end_s is not None and end_s <= start_s:
        raise EirError(
            f"the fault of '{robot}' ends at {end_s:g} s, which is not after its start at "
            f"{start_s:g} s."
        )
    return Fault(
        robot=robot,
        kind=kind,
        start_s=start_s,
        end_s=end_s,
        parameters=parameters,
        seed=seed,
        where=where,
    )


def parse_by_hand(text: str) -> tuple[FaultKind, Values, float | None]:
    """Read `KIND[(NAME=VALUE,...)][ for SECONDS]`: what is to be done to a robot now.

    Raises
    ------
    EirError
        As `parse_fault`.
    """
    match = _BY_HAND.fullmatch(text.strip())
    if not match:
        raise EirError(
            f"fault '{text}' is not of the form KIND[(NAME=VALUE,...)][ for SECONDS], for example "
            "slow(gain=0.2) for 10."
        )
    kind, parameters, _ = _read_kind(match)
    length = float(match["for"]) if match["for"] else None
    if kind is FaultKind.CRASH and length is None:
        length = CRASH_S
    return kind, parameters, length


def _read_kind(match: re.Match[str]) -> tuple[FaultKind, Values, int | None]:
    kind = FaultKind.parse(match["kind"])
    given: dict[str, str] = {}
    for part in filter(None, (match["inside"] or "").split(",")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name or not value or name in given:
            raise EirError(
                f"'{part.strip()}' is not of the form NAME=VALUE, or '{name}' is given twice, in "
                f"fault '{match[0].strip()}'."
            )
        given[name] = value
    seed = given.pop("seed", None)
    if seed is not None and not (seed.isdecimal() and int(seed) < 2**31):
        raise EirError(f"the seed of fault '{match[0].strip()}' is '{seed}', expected 0 to 2^31-1.")
    return kind, check(kind.word, given), None if seed is None else int(seed)

"""What shall go wrong when: drawn from a seed, so that a run can be repeated."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from eir_ros.contract.faults import FaultKind


class Kind(StrEnum):
    """What chaos can do."""

    KILL = "kill"
    HANG = "hang"
    INVALID = "invalid"
    FLOOD = "flood"
    #: Of the mission: a second sender of /clock.
    CLOCK = "clock"
    FAULT = "fault"
    ESTOP = "estop"
    #: The cable of a robot's computer, out and in again.
    FLAP = "flap"
    #: The clock of a robot's computer, set ahead.
    TIME = "time"


#: What needs a computer for each robot.
OF_HOSTS: Final = frozenset({Kind.FLAP, Kind.TIME})


#: How often each is drawn.
_WEIGHTS: Final = {
    Kind.KILL: 5, Kind.HANG: 4, Kind.INVALID: 4, Kind.FLOOD: 3, Kind.CLOCK: 1, Kind.FAULT: 4,
    Kind.ESTOP: 3, Kind.FLAP: 4, Kind.TIME: 2,
}  # fmt: skip

#: Time between two strikes [s]; a process that is struck is left alone for so long afterwards,
#: longer than a life that the supervisor calls healthy.
_PAUSE_S: Final = (2.0, 5.0)
_REST_S: Final = 25.0

#: Garbage of each kind, and the inputs it can be sent to.
SPOILS: Final = ("nan", "huge", "frame", "bytes")
INPUTS: Final = ("odom", "tracks", "sites", "cmd_vel_policy", "cmd_vel_faulty")

#: Faults that need nothing of the bundle but what every bundle has.
_FAULTS: Final = (FaultKind.STOP, FaultKind.STUCK, FaultKind.SLOW, FaultKind.RANDOM_WALK,
                  FaultKind.MUTE, FaultKind.RANDOM_ACTION, FaultKind.DRIFT, FaultKind.REVERSE,
                  FaultKind.WEAR)  # fmt: skip


class Strike(NamedTuple):
    """One thing that goes wrong."""

    #: After the robots began to move [s].
    at_s: float
    kind: Kind
    #: A process (`r2/agent`), a robot, or empty for the whole swarm.
    target: str
    #: An input and its garbage, a kind of fault, or empty.
    what: str
    #: For so long [s]; 0: at once.
    for_s: float

    def __str__(self) -> str:
        """A line of the schedule."""
        lasting = f" for {self.for_s:.1f} s" if self.for_s else ""
        return f"{self.at_s:6.1f} s  {self.kind:<8} {self.target} {self.what}{lasting}".rstrip()


def draw(
    seed: int, duration_s: float, team: Sequence[str], kinds: Iterable[Kind] = tuple(Kind)
) -> list[Strike]:
    """Strikes of these kinds in a run of `duration_s`; the last 8 s are left to recover in."""
    rng = np.random.default_rng([seed, 0xC4A05])
    rested: dict[str, float] = {}
    found: list[Strike] = []
    at_s = float(rng.uniform(*_PAUSE_S))
    known = sorted(kinds)
    # each once before any twice, so that a short run has seen as much as it can
    first = [Kind(kind) for kind in rng.permutation(known)]
    weights = np.array([_WEIGHTS[kind] for kind in known], float)
    while at_s < duration_s - 8.0:
        kind = first.pop() if first else Kind(rng.choice(known, p=weights / weights.sum()))
        strike = _strike(rng, at_s, kind, team)
        tired = {name for name, until_s in rested.items() if until_s > at_s}
        # who comes back is to be heard
        cut_off = kind is Kind.FLAP and any(name.startswith(f"{strike.target}/") for name in tired)
        if not cut_off and not (kind in (Kind.KILL, Kind.HANG) and strike.target in tired):
            if kind in (Kind.KILL, Kind.HANG):
                rested[strike.target] = at_s + _REST_S
            found.append(strike)
        at_s += strike.for_s + float(rng.uniform(*_PAUSE_S))
    return found


def _strike(rng: np.random.Generator, at_s: float, kind: Kind, team: Sequence[str]) -> Strike:
    robot = str(rng.choice(team))
    at_s, lasting = round(at_s, 2), round(float(rng.uniform(1.0, 3.0)), 1)
    match kind:
        case Kind.KILL | Kind.HANG:
            processes = [f"{r}/{part}" for r in team for part in ("agent", "gate")]
            # a monitor that hangs harms nobody, and is not what anybody waits for
            return Strike(at_s, kind, str(rng.choice([*processes, *["monitor"] * 2])), "", 0.0)
        case Kind.INVALID:
            what = f"{rng.choice(INPUTS)} {rng.choice(SPOILS)}"
            return Strike(at_s, kind, robot, what, lasting)
        case Kind.FLOOD:
            return Strike(at_s, kind, robot, str(rng.choice(INPUTS)), lasting)
        case Kind.FAULT:
            return Strike(at_s, kind, robot, FaultKind(rng.choice(_FAULTS)).word, lasting)
        case Kind.TIME:
            return Strike(at_s, kind, robot, "", 0.0)
        case Kind.FLAP:
            return Strike(at_s, kind, robot, "", round(float(rng.uniform(2.0, 8.0)), 1))
        case _:
            return Strike(at_s, kind, "", "", lasting)

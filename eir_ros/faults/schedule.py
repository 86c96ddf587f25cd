"""Which robot is faulty when: drawn from a mixture in training, or given."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import field_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import CHANGING, Fault, FaultKind, parse_fault
from eir_ros.faults.acting import DEFAULTS, acting, check_simulated
from eir_ros.faults.timeline import Timeline, by_robot


@dataclass
class Schedule:
    """One fault per robot at a time, for a batch of episodes; all arrays are `(B, N)`."""

    #: Codes of `FaultKind`.
    kind: NDArray[np.int8]
    #: Onset [s after the start of the episode].
    start_s: NDArray[np.float64]
    #: End [s]; None: none of them ends.
    end_s: NDArray[np.float64] | None = None
    #: Parameters, (B, N, P), as `contract.fault_parameters.columns` lays them out; None: as they
    #: are unless given.
    values: NDArray[np.float64] | None = None
    #: Faults at other times.
    more: "Schedule | None" = None
    #: Of the faults' random numbers; None: that of the world.
    seed: int | None = None

    @classmethod
    def of(cls, faults: Iterable[Fault], team: Sequence[str], batch: int) -> "Schedule":
        """The same faults in every episode.

        Raises
        ------
        EirError
            A fault names a robot that is not in the team, or has no meaning in simulation.
        """
        given = list(faults)
        for fault in given:
            check_simulated(fault.kind, fault.where)
        lines = [Timeline(found).spans for found in by_robot(given, team).values()]
        seed = next((fault.seed for fault in given if fault.seed is not None), None)
        found: Schedule | None = None
        for rank in range(max(map(len, lines), default=0)):
            layer = cls.healthy(batch, len(team))
            # robots with fewer faults have none here
            layer.start_s[...] = np.inf
            layer.end_s = np.full((batch, len(team)), np.inf)
            layer.values = np.zeros((batch, len(team), DEFAULTS.shape[-1]))
            layer.more, layer.seed = found, seed
            for robot, spans in enumerate(lines):
                if rank < len(spans):
                    span = spans[rank]
                    layer.kind[:, robot], layer.start_s[:, robot] = span.kind, span.start_s
                    layer.end_s[:, robot] = np.inf if span.end_s is None else span.end_s
                    layer.values[:, robot] = span.values
            found = layer
        return found or cls.healthy(batch, len(team))

    @classmethod
    def healthy(cls, batch: int, num_robots: int) -> "Schedule":
        """No fault at all."""
        return cls.single(batch, num_robots, FaultKind.NONE, robot=0, start_s=0.0)

    @classmethod
    def single(
        cls,
        batch: int,
        num_robots: int,
        kind: FaultKind,
        robot: int | NDArray[np.integer[Any]],
        start_s: float | NDArray[np.floating[Any]] = 0.0,
    ) -> "Schedule":
        """One faulty robot per episode; `robot` and `start_s` may be given per episode, (B,)."""
        kinds = np.zeros((batch, num_robots), np.int8)
        kinds[np.arange(batch), robot] = kind
        starts = np.broadcast_to(np.asarray(start_s, np.float64).reshape(-1, 1), kinds.shape)
        return cls(kinds, starts.copy())

    def active(
        self, time_s: float | NDArray[np.number[Any]], out: NDArray[np.int8] | None = None
    ) -> NDArray[np.int8]:
        """Codes of what the faults do at `time_s`, one for all or (B, 1), as (B, N).

        They go to `out` where that is given, and else into a new array.
        """
        if out is None:
            out = np.empty(self.kind.shape, np.int8)
        if self.end_s is not None or int(self.kind.max(initial=0)) >= min(CHANGING):
            out[...] = self.now(time_s)[0]
            return out
        # 1 where the onset has been, of the codes' own type
        np.less_equal(self.start_s, time_s + 1e-9, out=out.view(np.bool_))
        return np.multiply(out, self.kind, out=out)

    def now(
        self, time_s: float | NDArray[np.number[Any]]
    ) -> tuple[NDArray[np.int8], NDArray[np.float64] | None]:
        """The same, and the parameters (B, N, P) of these faults; None: as unless given."""
        held = self.start_s <= time_s + 1e-9
        if self.end_s is not None:
            held = held & (time_s + 1e-9 < self.end_s)
        kinds = np.where(held, self.kind, np.int8(FaultKind.NONE))
        kinds = acting(kinds, np.asarray(time_s - self.start_s), self.values)
        if self.more is None:
            return kinds, self.values
        others, values = self.more.now(time_s)
        assert self.values is not None
        assert values is not None
        return np.where(held, kinds, others), np.where(held[..., None], self.values, values)

    def put(self, episodes: int | NDArray[np.bool_], drawn: "Schedule", row: Any = 0) -> None:
        """Take the faults of `row` of another schedule, drawn alike, for those episodes."""
        self.kind[episodes], self.start_s[episodes] = drawn.kind[row], drawn.start_s[row]
        if drawn.end_s is not None:
            if self.end_s is None:
                self.end_s = np.full(self.kind.shape, np.inf)
            self.end_s[episodes] = drawn.end_s[row]

    def has_any(self, kinds: Collection[FaultKind]) -> bool:
        """Whether any robot ever has one of these faults."""
        here = bool(np.isin(self.kind, [int(kind) for kind in kinds]).any())
        return here or (self.more is not None and self.more.has_any(kinds))


def check_faulty(words: Iterable[str]) -> None:
    """Refuse, with a ValueError as schemas want it, what is no kind of fault, or is none."""
    for word in words:
        try:
            kind = FaultKind.parse(word)
        except EirError as error:
            raise ValueError(str(error).rstrip(".")) from error
        if kind is FaultKind.NONE:
            raise ValueError(f"'{word}' is no fault; leave it out")


class FaultMixture(Schema):
    """How nature draws types: one θ for every environment and episode, with its onset."""

    #: Probability that an episode has faulty robots at all.
    probability: float = Setting(0.5, ge=0, le=1)
    #: Faulty robots in such an episode: 1 ... `max_faulty`, uniformly.
    max_faulty: int = Setting(1, ge=1)
    #: Relative weight of each kind, drawn for each faulty robot.
    kinds: dict[str, float]
    #: Given instead of drawn: the faults of every episode, ROBOT:KIND[(NAME=VALUE,...)]
    #: [@START[-END]] in seconds, robots being r0, r1, ...
    schedule: tuple[str, ...] = ()
    #: Probability that the fault is there from the start; otherwise the onset is uniform.
    from_start: float = Setting(0.4, ge=0, le=1)
    #: Latest onset, as a share of the episode.
    latest: float = Setting(0.8, ge=0, le=1)
    #: Probability that a fault is over at some moment of the episode, which is uniform over what
    #: is left of it at the onset; otherwise it stays.
    ends: float = Setting(0.0, ge=0, le=1)

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: dict[str, float]) -> dict[str, float]:
        check_faulty(kinds)
        for word in kinds:
            check_simulated(FaultKind.parse(word))
        if not kinds or min(kinds.values()) < 0 or sum(kinds.values()) <= 0:
            raise ValueError("expected at least one kind with a positive weight")
        return kinds

    @field_validator("schedule")
    @classmethod
    def _readable(cls, schedule: tuple[str, ...]) -> tuple[str, ...]:
        for text in schedule:
            check_simulated(parse_fault(text).kind)
        return schedule

    @property
    def words(self) -> list[str]:
        """Every kind that episodes may have, whether drawn or given."""
        return list(
            dict.fromkeys([*self.kinds, *(parse_fault(t).kind.word for t in self.schedule)])
        )

    def draw(
        self, rng: np.random.Generator, batch: int, num_robots: int, episode_s: float
    ) -> Schedule:
        """Types and onsets of `batch` episodes; `EirError` where a given robot is not there."""
        if self.schedule:
            team = [f"r{i}" for i in range(num_robots)]
            return Schedule.of(map(parse_fault, self.schedule), team, batch)
        words = list(self.kinds)
        weights = np.array([self.kinds[word] for word in words])
        codes = np.array([FaultKind.parse(word) for word in words], np.int8)
        rank = rng.permuted(np.tile(np.arange(num_robots), (batch, 1)), axis=1)
        count = rng.integers(1, self.max_faulty + 1, batch) * (rng.random(batch) < self.probability)
        drawn = codes[rng.choice(len(codes), (batch, num_robots), p=weights / weights.sum())]
        onset = rng.uniform(0.0, self.latest * episode_s, (batch, num_robots))
        onset[rng.random((batch, num_robots)) < self.from_start] = 0.0
        faulty = rank < count[:, None]
        found = Schedule(np.where(faulty, drawn, np.int8(FaultKind.NONE)), onset)
        if self.ends:
            end = rng.uniform(onset, episode_s)
            found.end_s = np.where(rng.random(end.shape) < self.ends, end, np.inf)
        return found

"""Which robot is faulty when: drawn from a mixture in training, given in evaluation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import field_validator

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind


@dataclass
class Schedule:
    """One fault per robot at most, for a batch of episodes; all arrays are `(B, N)`."""

    #: Codes of `FaultKind`.
    kind: NDArray[np.int8]
    #: Onset [s after the start of the episode].
    start_s: NDArray[np.float64]

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
        """Codes of the faults that act at `time_s`, one for all or (B, 1), as (B, N).

        They go to `out` where that is given, and else into a new array.
        """
        if out is None:
            out = np.empty(self.kind.shape, np.int8)
        # 1 where the onset has been, of the codes' own type
        np.less_equal(self.start_s, time_s + 1e-9, out=out.view(np.bool_))
        return np.multiply(out, self.kind, out=out)


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
    #: Probability that the fault is there from the start; otherwise the onset is uniform.
    from_start: float = Setting(0.4, ge=0, le=1)
    #: Latest onset, as a share of the episode.
    latest: float = Setting(0.8, ge=0, le=1)

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: dict[str, float]) -> dict[str, float]:
        check_faulty(kinds)
        if not kinds or min(kinds.values()) < 0 or sum(kinds.values()) <= 0:
            raise ValueError("expected at least one kind with a positive weight")
        return kinds

    def draw(
        self, rng: np.random.Generator, batch: int, num_robots: int, episode_s: float
    ) -> Schedule:
        """Types and onsets of `batch` episodes."""
        words = list(self.kinds)
        weights = np.array([self.kinds[word] for word in words])
        codes = np.array([FaultKind.parse(word) for word in words], np.int8)
        rank = rng.permuted(np.tile(np.arange(num_robots), (batch, 1)), axis=1)
        count = rng.integers(1, self.max_faulty + 1, batch) * (rng.random(batch) < self.probability)
        drawn = codes[rng.choice(len(codes), (batch, num_robots), p=weights / weights.sum())]
        onset = rng.uniform(0.0, self.latest * episode_s, (batch, num_robots))
        onset[rng.random((batch, num_robots)) < self.from_start] = 0.0
        faulty = rank < count[:, None]
        return Schedule(np.where(faulty, drawn, np.int8(FaultKind.NONE)), onset)

"""A replay buffer: the last transitions of all environments, kept in arrays that never move."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.game import Shape
from training.rollout import Rollout


class Transitions(NamedTuple):
    """M transitions, each a joint one of one environment."""

    #: What the agents saw and could do, (M, N, D) and (M, N, A)
    observation: Tensor
    available: Tensor
    #: The critic's input, (M, C)
    state: Tensor
    #: What was carried out, (M, N) int64 or (M, N, A)
    action: Tensor
    #: (M,)
    reward: Tensor
    #: Whether nothing follows, (M,): an end by time limit is none
    terminated: Tensor
    #: The same after the step; where an episode was cut off, in its last moment
    next_observation: Tensor
    next_available: Tensor
    next_state: Tensor


def row_bytes(shape: Shape, state: int) -> int:
    """What one transition takes, where the critic reads `state` numbers [bytes]."""
    action = 8 if shape.num_actions else 4 * shape.action_size
    agent = 2 * (4 * shape.observation + shape.num_actions) + action
    return shape.num_agents * agent + 2 * 4 * state + 4 + 1


class ReplayBuffer:
    """A ring of `capacity` transitions.

    The arrays are made with the first transitions that come, and their pages are taken from the
    system as they fill.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        #: Transitions that it holds.
        self.size = 0
        self._next = 0
        self._columns: Transitions | None = None

    def add(self, rollout: Rollout) -> None:
        """Take in a rollout that was collected with `transitions`; the oldest make room."""
        fields = Transitions(
            rollout.observation, rollout.available, rollout.critic_input, rollout.executed,
            rollout.reward, rollout.ended & ~rollout.truncated, rollout.extra["next_observation"],
            rollout.extra["next_available"], rollout.extra["next_critic_input"],
        )  # fmt: skip
        new = Transitions(*(field.flatten(0, 1)[-self.capacity :] for field in fields))
        columns, count = self._made_for(new), len(new.reward)
        rows = (self._next + torch.arange(count)) % self.capacity
        for column, values in zip(columns, new, strict=True):
            column[rows] = values
        self._next = (self._next + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def sample(self, rng: np.random.Generator, count: int) -> Transitions:
        """Draw `count` transitions uniformly, with replacement."""
        assert self._columns is not None, "there is nothing to sample from"
        rows = torch.from_numpy(rng.integers(self.size, size=count))
        return Transitions(*(column[rows] for column in self._columns))

    def memory(self) -> dict[str, Any]:
        """All that it holds, for a checkpoint."""
        columns = {} if self._columns is None else self._columns._asdict()
        # a slice would be saved with the whole array that it is part of
        held = {name: column[: self.size].clone() for name, column in columns.items()}
        return {"size": self.size, "next": self._next, "columns": held}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take back what `memory` gave."""
        self.size, self._next = memory["size"], memory["next"]
        if not self.size:
            return
        held = Transitions(**memory["columns"])
        for column, values in zip(self._made_for(held), held, strict=True):
            column[: self.size] = values

    def _made_for(self, like: Transitions) -> Transitions:
        if self._columns is None:
            self._columns = Transitions(
                *(torch.zeros(self.capacity, *v.shape[1:], dtype=v.dtype) for v in like)
            )
        return self._columns

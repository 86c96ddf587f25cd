"""What an attack is: who is attacked when, what the victims see, and what the corrupted do.

The victim is a frozen team. An attack may reach it in three places, each a method below: the
schedule of types, the observations of the attacked agents, and the actions of corrupted ones. All
three are asked by the same collector that training uses, and corrupted actions pass through the
same attack process (`eir_ros.faults.attack_process`).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import PrivateAttr, field_validator
from torch import Tensor

from eir_ros.contract.config import Schema
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from training.team import Adversary, Team


@dataclass
class Moment:
    """What there is to be known before a decision; leading axes (B, N)."""

    #: Steps since the collector began; every environment began with it.
    step: int
    #: The frozen team, and its memory before this observation.
    team: Team
    hidden: Tensor
    #: What the world shows the agents, (B, N, D), and which actions they have, (B, N, A).
    observation: Tensor
    available: Tensor
    #: Codes of the faults that are scheduled now, and types, (B, N).
    kinds: Tensor
    types: Tensor
    #: Environments in which an episode begins, (B,).
    fresh: Tensor
    #: What was carried out one step earlier, (B, N) or (B, N, A); None at the first step.
    executed: Tensor | None
    #: The attack's own random numbers.
    noise: torch.Generator
    #: What the team is about to do: scores and actions. None until it has decided.
    scores: Tensor | None = None
    action: Tensor | None = None


class Attack(Schema):
    """An attack with its settings; a subclass overrides what it does.

    Attributes
    ----------
    agents : (B, count) int64
        Who is attacked in each environment; set by `begin`.
    adversary
        The trained adversary that an attack may use; set by `begin`.
    """

    #: One line for tables and help.
    title: ClassVar[str]
    #: What it knows of the victim: "nothing", "observations", "policy" (its probabilities) or
    #: "weights" (gradients).
    sees: ClassVar[str] = "nothing"
    #: Whether it plays a trained adversary, and which decides what it is worth.
    needs_adversary: ClassVar[bool] = False
    #: Agents that are attacked in an episode.
    count: ClassVar[int] = 1
    #: Whether one agent alone is attacked: then each has a return of its own under it, and it may
    #: be the worst case. Others are played on the whole team.
    on_one: ClassVar[bool] = True
    #: Fault of the attacked agents; NONE where they stay cooperative and are only deceived.
    kind: ClassVar[FaultKind] = FaultKind.ADVERSARY

    _agents: NDArray[np.int64] = PrivateAttr()
    _adversary: Adversary | None = PrivateAttr(default=None)

    @property
    def agents(self) -> NDArray[np.int64]:
        """Who is attacked in each environment, (B, count)."""
        return self._agents

    def begin(self, agents: NDArray[np.int64], adversary: Adversary | None) -> None:
        """Fresh episodes begin in every environment, with `agents` (B, count) attacked."""
        self._agents, self._adversary = agents, adversary

    def schedule(self, num_agents: int, steps: int) -> Schedule:
        """Faults of these episodes; onsets in *steps*, which the evaluator turns into seconds."""
        found = Schedule.healthy(len(self.agents), num_agents)
        np.put_along_axis(found.kind, self.agents, np.int8(self.fault), axis=1)
        found.start_s[...] = self.onset(steps)
        return found

    @property
    def fault(self) -> FaultKind:
        """Fault of the attacked agents."""
        return self.kind

    def onset(self, steps: int) -> int:
        """Step at which the fault starts in an episode of `steps`."""
        return 0

    def observe(self, moment: Moment) -> Tensor:
        """What the agents see instead of `moment.observation`, (B, N, D)."""
        return moment.observation

    @property
    def spares_belief(self) -> bool:
        """Whether beliefs still read the true observation."""
        return False

    def acting(self, moment: Moment) -> Tensor:
        """Agents whose action is replaced at this step, (B, N) bool."""
        return moment.kinds == FaultKind.ADVERSARY

    def act(self, moment: Moment) -> Tensor:
        """Actions of the agents that are `acting`, (B, N) or (B, N, A); others are not read."""
        return self.learned_action(moment)

    def learned_scores(self, moment: Moment) -> Tensor:
        """The trained adversary's scores in the place of every agent, (B, N, S).

        It is told that the attacked agents are corrupted, and in the place of one that is not,
        that this one is.
        """
        assert self._adversary is not None, f"'{type(self).__name__}' needs an adversary"
        n = moment.kinds.shape[-1]
        corrupted = torch.zeros(moment.kinds.shape).scatter(1, torch.from_numpy(self.agents), 1.0)
        everyone = torch.maximum(corrupted.unsqueeze(-2), torch.eye(n))
        scores = self._adversary(moment.observation, everyone)
        return self._adversary.actions.restrict(scores, moment.available)

    def learned_goal(self, moment: Moment) -> Tensor:
        """What the trained adversary would do in the place of every agent.

        Scores (B, N, S), or best actions (B, N, A) where they are continuous.
        """
        scores = self.learned_scores(moment)
        assert self._adversary is not None
        return scores if moment.available.shape[-1] else self._adversary.actions.best(scores)

    def learned_action(self, moment: Moment) -> Tensor:
        """A draw from the trained adversary in the place of every agent, (B, N)."""
        scores = self.learned_scores(moment)
        assert self._adversary is not None
        return self._adversary.actions.sample(scores, moment.noise)


class Nobody(Attack):
    """No attack: what the team is worth by itself."""

    title: ClassVar[str] = "no attack"
    on_one: ClassVar[bool] = False
    kind: ClassVar[FaultKind] = FaultKind.NONE


class WithFault(Attack):
    """A fault of the field: any kind that the world knows, `stop` or `mute` for robots."""

    title: ClassVar[str] = "a fault of the field"

    word: str = "random_action"
    #: Share of the time limit after which it starts; episodes may be over long before that limit.
    after: float = Setting(0.0, ge=0, lt=1)

    @field_validator("word")
    @classmethod
    def _known(cls, word: str) -> str:
        return FaultKind.parse(word).word

    @property
    def fault(self) -> FaultKind:
        """The fault itself."""
        return FaultKind.parse(self.word)

    def onset(self, steps: int) -> int:
        """After the share `after` of the time limit."""
        return int(self.after * steps)


def legal(action: Tensor, available: Tensor) -> Tensor:
    """`action` (...), or the first available one (..., A) where it is not available.

    Continuous actions are always available.
    """
    if not available.shape[-1]:
        return action
    possible = available.gather(-1, action.unsqueeze(-1)).squeeze(-1)
    return torch.where(possible, action, available.float().argmax(-1))

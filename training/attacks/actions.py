"""Attacks through the actions of corrupted agents."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import PrivateAttr
from torch import Tensor

from eir_ros.contract.faults import FaultKind
from training.attacks.base import Attack, Moment, legal
from training.team import Adversary


class RandomAction(Attack):
    """Every action of the attacked agent is drawn uniformly from those it has."""

    title: ClassVar[str] = "random agent"
    kind: ClassVar[FaultKind] = FaultKind.RANDOM_ACTION


class Learned(Attack):
    """A trained adversary, as it is: the worst case, or one transferred from another victim."""

    title: ClassVar[str] = "learned adversary"
    sees: ClassVar[str] = "observations"
    needs_adversary: ClassVar[bool] = True


class Frozen(Attack):
    """The attacked agent repeats the last action it took as a cooperative one."""

    title: ClassVar[str] = "frozen agent"

    #: Share of the time limit after which it freezes; see `WithFault`.
    after: float = Setting(0.1, ge=0, lt=1)

    def onset(self, steps: int) -> int:
        """It freezes here."""
        return int(self.after * steps)

    def act(self, moment: Moment) -> Tensor:
        """What was carried out one step earlier; where that is not possible, the first legal."""
        assert moment.action is not None
        last = moment.action if moment.executed is None else moment.executed
        shape = (-1,) + (1,) * (last.dim() - 1)
        last = torch.where(moment.fresh.reshape(shape), moment.action, last)
        return legal(last, moment.available)


class Intermittent(Attack):
    """A learned adversary that comes and goes: spells of random length, cooperative between."""

    title: ClassVar[str] = "intermittent adversary"
    sees: ClassVar[str] = "observations"
    needs_adversary: ClassVar[bool] = True

    #: Mean length of a spell, and of what lies between two [steps]; both geometric.
    on_steps: float = Setting(5.0, ge=1)
    off_steps: float = Setting(5.0, ge=1)

    _on: Tensor | None = PrivateAttr(default=None)

    def acting(self, moment: Moment) -> Tensor:
        """The attacked agents, during a spell."""
        draw = torch.rand(moment.kinds.shape, generator=moment.noise)
        starts = draw < self.on_steps / (self.on_steps + self.off_steps)
        if self._on is None or moment.step == 0:
            self._on = starts
        leave = draw < torch.where(self._on, 1 / self.on_steps, 1 / self.off_steps)
        self._on = torch.where(moment.fresh.unsqueeze(-1), starts, self._on ^ leave)
        return (moment.kinds == FaultKind.ADVERSARY) & self._on


class LateSwitch(Attack):
    """Cooperative until some moment, so that the trust it earned is what it exploits."""

    title: ClassVar[str] = "late switch"
    sees: ClassVar[str] = "observations"
    needs_adversary: ClassVar[bool] = True

    #: Share of the time limit after which it turns; see `WithFault`.
    after: float = Setting(0.3, ge=0, lt=1)

    def onset(self, steps: int) -> int:
        """It turns here."""
        return int(self.after * steps)


class TwoAdversaries(Attack):
    """Two agents at once, each played by the learned adversary, who know of each other."""

    title: ClassVar[str] = "two adversaries"
    sees: ClassVar[str] = "observations"
    needs_adversary: ClassVar[bool] = True
    count: ClassVar[int] = 2
    on_one: ClassVar[bool] = False


class Budgeted(Attack):
    """A learned adversary that may act in a few steps only, and picks those that matter.

    Strategically timed (Lin et al., *Tactics of adversarial attack on deep reinforcement learning
    agents*, IJCAI 2017): a step matters where the attacked agent's own policy is sure of what it
    does, by the gap between its likeliest and its least likely available action. It acts in those
    steps whose gap is among the largest share `budget` of all gaps so far, so that some of the
    budget may be left in the end.
    """

    title: ClassVar[str] = "budgeted adversary"
    sees: ClassVar[str] = "policy"
    needs_adversary: ClassVar[bool] = True

    #: Share of the steps of an episode in which it may act.
    budget: float = Setting(0.25, gt=0, le=1)

    _spent: Tensor = PrivateAttr()
    _age: Tensor = PrivateAttr()
    _seen: list[Tensor] = PrivateAttr(default_factory=list)

    def begin(self, agents: NDArray[np.int64], adversary: Adversary | None) -> None:
        """Nothing is spent yet."""
        super().begin(agents, adversary)
        self._seen = []

    def acting(self, moment: Moment) -> Tensor:
        """The attacked agents, where the step matters more than most so far and budget is left."""
        gap = sureness(moment)
        if moment.step == 0:
            self._spent, self._age = torch.zeros(gap.shape), torch.zeros(len(gap), 1)
        new = moment.fresh.unsqueeze(-1)
        self._spent, self._age = self._spent * ~new, self._age * ~new + 1
        self._seen.append(gap)
        rank = (torch.stack(self._seen) > gap).float().mean(0)
        allowed = self._spent + 1 <= torch.ceil(self.budget * self._age)
        chosen = (moment.kinds == FaultKind.ADVERSARY) & (rank <= self.budget) & allowed
        self._spent = self._spent + chosen.float()
        return chosen


def sureness(moment: Moment) -> Tensor:
    """How sure the team is of what it does, (B, N): the gap of its probabilities, in [0, 1].

    1 where actions are continuous: policies of that kind do not tell.
    """
    assert moment.scores is not None
    if not moment.available.shape[-1]:
        return torch.ones(moment.kinds.shape)
    chances = torch.softmax(moment.scores, -1)
    least = chances.masked_fill(~moment.available, 2.0).amin(-1)
    return chances.amax(-1) - least

"""A coordinated attack over several steps and agents, in the spirit of Wolfpack."""

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import PrivateAttr
from torch import Tensor

from eir_ros.contract.faults import FaultKind
from training.attacks.actions import sureness
from training.attacks.base import Attack, Moment
from training.team import Adversary


class Wolfpack(Attack):
    """Hit one agent, then those that come to its help.

    Lee et al., *Wolfpack adversarial attack for robust multi-agent reinforcement learning* (ICML
    2025). A hunt begins with one agent whose action is replaced for one step, where its policy is
    sure of itself. In the steps that follow, the agents whose policies changed most in response are
    hit. Nobody stays corrupted, so there is nobody to be found out for good. Actions come from the
    trained adversary. The original picks moments by a planner and responders by changes of values;
    here both are read off the policy, which is all that a frozen actor offers.
    """

    title: ClassVar[str] = "wolfpack"
    sees: ClassVar[str] = "policy"
    needs_adversary: ClassVar[bool] = True
    kind: ClassVar[FaultKind] = FaultKind.NONE
    on_one: ClassVar[bool] = False

    #: Hunts in an episode, agents that are hit after the first, and for how many steps.
    hunts: int = Setting(4, ge=1)
    followers: int = Setting(1, ge=1)
    chase: int = Setting(3, ge=1)

    #: Hunts begun, steps of the chase that are left, and who is chased.
    _begun: Tensor = PrivateAttr()
    _left: Tensor = PrivateAttr()
    _chased: Tensor = PrivateAttr()
    _before: Tensor | None = PrivateAttr(default=None)

    def begin(self, agents: NDArray[np.int64], adversary: Adversary | None) -> None:
        """No hunt is on."""
        super().begin(agents, adversary)
        b = len(agents)
        self._begun, self._left = torch.zeros(b), torch.zeros(b)
        self._before = None

    def acting(self, moment: Moment) -> Tensor:
        """The agents that are hit at this step, (B, N)."""
        assert moment.scores is not None
        n = moment.kinds.shape[-1]
        first = torch.from_numpy(self.agents[:, 0])
        policy = _policy(moment)
        self._begun, self._left = self._begun * ~moment.fresh, self._left * ~moment.fresh

        starting = self._left == self.chase
        if self._before is not None and starting.any():
            response = (policy - self._before).abs().sum(-1)
            response.scatter_(1, first.unsqueeze(-1), -1.0)
            most = response.topk(min(self.followers, n - 1), dim=-1).indices
            hit = torch.zeros(response.shape, dtype=torch.bool).scatter(1, most, True)
            self._chased = torch.where(starting.unsqueeze(-1), hit, self._chased)
        elif self._before is None:
            self._chased = torch.zeros(moment.kinds.shape, dtype=torch.bool)

        chasing = self._left > 0
        sure = sureness(moment).gather(1, first.unsqueeze(-1)).squeeze(-1) > 0.5
        begins = ~chasing & sure & (self._begun < self.hunts)
        acting = self._chased & chasing.unsqueeze(-1)
        acting[begins.nonzero().squeeze(-1), first[begins]] = True
        self._begun = self._begun + begins.float()
        self._left = torch.where(begins, float(self.chase), (self._left - 1).clamp(min=0))
        self._before = policy
        return acting


def _policy(moment: Moment) -> Tensor:
    """What is compared from one step to the next: probabilities, or best actions, (B, N, ...)."""
    assert moment.scores is not None
    if moment.available.shape[-1]:
        return torch.softmax(moment.scores, -1)
    return moment.team.actions.best(moment.scores)

"""Attacks through what agents see: nobody is corrupted, somebody is deceived."""

from typing import ClassVar

import torch
from pydantic import Field as Setting
from torch import Tensor

from eir_ros.contract.faults import FaultKind
from training.attacks.base import Attack, Moment


class TargetedPgd(Attack):
    """Projected gradient descent on one agent's observation, towards what an adversary would do.

    Madry et al. 2018, targeted as in Lin et al., *On the robustness of cooperative multi-agent
    reinforcement learning* (2020): sign steps on the squared distance between the scores of the
    deceived policy and those of the trained adversary in its place (best actions, where they are
    continuous), kept within an l-inf ball.
    Observations are changed in their own units, as the networks are given them.
    """

    title: ClassVar[str] = "targeted PGD"
    sees: ClassVar[str] = "weights"
    needs_adversary: ClassVar[bool] = True
    kind: ClassVar[FaultKind] = FaultKind.NONE

    #: Radius of the ball.
    epsilon: float = Setting(0.5, ge=0)
    #: Sign steps, and the length of each as a share of `epsilon`.
    steps: int = Setting(5, ge=1)
    step: float = Setting(1 / 3, gt=0, le=1)
    #: The belief reads the true observation; only the actor is deceived.
    clean_belief: bool = False

    @property
    def spares_belief(self) -> bool:
        """Whether beliefs still read the true observation."""
        return self.clean_belief

    def observe(self, moment: Moment) -> Tensor:
        """The attacked agents' observations, bent within the ball."""
        team, true = moment.team, moment.observation
        attacked = torch.zeros(moment.kinds.shape).scatter(1, torch.from_numpy(self.agents), 1.0)
        attacked, goal = attacked.unsqueeze(-1), self.learned_goal(moment)
        seen = true
        with torch.enable_grad():
            for _ in range(self.steps):
                seen = seen.detach().requires_grad_()
                believed = true if self.clean_belief else seen
                belief, memory = team.believe(believed, moment.hidden, moment.types)
                scores = team.scores(team.actor_input(seen, belief), memory)
                scores = team.actions.restrict(scores, moment.available)
                aim = scores if moment.available.shape[-1] else team.actions.best(scores)
                distance = ((aim - goal).square() * attacked).sum()
                slope = torch.autograd.grad(distance, seen)[0].sign() * attacked
                bend = seen - self.step * self.epsilon * slope - true
                seen = true + bend.clamp(-self.epsilon, self.epsilon)
        return seen.detach()


class Noise(Attack):
    """Uniform noise on everything that every agent sees."""

    title: ClassVar[str] = "noise on all"
    on_one: ClassVar[bool] = False
    kind: ClassVar[FaultKind] = FaultKind.NONE

    #: Largest change of each number, in its own units.
    epsilon: float = Setting(0.5, ge=0)

    def observe(self, moment: Moment) -> Tensor:
        """All observations, each number moved by at most `epsilon`."""
        seen = moment.observation
        return seen + self.epsilon * (2 * torch.rand(seen.shape, generator=moment.noise) - 1)

"""Collect one episode per environment under the attack process."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import teammates
from eir_ros.faults.attack_process import executed_actions
from sim.swarm.env import CoverageEnv
from training.networks import Adversary, BeliefSource, Critic, Team, trusting


@dataclass
class Rollout:
    """One episode of each of B environments; the leading axes are (T, B, N) or (T, B)."""

    #: (T, B, N, D)
    observation: Tensor
    #: What the actor was told of its teammates' types, (T, B, N, N-1, K+1)
    belief: Tensor
    #: Actions of the team's policy and their log-probabilities, (T, B, N)
    action: Tensor
    log_prob: Tensor
    #: The same for the adversary
    adversary_action: Tensor
    adversary_log_prob: Tensor
    #: Codes of `FaultKind` at each decision, (T, B, N)
    kinds: Tensor
    #: The critic's input, (T, B, C)
    critic_input: Tensor
    #: V of each decision and of what follows the last one, (T + 1, B)
    value: Tensor
    #: (T, B)
    reward: Tensor

    @property
    def types(self) -> Tensor:
        """θ, (T, B, N): 1 where a robot is corrupted."""
        return (self.kinds != FaultKind.NONE).long()

    @property
    def teammate_types(self) -> Tensor:
        """θ of each teammate, (T, B, N, N-1)."""
        return self.types[..., torch.from_numpy(teammates(self.kinds.shape[-1]))]


def one_hot_types(types: Tensor, num_types: int) -> Tensor:
    """The belief that is certain of the true types of the teammates, (..., N, N-1, K+1)."""
    order = torch.from_numpy(teammates(types.shape[-1]))
    return torch.nn.functional.one_hot(types[..., order], num_types).float()


class Collector:
    """Steps environments with a team, an adversary and a critic.

    Parameters
    ----------
    greedy
        The team takes its most likely action, as robots do, instead of sampling.
    """

    def __init__(
        self, env: CoverageEnv, team: Team, adversary: Adversary, critic: Critic, greedy: bool
    ) -> None:
        self.env, self.team, self.adversary, self.critic = env, team, adversary, critic
        self.greedy = greedy

    @torch.no_grad()
    def collect(self, seed: list[int], teacher: float = 0.0, **reset: Any) -> Rollout:
        """Reset all environments and play their episodes to the end.

        Parameters
        ----------
        seed
            Everything random in these episodes follows from it.
        teacher
            Probability, per episode, that true types stand in for beliefs (never in evaluation).
        reset
            Passed on to `CoverageEnv.reset`.
        """
        env, rng = self.env, np.random.default_rng([*seed, 1])
        noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
        observation = env.reset([*seed, 0], **reset)
        taught = torch.from_numpy(rng.random((env.batch, 1, 1, 1)) < teacher)
        hidden = self.team.initial_state(env.batch, env.num_agents)
        steps: list[dict[str, Tensor]] = []
        for _ in range(env.episode_decisions):
            step, hidden = self._decide(observation, hidden, taught, noise)
            uniform = rng.integers(0, env.available_actions.shape[-1], step["action"].shape)
            executed = executed_actions(
                step["action"].numpy(), step["adversary_action"].numpy(), uniform, env.kinds
            )
            observation, reward, _, _, info = env.step(executed)
            step["reward"] = torch.from_numpy(reward.copy())
            steps.append(step)
        after = self.critic.inputs(
            torch.from_numpy(info["final_team_state"]), torch.from_numpy(info["final_kinds"])
        )
        columns = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
        # The time limit is a truncation: the value of what would have followed still counts.
        value = self.critic(torch.cat([columns["critic_input"], after.unsqueeze(0)]))
        return Rollout(**columns, value=value)

    def _decide(
        self, seen: np.ndarray, hidden: Tensor, taught: Tensor, noise: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        # the environment writes its arrays again at the next step
        observation = torch.from_numpy(seen.copy())
        kinds = torch.from_numpy(self.env.kinds)
        types = (kinds != FaultKind.NONE).long()
        belief, hidden = self._believe(observation, hidden, types, taught)
        logits = self.team.logits(self.team.actor_input(observation, belief))
        action, log_prob = sample(logits, None if self.greedy else noise)
        everyone = types.float().unsqueeze(-2).expand(*types.shape, types.shape[-1])
        adversary_action, adversary_log_prob = sample(self.adversary(observation, everyone), noise)
        state = torch.from_numpy(self.env.team_state)
        step = {
            "observation": observation,
            "belief": belief,
            "action": action,
            "log_prob": log_prob,
            "adversary_action": adversary_action,
            "adversary_log_prob": adversary_log_prob,
            "kinds": kinds,
            "critic_input": self.critic.inputs(state, kinds),
        }
        return step, hidden

    def _believe(
        self, observation: Tensor, hidden: Tensor, types: Tensor, taught: Tensor
    ) -> tuple[Tensor, Tensor]:
        truth = one_hot_types(types, self.team.num_types)
        if self.team.source is BeliefSource.TRUE:
            return truth, hidden
        if self.team.source is BeliefSource.NONE:
            return trusting(truth), hidden
        log_belief, hidden = self.team.beliefs(observation.unsqueeze(0), hidden)
        return torch.where(taught, truth, log_belief[0].exp()), hidden


def sample(logits: Tensor, noise: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draw actions by the Gumbel trick, or the most likely ones without `noise`.

    Returns
    -------
    action, log_prob : (...)
    """
    log_probs = torch.log_softmax(logits, dim=-1)
    scores = log_probs
    if noise is not None:
        uniform = torch.rand(logits.shape, generator=noise).clamp_(1e-9, 1 - 1e-7)
        scores = log_probs - torch.log(-torch.log(uniform))
    action = scores.argmax(-1)
    return action, log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)

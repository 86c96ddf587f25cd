"""EIR-MAPPO: multi-agent PPO for the Bayesian game (Li et al. 2024, section 4 and appendix).

The whole algorithm is in this file. MAPPO, EAR-MAPPO, recurrent EAR-MAPPO and True Type are
the same code with another `training.methods.Method`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from eir_ros.contract.faults import FaultKind
from training.networks import Adversary, BeliefSource, Critic, Team
from training.recipe import Descent, Recipe
from training.rollout import Rollout


@dataclass
class Targets:
    """What the rollout teaches; all of one shape, (T, B)."""

    advantage: Tensor
    returns: Tensor


def generalised_advantages(rollout: Rollout, gamma: float, gae_lambda: float) -> Targets:
    """Advantages and returns under the executed joint actions (Schulman et al. 2016).

    The rewards are those of ā ~ π̄(· | H, b, θ), policy and adversary alike, so the returns are
    samples of the robust Harsanyi-Bellman value: its sums over θ and ā' are taken by the
    environment's draws, and V conditions on the θ that was drawn. The last value bootstraps,
    because episodes end by truncation.
    """
    advantage = torch.zeros_like(rollout.reward)
    running = torch.zeros_like(rollout.reward[0])
    for t in reversed(range(len(rollout.reward))):
        delta = rollout.reward[t] + gamma * rollout.value[t + 1] - rollout.value[t]
        running = delta + gamma * gae_lambda * running
        advantage[t] = running
    return Targets(advantage, advantage + rollout.value[:-1])


def normalised(advantage: Tensor, mask: Tensor) -> Tensor:
    """Zero mean and unit spread over the entries that are trained on (`mask`), zero elsewhere."""
    count = mask.sum().clamp(min=1)
    mean = (advantage * mask).sum() / count
    variance = ((advantage - mean).square() * mask).sum() / count
    return (advantage - mean) / torch.sqrt(variance + 1e-8) * mask


@dataclass
class PolicyLoss:
    """The clipped surrogate and what to watch about it."""

    loss: Tensor
    ratio: Tensor
    entropy: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor


def policy_loss(
    logits: Tensor, action: Tensor, old_log_prob: Tensor, advantage: Tensor, mask: Tensor,
    clip: float, entropy_weight: float,
) -> PolicyLoss:  # fmt: skip
    """Clipped PPO loss averaged over the entries where `mask` is 1; all but logits are (...)."""
    log_probs = torch.log_softmax(logits, dim=-1)
    log_ratio = log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1) - old_log_prob
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    gain = torch.minimum(ratio * advantage, clipped * advantage)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    count = mask.sum().clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return (values * mask).sum() / count

    with torch.no_grad():
        approx_kl = mean(ratio - 1 - log_ratio)
        clip_fraction = mean(((ratio - 1).abs() > clip).float())
    loss = -mean(gain) - entropy_weight * mean(entropy)
    return PolicyLoss(loss, ratio.detach(), mean(entropy).detach(), approx_kl, clip_fraction)


class Learner:
    """Team, adversary and critic with their optimisers.

    Parameters
    ----------
    recipe
        All settings.
    team, adversary, critic
        Networks to be trained in place.
    """

    def __init__(self, recipe: Recipe, team: Team, adversary: Adversary, critic: Critic) -> None:
        self.recipe, self.team, self.adversary, self.critic = recipe, team, adversary, critic
        policy = list(team.actor.parameters())
        if team.source is BeliefSource.LATENT:
            policy += list(team.belief.parameters())
        self.optimisers = {
            "policy": torch.optim.Adam(policy, eps=1e-5),
            "adversary": torch.optim.Adam(adversary.actor.parameters(), eps=1e-5),
            "critic": torch.optim.Adam(critic.net.parameters(), eps=1e-5),
            "belief": torch.optim.Adam(team.belief.parameters(), eps=1e-5),
        }

    def update(self, rollout: Rollout, progress: float, seed: list[int]) -> dict[str, float]:
        """One iteration of learning from `rollout`; returns what to log.

        Parameters
        ----------
        progress
            Share of the run that is done, in [0, 1]; moves the annealed settings.
        seed
            Fixes the minibatches.
        """
        self._rng = np.random.default_rng(seed)
        settings = self.recipe.critic
        targets = generalised_advantages(rollout, settings.gamma, settings.gae_lambda)
        metrics = self.update_policy(rollout, targets, progress)
        metrics |= self.update_adversary(rollout, targets, progress)
        metrics |= self.update_critic(rollout, targets, progress)
        if self.team.source is BeliefSource.LEARNED:
            metrics |= self.update_belief(rollout, progress)
        self.update_normalisers(rollout)
        return metrics

    def update_attack(self, rollout: Rollout, progress: float, seed: list[int]) -> dict[str, float]:
        """One iteration in which only the adversary learns: the team is a frozen victim."""
        self._rng = np.random.default_rng(seed)
        settings = self.recipe.critic
        targets = generalised_advantages(rollout, settings.gamma, settings.gae_lambda)
        metrics = self.update_adversary(rollout, targets, progress)
        return metrics | self.update_critic(rollout, targets, progress)

    def update_policy(
        self, rollout: Rollout, targets: Targets, progress: float
    ) -> dict[str, float]:
        """Defender: E[(1 - θ^i) ∇ log π(a^i | H^i, b^i) A], clipped."""
        settings = self.recipe.policy
        mask = (rollout.types == 0).float()
        advantage = normalised(targets.advantage.unsqueeze(-1).expand_as(mask), mask)
        latent = self.team.source is BeliefSource.LATENT
        with torch.no_grad():
            pairs = self.team.features.pairs(rollout.observation) if latent else None
            fixed = self.team.actor_input(rollout.observation, rollout.belief)
        losses = []
        for envs in self._minibatches(settings):
            inputs = fixed[:, envs]
            if pairs is not None:
                # The belief is part of the policy here: run it again, with gradients.
                belief = self._sequence(pairs[:, envs]).exp()
                inputs = self.team.actor_input(rollout.observation[:, envs], belief)
            found = policy_loss(
                self.team.logits(inputs), rollout.action[:, envs], rollout.log_prob[:, envs],
                advantage[:, envs], mask[:, envs], settings.clip, settings.entropy.at(progress),
            )  # fmt: skip
            self._descend("policy", found.loss, settings, progress)
            losses.append(found)
        return _summary("policy", losses)

    def update_adversary(
        self, rollout: Rollout, targets: Targets, progress: float
    ) -> dict[str, float]:
        """Adversary: E[-θ^i ∇ log π̂(â^i | H^i, θ) A], clipped, on the decisions it took."""
        settings = self.recipe.adversary
        acted = rollout.kinds == FaultKind.ADVERSARY
        if not acted.any():
            return {}
        types = rollout.types.float().unsqueeze(-2).expand(*acted.shape, acted.shape[-1])
        inputs = self.adversary.actor_input(rollout.observation[acted], types[acted])
        team_advantage = targets.advantage.unsqueeze(-1).expand(acted.shape)[acted]
        ones = torch.ones(len(inputs))
        advantage = normalised(-team_advantage, ones)
        action, log_prob = rollout.adversary_action[acted], rollout.adversary_log_prob[acted]
        losses = []
        for rows in _chunks(self._rng, len(inputs), settings):
            found = policy_loss(
                self.adversary.logits(inputs[rows]), action[rows], log_prob[rows], advantage[rows],
                ones[rows], settings.clip, settings.entropy.at(progress),
            )  # fmt: skip
            self._descend("adversary", found.loss, settings, progress)
            losses.append(found)
        self.adversary.normaliser.update(inputs)
        return _summary("adversary", losses)

    def update_critic(
        self, rollout: Rollout, targets: Targets, progress: float
    ) -> dict[str, float]:
        """Regress V on the returns, in units of their running spread, with a Huber loss."""
        settings = self.recipe.critic
        inputs, returns = rollout.critic_input.flatten(0, 1), targets.returns.flatten()
        residual = returns - rollout.value[:-1].flatten()
        explained = 1 - residual.var() / returns.var().clamp(min=1e-8)
        self.critic.returns.update(returns.unsqueeze(-1))
        self.critic.normaliser.update(inputs)
        goal = self.critic.returns(returns.unsqueeze(-1)).squeeze(-1)
        for rows in _chunks(self._rng, len(inputs), settings):
            loss = nn.functional.huber_loss(
                self.critic.normalised(inputs[rows]), goal[rows], delta=settings.huber
            )
            self._descend("critic", loss, settings, progress)
        return {"critic/explained_variance": explained.item(), "critic/loss": loss.item()}

    def update_belief(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Cross-entropy to the true types over whole episodes, for healthy observers."""
        settings = self.recipe.belief
        with torch.no_grad():
            pairs = self.team.features.pairs(rollout.observation)
        labels = rollout.teammate_types
        observers = (rollout.types == 0).float().unsqueeze(-1).expand(labels.shape)
        for envs in self._minibatches(settings):
            log_belief = self._sequence(pairs[:, envs])
            surprise = -log_belief.gather(-1, labels[:, envs].unsqueeze(-1)).squeeze(-1)
            mask = observers[:, envs]
            loss = (surprise * mask).sum() / mask.sum()
            self._descend("belief", loss, settings, progress)
        right = (log_belief.argmax(-1) == labels[:, envs]).float()
        accuracy = (right * mask).sum() / mask.sum()
        return {"belief/loss": loss.item(), "belief/accuracy": accuracy.item()}

    def update_normalisers(self, rollout: Rollout) -> None:
        """Take in this rollout's inputs: after learning, so that the PPO ratio starts at 1."""
        with torch.no_grad():
            self.team.normaliser.update(self.team.actor_input(rollout.observation, rollout.belief))
            if self.team.uses_network():
                self.team.belief.normaliser.update(self.team.features.pairs(rollout.observation))

    def _sequence(self, pairs: Tensor) -> Tensor:
        """Log-beliefs over whole episodes, (T, b, N, N-1, K+1), from (T, b, N, N-1, F)."""
        flat = pairs.flatten(1, -2)
        state = torch.zeros(flat.shape[1], self.team.belief.hidden)
        log_belief, _ = self.team.belief(flat, state)
        return log_belief.unflatten(1, pairs.shape[1:-1])

    def _minibatches(self, settings: Descent) -> Iterator[np.ndarray]:
        """Environments of each minibatch: whole episodes, so that beliefs can be run again."""
        return _chunks(self._rng, self.recipe.batch, settings)

    def _descend(self, name: str, loss: Tensor, settings: Descent, progress: float) -> None:
        """One clipped step of the optimiser `name`."""
        optimiser = self.optimisers[name]
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate.at(progress)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, settings.max_gradient_norm)
        optimiser.step()


def _chunks(rng: np.random.Generator, count: int, settings: Descent) -> Iterator[np.ndarray]:
    for _ in range(settings.epochs):
        yield from np.array_split(rng.permutation(count), settings.minibatches)


def _summary(name: str, losses: list[PolicyLoss]) -> dict[str, float]:
    return {
        f"{name}/first_ratio_error": (losses[0].ratio - 1).abs().max().item(),
        f"{name}/entropy": losses[-1].entropy.item(),
        f"{name}/approx_kl": losses[-1].approx_kl.item(),
        f"{name}/clip_fraction": losses[-1].clip_fraction.item(),
    }

"""Clipped policy optimisation: advantages, their normalisation, and the surrogate loss."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training import ranks
from training.actions import Actions
from training.rollout import Rollout


@dataclass
class Targets:
    """What the rollout teaches; all of one shape, (T, B)."""

    advantage: Tensor
    returns: Tensor


def generalised_advantages(rollout: Rollout, gamma: float, gae_lambda: float) -> Targets:
    """Advantages and returns under the executed joint actions (Schulman et al. 2016).

    The rewards are those of ā ~ π̄(· | H, b, θ), policy and adversary alike, so the returns are
    samples of the robust Harsanyi-Bellman value (Li et al. 2024, equation 2): its sums over θ and
    ā' are taken by the environment's draws, and V conditions on the θ that was drawn. An episode
    that terminated is worth nothing afterwards; one that was truncated is worth what the critic
    says; neither says anything of the episode that follows.
    """
    advantage = torch.zeros_like(rollout.reward)
    running = torch.zeros_like(rollout.reward[0])
    goes_on = (~rollout.ended).float()
    for t in reversed(range(len(rollout.reward))):
        delta = rollout.reward[t] + gamma * rollout.next_value[t] - rollout.value[t]
        running = delta + gamma * gae_lambda * goes_on[t] * running
        advantage[t] = running
    return Targets(advantage, advantage + rollout.value)


def normalised(advantage: Tensor, mask: Tensor) -> Tensor:
    """Zero mean and unit spread over the entries that are trained on (`mask`), zero elsewhere."""
    count = ranks.total(mask.sum()).clamp(min=1)
    mean = ranks.total((advantage * mask).sum()) / count
    variance = ranks.total(((advantage - mean).square() * mask).sum()) / count
    return (advantage - mean) / torch.sqrt(variance + 1e-8) * mask


@dataclass
class PolicyLoss:
    """The clipped surrogate and what to watch about it: this rank's part of each mean."""

    loss: Tensor
    ratio: Tensor
    entropy: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor


def policy_loss(
    actions: Actions, scores: Tensor, action: Tensor, old_log_prob: Tensor, advantage: Tensor,
    mask: Tensor, clip: float, entropy_weight: float,
) -> PolicyLoss:  # fmt: skip
    """Clipped PPO loss averaged over the entries where `mask` (...) is 1, those of all ranks.

    Parameters
    ----------
    scores, action
        See `training.actions`.
    old_log_prob, advantage, mask : (...)
    """
    log_ratio = actions.log_prob(scores, action) - old_log_prob
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    gain = torch.minimum(ratio * advantage, clipped * advantage)
    entropy = actions.entropy(scores)
    count = ranks.total(mask.sum()).clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return (values * mask).sum() / count

    with torch.no_grad():
        approx_kl = mean(ratio - 1 - log_ratio)
        clip_fraction = mean(((ratio - 1).abs() > clip).float())
        first = torch.where(mask > 0, ratio, 1.0)
    loss = -mean(gain) - entropy_weight * mean(entropy)
    return PolicyLoss(loss, first, mean(entropy).detach(), approx_kl, clip_fraction)


def summary(name: str, losses: list[PolicyLoss]) -> dict[str, float]:
    """What to log of one update of the policy `name`, by all ranks."""
    ratio, last = losses[0].ratio, losses[-1]
    return {
        f"{name}/first_ratio_error": (ratio - 1).abs().max().item() if ratio.numel() else 0.0,
        f"{name}/entropy": ranks.total(last.entropy).item(),
        f"{name}/approx_kl": ranks.total(last.approx_kl).item(),
        f"{name}/clip_fraction": ranks.total(last.clip_fraction).item(),
    }

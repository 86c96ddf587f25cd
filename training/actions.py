"""Distributions over actions: categorical for discrete ones, Gaussian for continuous ones.

A policy network puts out *scores*, whatever the kind of action: logits (..., A), or means and
logarithms of standard deviations (..., 2 A). All functions keep the leading dimensions.

Methods that follow the gradient of a critic of actions need more of them: see `Smooth`.
"""

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from training.game import Shape
from training.networks import log_softmax

#: Logit of an action that is not available: its probability is exactly zero in float32.
UNAVAILABLE = -1e9
#: Bounds of the logarithm of a standard deviation, for actions in [-1, 1].
LOG_STD = (-3.0, 0.5)


class Actions(Protocol):
    """One kind of action."""

    #: Numbers that a policy network puts out.
    num_scores: int

    def restrict(self, scores: Tensor, available: Tensor) -> Tensor:
        """Scores under which actions that are not `available` (..., A) have no probability."""

    def sample(self, scores: Tensor, noise: torch.Generator) -> Tensor:
        """Draw actions, (...) int64 or (..., A) float32."""

    def best(self, scores: Tensor) -> Tensor:
        """The likeliest actions."""

    def log_prob(self, scores: Tensor, action: Tensor) -> Tensor:
        """Log-probability (density) of `action`, (...)."""

    def entropy(self, scores: Tensor) -> Tensor:
        """Entropy, (...)."""


class Smooth(Actions, Protocol):
    """Actions that a critic reads as vectors, and that gradients pass through."""

    #: Numbers of the vector of one action.
    size: int

    def vector(self, action: Tensor) -> Tensor:
        """The action as a critic reads it, (..., size)."""

    def draw(self, scores: Tensor, noise: torch.Generator) -> Tensor:
        """The policy's action as a vector, without exploration, (..., size)."""

    def relaxed(self, scores: Tensor, temperature: float, noise: torch.Generator) -> Tensor:
        """The same, or what comes near it, with a gradient."""

    def inside(self, vector: Tensor) -> Tensor:
        """`vector`, or the nearest one that is an action."""

    def explore(self, width: float) -> None:
        """How far to stray from the best action while collecting."""


class Discrete:
    """A categorical distribution over `count` actions."""

    def __init__(self, count: int) -> None:
        self.num_scores = self.size = count

    def restrict(self, scores: Tensor, available: Tensor) -> Tensor:
        """Take the probability from actions that are not `available`, (..., A) bool."""
        return scores.masked_fill(~available, UNAVAILABLE)

    def sample(self, scores: Tensor, noise: torch.Generator) -> Tensor:
        """Gumbel-max: the likeliest action after noise is a draw, (...) int64."""
        return _with_gumbel(scores, noise).argmax(-1)

    def best(self, scores: Tensor) -> Tensor:
        """The likeliest actions, (...) int64."""
        return scores.argmax(-1)

    def log_prob(self, scores: Tensor, action: Tensor) -> Tensor:
        """Log-probability of `action` (...)."""
        return log_softmax(scores).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, scores: Tensor) -> Tensor:
        """Entropy [nat], (...)."""
        log_probs = log_softmax(scores)
        return -(log_probs.exp() * log_probs).sum(-1)

    def vector(self, action: Tensor) -> Tensor:
        """One-hot, (..., A)."""
        return nn.functional.one_hot(action, self.size).float()

    def draw(self, scores: Tensor, noise: torch.Generator) -> Tensor:
        """A one-hot draw, (..., A)."""
        return self.vector(self.sample(scores, noise))

    def relaxed(self, scores: Tensor, temperature: float, noise: torch.Generator) -> Tensor:
        """Gumbel-softmax (Jang et al. 2017), whose limit at temperature 0 is a draw, (..., A).

        Not sharpened to one-hot: a critic's slope at the corners of the simplex, which is all that
        a sharp draw sees, says little of the value of another corner.
        """
        return torch.softmax(_with_gumbel(scores, noise) / temperature, -1)

    def inside(self, vector: Tensor) -> Tensor:
        """As it is: what is near a one-hot vector stands for a mixture of actions."""
        return vector

    def explore(self, width: float) -> None:
        """Nothing to do: a policy of probabilities explores by itself."""


def _with_gumbel(scores: Tensor, noise: torch.Generator) -> Tensor:
    uniform = torch.rand(scores.shape, generator=noise).clamp_(1e-9, 1 - 1e-7)
    return scores - uniform.log_().neg_().log_()


class Deterministic(nn.Module):
    """`size` numbers in [-1, 1] that follow from the observation, and noise to explore with.

    A module, because the width of the noise is part of what a checkpoint holds.
    """

    width: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.num_scores = self.size = size
        self.register_buffer("width", torch.zeros(()))

    def restrict(self, scores: Tensor, available: Tensor) -> Tensor:
        """All continuous actions are available."""
        return scores

    def best(self, scores: Tensor) -> Tensor:
        """The action, (..., size)."""
        return torch.tanh(scores)

    def sample(self, scores: Tensor, noise: torch.Generator) -> Tensor:
        """The action after noise, (..., size)."""
        best = self.best(scores)
        return (best + self.width * torch.randn(best.shape, generator=noise)).clamp(-1.0, 1.0)

    def log_prob(self, scores: Tensor, action: Tensor) -> Tensor:
        """Zero, (...): an action that is certain has no density, and none is needed."""
        return torch.zeros(scores.shape[:-1])

    def entropy(self, scores: Tensor) -> Tensor:
        """Zero, (...)."""
        return torch.zeros(scores.shape[:-1])

    def vector(self, action: Tensor) -> Tensor:
        """The action itself, (..., size)."""
        return action

    def draw(self, scores: Tensor, noise: torch.Generator) -> Tensor:
        """The action, (..., size)."""
        return self.best(scores)

    def relaxed(self, scores: Tensor, temperature: float, noise: torch.Generator) -> Tensor:
        """The action, (..., size)."""
        return self.best(scores)

    def inside(self, vector: Tensor) -> Tensor:
        """Clipped to [-1, 1]."""
        return vector.clamp(-1.0, 1.0)

    def explore(self, width: float) -> None:
        """Standard deviation of the noise."""
        self.width.fill_(width)


class Continuous:
    """Independent Gaussians over `size` numbers; what is carried out is clipped to [-1, 1]."""

    def __init__(self, size: int) -> None:
        self.num_scores = 2 * size

    def restrict(self, scores: Tensor, available: Tensor) -> Tensor:
        """All continuous actions are available."""
        return scores

    def sample(self, scores: Tensor, noise: torch.Generator) -> Tensor:
        """A draw, (..., A) float32, not clipped: the ratio of PPO is one of unclipped actions."""
        mean, log_std = self._split(scores)
        return mean + log_std.exp() * torch.randn(mean.shape, generator=noise)

    def best(self, scores: Tensor) -> Tensor:
        """The means, (..., A)."""
        return self._split(scores)[0]

    def log_prob(self, scores: Tensor, action: Tensor) -> Tensor:
        """Log-density of `action` (..., A)."""
        mean, log_std = self._split(scores)
        standard = (action - mean) * torch.exp(-log_std)
        each = -0.5 * standard.square() - log_std - 0.5 * math.log(2 * math.pi)
        return each.sum(-1)

    def entropy(self, scores: Tensor) -> Tensor:
        """Differential entropy [nat], (...)."""
        _, log_std = self._split(scores)
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    @staticmethod
    def _split(scores: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = scores.chunk(2, -1)
        return mean, log_std.clamp(*LOG_STD)


def actions_of(shape: Shape) -> Actions:
    """The kind of action that a world takes."""
    return Discrete(shape.num_actions) if shape.num_actions else Continuous(shape.action_size)


def smooth_actions_of(shape: Shape) -> Smooth:
    """The same for methods that follow the gradient of a critic of actions."""
    return Discrete(shape.num_actions) if shape.num_actions else Deterministic(shape.action_size)

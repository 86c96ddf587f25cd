"""Parts of networks: layers, running normalisation, and memories that belief is read from."""

import itertools

import torch
from torch import Tensor, nn

from training import ranks
from training.recurrence import scan


def mlp(sizes: list[int], gain: float) -> nn.Sequential:
    """Layers with LayerNorm and orthogonal weights; `gain` scales the last one."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes[:-1]):
        layers += [orthogonal(fan_in, fan_out, 2**0.5), nn.ReLU(), nn.LayerNorm(fan_out)]
    return nn.Sequential(*layers, orthogonal(sizes[-2], sizes[-1], gain))


@torch.no_grad()
def follow(target: nn.Module, network: nn.Module, rate: float) -> None:
    """Move a target network's weights a share `rate` of the way; its normalisers go all of it."""
    for weights, latest in zip(target.parameters(), network.parameters(), strict=True):
        weights.lerp_(latest, rate)
    for held, found in zip(target.buffers(), network.buffers(), strict=True):
        held.copy_(found)


def orthogonal(fan_in: int, fan_out: int, gain: float) -> nn.Linear:
    """A linear layer with orthogonal weights and no bias at the start (Saxe et al. 2014)."""
    layer = nn.Linear(fan_in, fan_out)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def log_softmax(scores: Tensor) -> Tensor:
    """Logarithm of the softmax over the last axis.

    `torch.log_softmax` takes three times as long where that axis is as short as a set of actions.
    """
    return scores - scores.logsumexp(-1, keepdim=True)


class Normaliser(nn.Module):
    """Running mean and variance over the last axis (Chan et al. 1979), kept in buffers."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("count", torch.zeros(()))

    @torch.no_grad()
    def update(self, samples: Tensor) -> None:
        """Take in `samples` (..., size), those of all ranks."""
        samples = samples.reshape(-1, samples.shape[-1])
        count, mean, variance = ranks.moments(samples)
        total = self.count + count
        share, shift = count / total, mean - self.mean
        self.variance += share * (variance - self.variance) + share * (1 - share) * shift**2
        self.mean += share * shift
        self.count += count

    def forward(self, samples: Tensor) -> Tensor:
        """`samples` shifted and scaled, clipped to +-10."""
        return torch.clamp((samples - self.mean) / self.scale(), -10.0, 10.0)

    def undo(self, samples: Tensor) -> Tensor:
        """The inverse of `forward` inside the clip."""
        return samples * self.scale() + self.mean

    def scale(self) -> Tensor:
        """Standard deviation; 1 for what has hardly varied so far.

        A number that was constant in training (a teammate that was always visible) must not
        become ten standard deviations when a robot first sees it change.
        """
        return torch.where(self.variance > 1e-4, self.variance.sqrt(), 1.0)


class Belief(nn.Module):
    """p(type of each teammate | everything the observer has seen): a GRU and a head.

    The hidden state of a fresh episode is zero; the belief it gives is the prior.

    Parameters
    ----------
    inputs
        Numbers that a memory reads per step.
    memories
        Hidden states per observer: one for each teammate (`pairwise`: weights are shared over all
        ordered pairs, so they run in a team of any size), or one for all (`plain`, the network of
        Li et al. 2024).
    num_teammates, num_types
        N - 1 and K + 1.
    hidden
        Units of the GRU.
    """

    def __init__(
        self, inputs: int, memories: int, num_teammates: int, num_types: int, hidden: int
    ) -> None:
        super().__init__()
        self.memories, self.hidden, self.num_types = memories, hidden, num_types
        width = max(64, hidden)
        self.normaliser = Normaliser(inputs)
        self.encoder = nn.Sequential(orthogonal(inputs, width, 2**0.5), nn.ReLU())
        self.gru = nn.GRU(width, hidden)
        self.head = orthogonal(hidden, num_types * num_teammates // memories, 0.01)

    def forward(
        self,
        evidence: Tensor,
        state: Tensor,
        fresh: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of types over a sequence, and the last hidden state.

        Parameters
        ----------
        evidence : (T, ..., memories, inputs)
        state : (..., memories, hidden)
            Hidden state before the first step.
        fresh : (T, ...) bool
            Steps that begin an episode: the state is zero before them. None: no such step.
        seen : (T, ..., memories) bool
            Where False, there was nothing to see and the state stays. None: always True.

        Returns
        -------
        log_belief : (T, ..., N - 1, K + 1)
        state : (..., memories, hidden)
        """
        log_belief, memories = self.remember(self.normaliser(evidence), state, fresh, seen)
        return log_belief, memories[-1]

    def remember(
        self, inputs: Tensor, state: Tensor, fresh: Tensor | None, seen: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`forward` from normalised evidence; hidden states of all steps, (T, ..., M, hidden)."""
        steps, lead = inputs.shape[0], inputs.shape[1:-2]
        rows = state.numel() // self.hidden
        outputs, _ = scan(
            self.gru,
            self.encoder(inputs).reshape(steps, rows, -1),
            state.reshape(rows, self.hidden),
            None if fresh is None else _per_row(fresh, self.memories),
            None if seen is None else seen.reshape(steps, rows),
        )
        memories = outputs.reshape(steps, *lead, self.memories, self.hidden)
        return self.read(memories), memories

    def read(self, state: Tensor) -> Tensor:
        """Log-probabilities (..., N - 1, K + 1) that hidden states (..., memories, hidden) mean."""
        scores = self.head(state)
        scores = scores.reshape(*state.shape[:-2], -1, self.num_types)
        return log_softmax(scores)


def _per_row(flags: Tensor, memories: int) -> Tensor:
    """(T, ...) for every memory: (T, rows)."""
    return flags.unsqueeze(-1).expand(*flags.shape, memories).reshape(len(flags), -1)

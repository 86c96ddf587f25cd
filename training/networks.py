"""Actor, belief, critic and adversary; all agents share parameters, identity is an input."""

import itertools
from collections.abc import Iterable
from enum import StrEnum

import torch
from torch import Tensor, nn

from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import COOPERATIVE
from training.features import CLOSENESS_SCALES, PAIR_SIZE, CoverageFeatures


class BeliefSource(StrEnum):
    """Where the actor's idea of its teammates' types comes from."""

    #: Everybody is trusted: MAPPO, memoryless EAR-MAPPO.
    NONE = "none"
    #: The belief network, trained by the policy loss alone: recurrent EAR-MAPPO.
    LATENT = "latent"
    #: The belief network, trained on the true types: EIR-MAPPO.
    LEARNED = "learned"
    #: The true types: the oracle, True Type.
    TRUE = "true"


def mlp(sizes: list[int], gain: float) -> nn.Sequential:
    """Layers with LayerNorm and orthogonal weights; `gain` scales the last one."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes[:-1]):
        layers += [_orthogonal(fan_in, fan_out, 2**0.5), nn.ReLU(), nn.LayerNorm(fan_out)]
    return nn.Sequential(*layers, _orthogonal(sizes[-2], sizes[-1], gain))


def _orthogonal(fan_in: int, fan_out: int, gain: float) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


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
        """Take in `samples` (..., size)."""
        samples = samples.reshape(-1, samples.shape[-1])
        variance, mean = torch.var_mean(samples, dim=0, correction=0)
        total = self.count + len(samples)
        share, shift = len(samples) / total, mean - self.mean
        self.variance += share * (variance - self.variance) + share * (1 - share) * shift**2
        self.mean += share * shift
        self.count += len(samples)

    def forward(self, samples: Tensor) -> Tensor:
        """`samples` shifted and scaled, clipped to +-10."""
        return torch.clamp((samples - self.mean) / self._scale(), -10.0, 10.0)

    def undo(self, samples: Tensor) -> Tensor:
        """The inverse of `forward` inside the clip."""
        return samples * self._scale() + self.mean

    def _scale(self) -> Tensor:
        """Standard deviation; 1 for what has hardly varied so far.

        A number that was constant in training (a teammate that was always visible) must not
        become ten standard deviations when a robot first sees it change.
        """
        varied = self.variance > 1e-4
        return torch.sqrt(torch.where(varied, self.variance, torch.ones(())))


class PairwiseBelief(nn.Module):
    """p(type of teammate | what the observer has seen of it): one GRU over ordered pairs.

    Shared by all (observer, teammate) pairs, so it runs in a team of any size. The hidden state
    of a fresh episode is zero; the belief it gives is the prior.
    """

    def __init__(self, hidden: int, num_types: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.normaliser = Normaliser(PAIR_SIZE)
        self.encoder = nn.Sequential(_orthogonal(PAIR_SIZE, 64, 2**0.5), nn.ReLU())
        self.gru = nn.GRU(64, hidden)
        self.head = _orthogonal(hidden, num_types, 0.01)

    def forward(self, pairs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of types over a sequence, and the last hidden state.

        Parameters
        ----------
        pairs : (T, P, PAIR_SIZE)
            Evidence about P pairs.
        state : (P, hidden)
            Hidden state before the first step.
        """
        outputs, last = self.gru(self.encoder(self.normaliser(pairs)), state.unsqueeze(0))
        return torch.log_softmax(self.head(outputs), dim=-1), last[0]


class Team(nn.Module):
    """The policy of every cooperative agent: belief and actor.

    Parameters
    ----------
    task
        Numbers shared with robots; they fix the layout of the observation.
    source
        Where the belief comes from.
    width, hidden
        Units per actor layer, and of the belief's GRU.
    num_types
        K + 1, the size of the type space.
    """

    def __init__(
        self,
        task: CoverageTask,
        source: BeliefSource,
        width: int = 128,
        hidden: int = 32,
        num_types: int = 2,
    ) -> None:
        super().__init__()
        n, m = task.num_robots - 1, task.num_sites * len(CLOSENESS_SCALES)
        self.source, self.num_types = source, num_types
        self.features = CoverageFeatures(task)
        self.belief = PairwiseBelief(hidden, num_types)
        size = task.layout.size + n * num_types + n * m + 2 * m
        self.normaliser = Normaliser(size)
        self.actor = mlp([size, width, width, len(task.actions)], 0.01)

    def actor_input(self, observation: Tensor, belief: Tensor) -> Tensor:
        """Observation, belief, and how close *trusted* teammates are to each site.

        Parameters
        ----------
        observation : (..., D)
        belief : (..., N-1, K+1)
            Probabilities of the types of each teammate.
        """
        own, others = self.features.closeness(observation)
        trusted = others * belief[..., COOPERATIVE : COOPERATIVE + 1]
        covered = trusted.amax(-2)
        blocks = [observation, belief.flatten(-2), trusted.flatten(-2), covered, own]
        return torch.cat(blocks, dim=-1)

    def logits(self, actor_input: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the actions, (..., A)."""
        return self.actor(self.normaliser(actor_input))

    def initial_state(self, *lead: int) -> Tensor:
        """Hidden states of fresh observers, (*lead, N-1, hidden)."""
        return torch.zeros(*lead, self.features.num_teammates, self.belief.hidden)

    def beliefs(self, observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Beliefs over a sequence as log-probabilities, and the last hidden state.

        Parameters
        ----------
        observation : (T, ..., D)
        state : (..., N-1, hidden)

        Returns
        -------
        log_belief : (T, ..., N-1, K+1)
        state : (..., N-1, hidden)
        """
        pairs = self.features.pairs(observation)
        steps, lead = pairs.shape[0], pairs.shape[1:-1]
        log_belief, last = self.belief(
            pairs.reshape(steps, -1, PAIR_SIZE), state.reshape(-1, self.belief.hidden)
        )
        return log_belief.reshape(steps, *lead, self.num_types), last.reshape(*lead, -1)

    def uses_network(self) -> bool:
        """Whether the actor reads the belief network."""
        return self.source in (BeliefSource.LATENT, BeliefSource.LEARNED)

    def forward(self, observation: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step of one agent per row, as exported to `policy.onnx`.

        Parameters
        ----------
        observation : (B, D)
        hidden : (B, N-1, hidden)

        Returns
        -------
        logits : (B, A)
        belief : (B, N-1, K+1)
            Probabilities; a team without a belief network trusts everybody.
        next_hidden : (B, N-1, hidden)
        """
        _, updated = self.beliefs(observation.unsqueeze(0), hidden)
        # Whoever is out of sight is believed to be what it was: looking away is no alibi.
        visible = self.features.split(observation, "teammate_visible").unsqueeze(-1) > 0.5
        next_hidden = torch.where(visible, updated, hidden)
        belief = torch.softmax(self.belief.head(next_hidden), dim=-1)
        if not self.uses_network():
            belief = trusting(belief)
        return self.logits(self.actor_input(observation, belief)), belief, next_hidden


def trusting(like: Tensor) -> Tensor:
    """The belief that every teammate is cooperative, shaped as `like` (..., K+1)."""
    certain = torch.zeros(like.shape[-1])
    certain[COOPERATIVE] = 1.0
    return certain.expand_as(like)


class Adversary(nn.Module):
    """Policy of a corrupted agent, which knows the types of all.

    Equation for its gradient: E[-θ^i ∇ log π̂(â^i | H^i, θ) Q^i] (Li et al. 2024, section 4).
    """

    def __init__(self, task: CoverageTask, width: int = 128) -> None:
        super().__init__()
        n, m = task.num_robots, task.num_sites * len(CLOSENESS_SCALES)
        self.features = CoverageFeatures(task)
        size = task.layout.size + n + n * m
        self.normaliser = Normaliser(size)
        self.actor = mlp([size, width, width, len(task.actions)], 0.01)

    def actor_input(self, observation: Tensor, types: Tensor) -> Tensor:
        """Observation (..., D), types (..., N) and every robot's closeness to the sites."""
        own, others = self.features.closeness(observation)
        return torch.cat([observation, types, own, others.flatten(-2)], dim=-1)

    def logits(self, actor_input: Tensor) -> Tensor:
        """Unnormalised log-probabilities of the actions, (..., A)."""
        return self.actor(self.normaliser(actor_input))

    def forward(self, observation: Tensor, types: Tensor) -> Tensor:
        """One step, as exported to `adversary.onnx`: (B, D), (B, N) -> logits (B, A)."""
        return self.logits(self.actor_input(observation, types))


#: Kinds that every critic tells apart: those there were when the first one was trained. A larger
#: input would draw other first weights, and old recipes would train other teams.
FIRST_KINDS = 8


def num_kinds(trained: Iterable[str]) -> int:
    """How many codes of `FaultKind` a critic tells apart that meets these kinds in training."""
    return max([FIRST_KINDS, *(FaultKind.parse(word) + 1 for word in trained)])


class Critic(nn.Module):
    """V(state, what is wrong with whom) of the team; its negative is the adversary's value.

    Central and privileged: it is used in training only. A kind with a code of `kinds` or above,
    which training never met, is all zeros in its input.
    """

    def __init__(
        self, state_size: int, num_robots: int, width: int = 128, kinds: int = FIRST_KINDS
    ) -> None:
        super().__init__()
        self.kinds = kinds
        size = state_size + num_robots * kinds
        self.normaliser = Normaliser(size)
        self.returns = Normaliser(1)
        self.net = mlp([size, width, width, 1], 1.0)

    def inputs(self, state: Tensor, kinds: Tensor) -> Tensor:
        """Concatenate the state (..., S) with one-hot fault kinds of the robots (..., N)."""
        wrong = nn.functional.one_hot(kinds.long(), len(FaultKind))[..., : self.kinds].flatten(-2)
        return torch.cat([state, wrong.to(state.dtype)], dim=-1)

    def normalised(self, inputs: Tensor) -> Tensor:
        """Value in units of the running spread of returns, (...)."""
        return self.net(self.normaliser(inputs)).squeeze(-1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Value in units of reward, (...)."""
        return self.returns.undo(self.normalised(inputs).unsqueeze(-1)).squeeze(-1)

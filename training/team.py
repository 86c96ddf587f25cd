"""Team, adversary and critic; agents share parameters, identity is part of what they observe."""

from collections.abc import Callable
from enum import StrEnum

import torch
from torch import Tensor, nn

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import COOPERATIVE, teammates
from training.actions import Actions, actions_of
from training.networks import Belief, Normaliser, mlp
from training.recipe import Recipe
from training.views import View


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


class Team(nn.Module):
    """The policy of every cooperative agent: belief and actor.

    Parameters
    ----------
    view
        What is read off an observation.
    source
        Where the belief comes from.
    recipe
        Sizes of the networks, and of the type space.
    actions
        What the actor's scores mean; None: what PPO takes.
    """

    def __init__(
        self, view: View, source: BeliefSource, recipe: Recipe, actions: Actions | None = None
    ) -> None:
        super().__init__()
        n = view.num_teammates
        self.view, self.source, self.num_types = view, source, recipe.num_types
        self.actions: Actions = actions or actions_of(view.shape)
        self.pairwise = recipe.belief.network == "pairwise"
        self.belief = Belief(
            view.pair_size if self.pairwise else view.shape.observation,
            n if self.pairwise else 1,
            n,
            recipe.num_types,
            recipe.belief.hidden,
        )
        size = view.actor_size(recipe.num_types)
        self.normaliser = Normaliser(size)
        #: Whether the actor reads the memory of the belief network, too.
        self.recalls = self.uses_network() and recipe.belief.actor == "memory"
        read = size + self.recalls * self.belief.memories * self.belief.hidden
        self.actor: nn.Module = mlp(
            [read, *[recipe.width] * recipe.layers, self.actions.num_scores], 0.01
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.normaliser.mean.device

    def actor_input(self, observation: Tensor, belief: Tensor) -> Tensor:
        """Actor's input from observation (..., D) and belief (..., N-1, K+1)."""
        return self.view.actor_input(observation, belief)

    def read(self, actor_input: Tensor, memory: Tensor | None) -> Tensor:
        """What the actor's layers read: its input, normalised, and the memory if it recalls that.

        Parameters
        ----------
        actor_input : (..., F)
        memory : (..., memories, hidden)
            Hidden states after the observation. None: of a team that does not recall.
        """
        normalised = self.normaliser(actor_input)
        if not self.recalls:
            return normalised
        assert memory is not None
        return torch.cat([normalised, memory.flatten(-2)], -1)

    def scores(self, actor_input: Tensor, memory: Tensor | None = None) -> Tensor:
        """What `actions` turns into a distribution: for discrete ones logits, (..., A).

        Parameters as those of `read`.
        """
        return self.actor(self.read(actor_input, memory))

    def initial_state(self, *lead: int) -> Tensor:
        """Hidden states of fresh observers, (*lead, memories, hidden)."""
        size = (*lead, self.belief.memories, self.belief.hidden)
        return torch.zeros(size, device=self.device)

    def evidence(self, observation: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the belief reads, (..., memories, F), and where there is anything to be read."""
        if self.pairwise:
            return self.view.pairs(observation), self.view.visible(observation)
        return observation.unsqueeze(-2), None

    def beliefs(
        self, observation: Tensor, state: Tensor, fresh: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Beliefs over a sequence as log-probabilities, and the last hidden state.

        Parameters
        ----------
        observation : (T, ..., D)
        state : (..., memories, hidden)
        fresh : (T, ...) bool, optional
            Steps that begin an episode.

        Returns
        -------
        log_belief : (T, ..., N-1, K+1)
        state : (..., memories, hidden)
        """
        evidence, seen = self.evidence(observation)
        return self.belief(evidence, state, fresh, seen)

    def run_again(
        self, observation: Tensor, fresh: Tensor
    ) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Beliefs over a rollout, with the network that learns in the graph.

        Parameters
        ----------
        observation : (T, B, N, D)
        fresh : (T, B) bool

        Returns
        -------
        log_beliefs
            From environments (b,) to log-probabilities (T, b, N, N-1, K+1) and the hidden states
            that they are read from, (T, b, N, memories, hidden).
        """
        evidence, seen = self.evidence(observation)
        # no weight is in it, so it is computed once for all minibatches
        inputs = self.belief.normaliser(evidence)

        def log_beliefs(envs: Tensor) -> tuple[Tensor, Tensor]:
            some = inputs.index_select(1, envs)
            state = self.initial_state(*some.shape[1:3])
            begins = fresh.index_select(1, envs).unsqueeze(-1).expand(some.shape[:3])
            gaps = None if seen is None else seen.index_select(1, envs)
            return self.belief.remember(some, state, begins, gaps)

        return log_beliefs

    def believe(self, observation: Tensor, hidden: Tensor, types: Tensor) -> tuple[Tensor, Tensor]:
        """What all agents of B environments believe after one more observation.

        Parameters
        ----------
        observation : (B, N, D)
        hidden : (B, N, memories, hidden)
        types : (B, N)
            θ, which only the oracle reads.

        Returns
        -------
        belief : (B, N, N-1, K+1)
            Probabilities.
        hidden : (B, N, memories, hidden)
        """
        if not self.uses_network():
            truth = one_hot_types(types, self.num_types)
            return (truth if self.source is BeliefSource.TRUE else trusting(truth)), hidden
        log_belief, hidden = self.beliefs(observation.unsqueeze(0), hidden)
        return log_belief[0].exp(), hidden

    def uses_network(self) -> bool:
        """Whether the actor reads the belief network."""
        return self.source in (BeliefSource.LATENT, BeliefSource.LEARNED)

    def forward(self, observation: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step of one agent per row, as exported to `policy.onnx`.

        Parameters
        ----------
        observation : (B, D)
        hidden : (B, memories, hidden)

        Returns
        -------
        logits : (B, A)
        belief : (B, N-1, K+1)
            Probabilities; a team without a belief network trusts everybody.
        next_hidden : (B, memories, hidden)
        """
        evidence, seen = self.evidence(observation)
        _, next_hidden = self.belief(evidence.unsqueeze(0), hidden)
        if seen is not None:
            next_hidden = torch.where(seen.unsqueeze(-1), next_hidden, hidden)
        belief = self.belief.read(next_hidden).exp()
        if not self.uses_network():
            belief = trusting(belief)
        return self.scores(self.actor_input(observation, belief), next_hidden), belief, next_hidden


def one_hot_types(types: Tensor, num_types: int) -> Tensor:
    """The belief that is certain of the true types of the teammates, (..., N, N-1, K+1)."""
    order = torch.from_numpy(teammates(types.shape[-1]))
    return torch.nn.functional.one_hot(types[..., order], num_types).float()


def trusting(like: Tensor) -> Tensor:
    """The belief that every teammate is cooperative, shaped as `like` (..., K+1)."""
    certain = torch.zeros(like.shape[-1])
    certain[COOPERATIVE] = 1.0
    return certain.expand_as(like)


class Adversary(nn.Module):
    """Policy of a corrupted agent, which knows the types of all.

    Equation for its gradient: E[-θ^i ∇ log π̂(â^i | H^i, θ) Q^i] (Li et al. 2024, section 4).
    """

    def __init__(self, view: View, recipe: Recipe) -> None:
        super().__init__()
        self.view = view
        self.actions: Actions = actions_of(view.shape)
        size = view.adversary_size
        self.normaliser = Normaliser(size)
        self.actor = mlp([size, *[recipe.width] * recipe.layers, self.actions.num_scores], 0.01)

    def actor_input(self, observation: Tensor, types: Tensor) -> Tensor:
        """Adversary's input from observation (..., D) and who is corrupted (..., N)."""
        return self.view.adversary_input(observation, types)

    def scores(self, actor_input: Tensor) -> Tensor:
        """What `actions` turns into a distribution: for discrete ones logits, (..., A)."""
        return self.actor(self.normaliser(actor_input))

    def forward(self, observation: Tensor, types: Tensor) -> Tensor:
        """One step, as exported to `adversary.onnx`: (B, D), (B, N) -> logits (B, A)."""
        return self.scores(self.actor_input(observation, types))


class Critic(nn.Module):
    """V(state, what is wrong with whom) of the team; its negative is the adversary's value.

    Central and privileged: it is used in training only. A kind of fault that it was not made for is
    all zeros in its input.

    Parameters
    ----------
    state_size, num_agents
        Sizes of the team's state and of the team.
    kinds
        Words of the kinds of faults that it tells apart, besides the learned adversary.
    recipe
        Sizes of the network.
    """

    def __init__(self, state_size: int, num_agents: int, kinds: list[str], recipe: Recipe) -> None:
        super().__init__()
        told_apart = {FaultKind.ADVERSARY, *map(FaultKind.parse, kinds)}
        table = torch.zeros(len(FaultKind), len(told_apart))
        for column, kind in enumerate(sorted(told_apart)):
            table[kind, column] = 1.0
        self.register_buffer("table", table, persistent=False)
        size = state_size + num_agents * len(told_apart)
        self.normaliser = Normaliser(size)
        self.returns = Normaliser(1)
        self.net = mlp([size, *[recipe.width] * recipe.layers, 1], 1.0)

    def inputs(self, state: Tensor, kinds: Tensor) -> Tensor:
        """Concatenate the state (..., S) with one-hot fault kinds of the agents (..., N)."""
        wrong: Tensor = self.get_buffer("table")[kinds.long()].flatten(-2)
        return torch.cat([state, wrong], dim=-1)

    def normalised(self, inputs: Tensor) -> Tensor:
        """Value in units of the running spread of returns, (...)."""
        return self.net(self.normaliser(inputs)).squeeze(-1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Value in units of reward, (...)."""
        return self.returns.undo(self.normalised(inputs).unsqueeze(-1)).squeeze(-1)


class JointCritic(nn.Module):
    """Q^i(state, a^1 ... a^N) of every agent i (Lowe et al. 2017), in the units of V.

    One network for all agents, which reads whose critic it is.

    Parameters
    ----------
    state_size, num_agents
        Sizes of V's input and of the team.
    action_size
        Numbers of the vector of one action.
    recipe
        Sizes of the network.
    """

    identity: Tensor

    def __init__(self, state_size: int, num_agents: int, action_size: int, recipe: Recipe) -> None:
        super().__init__()
        self.normaliser = Normaliser(state_size)
        self.register_buffer("identity", torch.eye(num_agents), persistent=False)
        size = state_size + num_agents * (action_size + 1)
        self.net = mlp([size, *[recipe.width] * recipe.layers, 1], 1.0)

    def forward(self, state: Tensor, assumed: Tensor) -> Tensor:
        """Value of each agent, (M, N), from state (M, C) and joint actions (M, N, N, A).

        assumed[:, i, j] is the action vector of agent j in the critic of agent i.
        """
        lead = assumed.shape[:2]
        state = self.normaliser(state).unsqueeze(1).expand(*lead, -1)
        who = self.identity.expand(*lead, -1)
        return self.net(torch.cat([state, assumed.flatten(-2), who], -1)).squeeze(-1)

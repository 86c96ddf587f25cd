"""MADDPG (Lowe et al. 2017): off-policy, with a central critic Q^i for every agent.

Nobody is ever corrupted in training. Actors and critics share parameters over agents, as in all
methods here; identity is part of what they read. Discrete actions pass gradients by Gumbel-softmax,
continuous ones are deterministic, with noise while collecting.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from eir_ros.contract.errors import EirError
from training import ranks
from training.actions import smooth_actions_of
from training.game import Game
from training.learner import Learner, Metrics, adam
from training.networks import follow
from training.ppo import Targets
from training.recipe import Recipe
from training.replay import ReplayBuffer, Transitions, row_bytes
from training.rollout import Rollout
from training.team import JointCritic, Team, trusting
from training.views import view_of


class Maddpg(Learner):
    """Each agent's critic knows what all did, and takes the others at their word."""

    title = "MADDPG"
    attacked = False
    transitions = True

    def __init__(self, recipe: Recipe, game: Game) -> None:
        if ranks.count() > 1:
            raise EirError(
                f"{self.title} learns from one replay buffer, in one process; expected one rank, "
                f"found {ranks.count()}. Start it without torchrun."
            )
        self.actions = smooth_actions_of(game.shape)
        super().__init__(recipe, game)
        n, inputs = game.num_agents, len(self.critic.normaliser.mean)
        self.joint_critic = JointCritic(inputs, n, self.actions.size, recipe)
        self.target_team = copy.deepcopy(self.team)
        self.target_critic = copy.deepcopy(self.joint_critic)
        self.replay = ReplayBuffer(recipe.replay.capacity)
        self._row_bytes = row_bytes(game.shape, inputs)
        self.optimisers["policy"] = adam(self.team.actor)
        self.optimisers["joint critic"] = adam(self.joint_critic.net)
        self._own = torch.eye(n, dtype=torch.bool).unsqueeze(-1)
        self.actions.explore(recipe.replay.noise.at(0.0))

    def make_team(self, recipe: Recipe, game: Game) -> Team:
        """Actors whose actions gradients pass through."""
        return Team(view_of(game), self.source, recipe, self.actions)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Those of every method, the critics of joint actions, and both target networks."""
        own = {"joint critic": self.joint_critic, "target team": self.target_team}
        return {**super().networks, **own, "target critic": self.target_critic}

    def memory(self) -> dict[str, Any]:
        """The replay buffer."""
        return self.replay.memory()

    def growth(self) -> int:
        """What the rest of the buffer will take [bytes]."""
        return (self.replay.capacity - self.replay.size) * self._row_bytes

    def remember(self, memory: dict[str, Any]) -> None:
        """The replay buffer, as it was."""
        self.replay.remember(memory)

    def learn(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """Fill the buffer, then so many steps of critics and policy.

        V learns as in the other methods: its running spread of returns is the unit of Q, and an
        attack on the team starts from it.
        """
        settings = self.recipe.replay
        metrics = self.update_critic(rollout, targets, progress)
        self.replay.add(rollout)
        self.team.normaliser.update(self._inputs(rollout.observation))
        self.joint_critic.normaliser.update(rollout.critic_input)
        self.actions.explore(settings.noise.at(progress))
        if self.replay.size < settings.warmup:
            return metrics
        (rng,) = self._rngs[:1]
        noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
        for _ in range(settings.updates):
            batch = self.replay.sample(rng, settings.batch)
            critic = self.joint_critic_loss(batch, noise)
            self.descend("joint critic", critic, settings.critic, progress)
            policy = self.joint_policy_loss(batch, noise)
            self.descend("policy", policy, settings.policy, progress)
            follow(self.target_team, self.team, settings.target_rate)
            follow(self.target_critic, self.joint_critic, settings.target_rate)
        found = {"policy/loss": policy.item(), "joint_critic/loss": critic.item()}
        return metrics | found | {"replay/size": float(self.replay.size)}

    @torch.no_grad()
    def target(self, batch: Transitions, noise: torch.Generator) -> Tensor:
        """y^i = r + gamma Q'^i(x', a'^1 ... a'^N), a'^j = μ'^j(o'^j) (equation 6), (M, N)."""
        scores = self.target_team.scores(self._inputs(batch.next_observation))
        scores = self.actions.restrict(scores, batch.next_available)
        action = self.actions.draw(scores, noise)
        assumed = self.suspected(self.target_critic, batch.next_state, self._for_each(action))
        after = self.critic.returns.undo(self.target_critic(batch.next_state, assumed)[..., None])
        goes_on = (~batch.terminated).float().unsqueeze(-1)
        gamma = self.recipe.critic.gamma
        return batch.reward.unsqueeze(-1) + gamma * goes_on * after.squeeze(-1)

    def joint_critic_loss(self, batch: Transitions, noise: torch.Generator) -> Tensor:
        """Mean Huber loss of Q^i(x, a^1 ... a^N) against its target."""
        goal = self.critic.returns(self.target(batch, noise).unsqueeze(-1)).squeeze(-1)
        found = self.joint_critic(batch.state, self._for_each(self.actions.vector(batch.action)))
        return nn.functional.huber_loss(found, goal, delta=self.recipe.critic.huber)

    def joint_policy_loss(self, batch: Transitions, noise: torch.Generator) -> Tensor:
        """-Q^i(x, a^1 ... μ^i(o^i) ... a^N) (equation 5), over agents that had a choice."""
        settings = self.recipe.replay
        scores = self.team.scores(self._inputs(batch.observation))
        allowed = self.actions.restrict(scores, batch.available)
        own = self.actions.relaxed(allowed, settings.temperature, noise)
        others = self._for_each(self.actions.vector(batch.action))
        assumed = torch.where(self._own, self._for_each(own), others)
        assumed = self.suspected(self.joint_critic, batch.state, assumed)
        mask = Rollout.choice(batch.available)
        value = self.joint_critic(batch.state, assumed)
        loss = -value + settings.regularisation * scores.square().mean(-1)
        return (loss * mask).sum() / mask.sum().clamp(min=1)

    def suspected(self, critic: JointCritic, state: Tensor, assumed: Tensor) -> Tensor:
        """What each agent expects all to do, (M, N, N, A): here, what they say."""
        return assumed

    def _inputs(self, observation: Tensor) -> Tensor:
        """The actor's input; everybody is trusted."""
        n, k = self.team.view.num_teammates, self.team.num_types
        belief = trusting(observation.new_zeros(*observation.shape[:-1], n, k))
        return self.team.actor_input(observation, belief)

    def _for_each(self, action: Tensor) -> Tensor:
        """Joint actions (M, N, A) as each agent's critic reads them, (M, N, N, A)."""
        return action.unsqueeze(1).expand(-1, action.shape[1], -1, -1)

"""What every method shares: networks, optimisers, minibatches, the critic and the adversary."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from eir_ros.contract.faults import FaultKind
from training import ranks
from training.game import Game
from training.ppo import Targets, generalised_advantages, normalised, policy_loss, summary
from training.recipe import PPO, Descent, Recipe, Steps
from training.rollout import Bend, Rollout
from training.team import Adversary, BeliefSource, Critic, Team
from training.views import view_of

Metrics = dict[str, float]


class Learner(ABC):
    """Team, adversary and critic with their optimisers; a method is a subclass.

    Parameters
    ----------
    recipe
        All settings.
    game
        Fixes the sizes of the networks; it is not kept.
    """

    #: How tables call the method.
    title: ClassVar[str]
    #: Where the team's belief comes from.
    source: ClassVar[BeliefSource] = BeliefSource.NONE
    #: Whether agents are corrupted in training.
    attacked: ClassVar[bool] = True
    #: Whether rollouts must hold what followed each step.
    transitions: ClassVar[bool] = False

    def __init__(self, recipe: Recipe, game: Game) -> None:
        self.recipe = recipe
        shape = game.shape
        self.team = self.make_team(recipe, game)
        self.adversary = Adversary(view_of(game), recipe)
        self.critic = Critic(shape.team_state, shape.num_agents, recipe.faults.words, recipe)
        self._average = copy.deepcopy(self.team) if recipe.averaging else None
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "adversary": adam(self.adversary.actor),
            "critic": adam(self.critic.net),
        }

    def make_team(self, recipe: Recipe, game: Game) -> Team:
        """The networks of the cooperative agents."""
        return Team(view_of(game), self.source, recipe)

    @property
    def deployed(self) -> Team:
        """The team that is evaluated, attacked and exported: the average one, if there is one."""
        return self.team if self._average is None else self._average

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Everything that has weights, by the name it is saved under."""
        learned = {"team": self.team, "adversary": self.adversary, "critic": self.critic}
        return learned if self._average is None else {**learned, "average": self._average}

    @property
    def bend(self) -> Bend | None:
        """What changes the agents' observations while training."""
        return None

    def memory(self) -> dict[str, Any]:
        """What else a checkpoint must hold to go on exactly: arrays and numbers."""
        return {}

    def growth(self) -> int:
        """How much `memory` may still grow [bytes]."""
        return 0

    def remember(self, memory: dict[str, Any]) -> None:  # noqa: B027 (most have nothing)
        """Take back what `memory` gave."""

    @contextmanager
    def computing_on(self, device: str) -> Iterator[None]:
        """Learn on `device` meanwhile; before and after, everything is on the CPU.

        Moving all weights there and back costs a hundredth of what an update does.
        """
        self._move(device)
        try:
            yield
        finally:
            self._move("cpu")

    def _move(self, device: str) -> None:
        if self.team.device.type == device:
            return
        for network in self.networks.values():
            network.to(device)
        for optimiser in self.optimisers.values():
            # takes its own state to where the weights are now
            optimiser.load_state_dict(optimiser.state_dict())

    def begin(self, iteration: int) -> None:
        """What is due before the batch of `iteration` is played: that the adversary begins anew.

        Only then do evaluations, which come after an update, find one that has learned something.
        """
        stretches, length = self.recipe.adversary.restarts + 1, self.recipe.iterations
        before, now = ((i * stretches) // length for i in (iteration - 1, iteration))
        if not self.attacked or not iteration or now == before:
            return
        seed = np.random.SeedSequence([self.recipe.seed, iteration])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed.generate_state(1)[0]))
            new = Adversary(self.adversary.view, self.recipe)
        # how its inputs are spread has not changed
        self.adversary.actor.load_state_dict(new.actor.state_dict())
        self.optimisers["adversary"] = adam(self.adversary.actor)

    def update(self, rollout: Rollout, progress: float, seed: list[int]) -> Metrics:
        """One iteration of learning from `rollout`; returns what to log.

        Parameters
        ----------
        progress
            Share of the run that is done, in [0, 1]; moves the annealed settings.
        seed
            Fixes the minibatches.
        """
        self._seed(seed)
        metrics = self.learn(rollout, self._targets(rollout), progress)
        if self._average is not None:
            latest = self.team.state_dict()
            for name, value in self._average.state_dict().items():
                value.lerp_(latest[name], 1 - self.recipe.averaging)
        return metrics

    @abstractmethod
    def learn(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """The method itself: one iteration."""

    def update_attack(self, rollout: Rollout, progress: float, seed: list[int]) -> Metrics:
        """One iteration in which only the adversary learns: the team is a frozen victim."""
        self._seed(seed)
        targets = self._targets(rollout)
        settings = self.recipe.attack or self.recipe.adversary
        metrics = self.update_adversary(rollout, targets, progress, settings)
        return metrics | self.update_critic(rollout, targets, progress)

    def update_adversary(
        self, rollout: Rollout, targets: Targets, progress: float, settings: PPO
    ) -> Metrics:
        """Adversary: E[-θ^i ∇ log π̂(â^i | H^i, θ) A], clipped, on the decisions it took."""
        adversary = self.adversary
        acted = (rollout.kinds == FaultKind.ADVERSARY) & (rollout.chosen > 0)
        if not ranks.total(acted.sum()):
            return {}
        types = (rollout.types != 0).float().unsqueeze(-2).expand(*acted.shape, acted.shape[-1])
        inputs = adversary.actor_input(rollout.observation[acted], types[acted])
        read = adversary.normaliser(inputs)
        team_advantage = targets.advantage.unsqueeze(-1).expand(acted.shape)[acted]
        ones = inputs.new_ones(len(inputs))
        advantage = normalised(-team_advantage, ones)
        action, log_prob = rollout.adversary_action[acted], rollout.adversary_log_prob[acted]
        available = rollout.available[acted]
        losses = []
        for rows in self.minibatches(settings, acted.nonzero()[:, 1].cpu().numpy()):
            scores = adversary.actor(read.index_select(0, rows))
            scores = adversary.actions.restrict(scores, available[rows])
            found = policy_loss(
                adversary.actions, scores, action[rows], log_prob[rows], advantage[rows],
                ones[rows], settings.clip, settings.entropy.at(progress),
            )  # fmt: skip
            self.descend("adversary", found.loss, settings, progress)
            losses.append(found)
        adversary.normaliser.update(inputs)
        return summary("adversary", losses)

    def update_critic(self, rollout: Rollout, targets: Targets, progress: float) -> Metrics:
        """Regress V on the returns, in units of their running spread, with a Huber loss."""
        settings, critic = self.recipe.critic, self.critic
        inputs, returns = rollout.critic_input.flatten(0, 1), targets.returns.flatten()
        residual = returns - rollout.value.flatten()
        spread, left = (ranks.moments(x.unsqueeze(-1))[2] for x in (returns, residual))
        explained = 1 - left / spread.clamp(min=1e-8)
        critic.returns.update(returns.unsqueeze(-1))
        critic.normaliser.update(inputs)
        goal = critic.returns(returns.unsqueeze(-1)).squeeze(-1)
        read = critic.normaliser(inputs)
        envs = np.arange(len(inputs)) % rollout.reward.shape[1]
        for rows in self.minibatches(settings, envs):
            found = critic.net(read.index_select(0, rows)).squeeze(-1)
            error = nn.functional.huber_loss(
                found, goal[rows], reduction="sum", delta=settings.huber
            )
            loss = error / ranks.total(found.new_tensor(float(len(rows))))
            self.descend("critic", loss, settings, progress)
        return {
            "critic/explained_variance": explained.item(),
            "critic/loss": ranks.total(loss).item(),
        }

    def minibatches(self, settings: Descent, envs: np.ndarray | None = None) -> Iterator[Tensor]:
        """Indices of each minibatch of each epoch; every shard gives an equal part of its own.

        `index_select` takes them, several times as fast as indexing does.

        Parameters
        ----------
        envs
            The environment (of this rank) that each entry belongs to; None: the entries are the
            environments, whole episodes, so that beliefs can be run again.
        """
        size = self.recipe.batch // self.recipe.shards
        if envs is None:
            envs = np.arange(size * len(self._rngs))
        device = self.team.device
        groups = [np.flatnonzero(envs // size == k) for k in range(len(self._rngs))]
        for _ in range(settings.epochs):
            parts = [
                np.array_split(rng.permutation(group), settings.minibatches)
                for rng, group in zip(self._rngs, groups, strict=True)
            ]
            for part in zip(*parts, strict=True):
                yield torch.from_numpy(np.concatenate(part)).to(device)

    def descend(self, name: str, loss: Tensor, settings: Steps, progress: float) -> None:
        """One clipped step of the optimiser `name`."""
        optimiser = self.optimisers[name]
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate.at(progress)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        ranks.add_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, settings.max_gradient_norm)
        optimiser.step()

    def _seed(self, seed: list[int]) -> None:
        own = ranks.own_shards(self.recipe.shards)
        self._rngs = [np.random.default_rng([*seed, shard]) for shard in own]

    def _targets(self, rollout: Rollout) -> Targets:
        settings = self.recipe.critic
        return generalised_advantages(rollout, settings.gamma, settings.gae_lambda)


def adam(*modules: nn.Module) -> torch.optim.Adam:
    """Adam over all parameters of `modules`, with the epsilon that PPO is used to."""
    parameters = [p for module in modules for p in module.parameters()]
    return torch.optim.Adam(parameters, eps=1e-5, fused=True)

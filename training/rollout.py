"""Play a stretch of episodes in every environment under the attack process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import teammates
from eir_ros.faults.attack_process import executed_actions
from eir_ros.faults.schedule import Schedule
from training.game import Game
from training.team import Adversary, Critic, Team, one_hot_types

#: Bends what the agents observe before they act: (observation (B, N, D), step, noise) -> what they
#: see instead, and what to record of it.
Bend = Callable[[Tensor, torch.Generator], tuple[Tensor, dict[str, Tensor]]]


@dataclass
class Rollout:
    """T steps of each of B environments, from fresh episodes; leading axes (T, B, N) or (T, B)."""

    #: What the agents saw, (T, B, N, D)
    observation: Tensor
    #: What the actor was told of its teammates' types, (T, B, N, N-1, K+1)
    belief: Tensor
    #: Actions that could be taken, (T, B, N, A)
    available: Tensor
    #: Actions of the team's policy and their log-probabilities, (T, B, N)
    action: Tensor
    log_prob: Tensor
    #: The same for the adversary; zero where it did not play
    adversary_action: Tensor
    adversary_log_prob: Tensor
    #: What was carried out, (T, B, N)
    executed: Tensor
    #: Codes of `FaultKind` at each decision, (T, B, N)
    kinds: Tensor
    #: Types θ, (T, B, N)
    types: Tensor
    #: (T, B)
    reward: Tensor
    #: Steps that began an episode, and that ended one; among these, those cut off by time, (T, B)
    fresh: Tensor
    ended: Tensor
    truncated: Tensor
    #: The critic's input, (T, B, C), and its value, (T, B); empty without a critic
    critic_input: Tensor
    value: Tensor
    #: V of what followed each step: 0 where an episode terminated, (T, B)
    next_value: Tensor
    #: What else was recorded, (T, B, ...)
    extra: dict[str, Tensor] = field(default_factory=dict)

    @property
    def teammate_types(self) -> Tensor:
        """θ of each teammate, (T, B, N, N-1)."""
        return self.types[..., torch.from_numpy(teammates(self.types.shape[-1]))]

    @property
    def chosen(self) -> Tensor:
        """1 where an agent had a choice: a dead one, say, has one action only, (T, B, N)."""
        return self.choice(self.available)

    @staticmethod
    def choice(available: Tensor) -> Tensor:
        """1 where more than one of the `available` actions (..., A) is left, (...)."""
        if not available.shape[-1]:
            return torch.ones(available.shape[:-1], device=available.device)
        return (available.sum(-1) > 1).float()

    def tensors(self) -> dict[str, Any]:
        """All of it by name, as `of_tensors` takes it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Any]) -> "Rollout":
        """The rollout that `tensors` described."""
        return cls(**tensors)

    def to(self, device: str) -> "Rollout":
        """The same rollout on `device`."""

        def moved(values: dict[str, Any]) -> dict[str, Any]:
            return {
                name: moved(value) if isinstance(value, dict) else value.to(device)
                for name, value in values.items()
            }

        return Rollout.of_tensors(moved(self.tensors()))

    @classmethod
    def join(cls, shards: list["Rollout"]) -> "Rollout":
        """One rollout of the environments of all `shards`, in order."""
        if len(shards) == 1:
            return shards[0]
        names = [f.name for f in fields(cls) if f.name != "extra"]
        whole = {name: torch.cat([getattr(s, name) for s in shards], dim=1) for name in names}
        extra = {key: torch.cat([s.extra[key] for s in shards], dim=1) for key in shards[0].extra}
        return cls(**whole, extra=extra)


def first_returns(rollout: Rollout) -> Tensor:
    """Sum of rewards of the first episode of each environment, as far as it was played, (B,)."""
    first = (rollout.ended.cumsum(0) - rollout.ended.long()) == 0
    return (rollout.reward * first).sum(0)


class Order(NamedTuple):
    """A rollout to be collected: the arguments of `Collector.collect`."""

    seed: list[int]
    steps: int
    teacher: float


class _Tape:
    """What is recorded of each step, copied to its place: worlds write their arrays again."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._columns: dict[str, np.ndarray] = {}

    def note(self, t: int, **values: Tensor | np.ndarray) -> None:
        """Record `values` (...) as row `t` of the columns of their names."""
        for name, value in values.items():
            row = value.numpy() if isinstance(value, Tensor) else value
            if name not in self._columns:
                self._columns[name] = np.empty((self._steps, *row.shape), row.dtype)
            self._columns[name][t] = row

    def columns(self) -> dict[str, Tensor]:
        """Everything by its name, (T, ...)."""
        return {name: torch.from_numpy(column) for name, column in self._columns.items()}


class Collector:
    """Steps a game with a team, an adversary and a critic.

    Parameters
    ----------
    type_of_kind
        Type θ for each code of `FaultKind`.
    greedy
        The team takes its most likely action, as robots do, instead of sampling.
    critic
        None: values are not needed.
    bend
        Changes what the agents observe, if given.
    transitions
        Record what followed each step, too; see `_what_followed`.
    """

    def __init__(
        self,
        game: Game,
        team: Team,
        adversary: Adversary,
        critic: Critic | None,
        type_of_kind: list[int],
        greedy: bool = False,
        bend: Bend | None = None,
        transitions: bool = False,
    ) -> None:
        self.game, self.team, self.adversary, self.critic = game, team, adversary, critic
        self.greedy, self.bend, self.transitions = greedy, bend, transitions
        self._type_of_kind = torch.tensor(type_of_kind)

    def play(self, orders: Sequence[Order]) -> list[Rollout]:
        """One rollout after the other."""
        return [self.collect(*order) for order in orders]

    def close(self) -> None:
        """Free what the world holds."""
        self.game.close()

    @torch.no_grad()
    def collect(
        self, seed: list[int], steps: int, teacher: float = 0.0, schedule: Schedule | None = None
    ) -> Rollout:
        """Start fresh episodes everywhere and play `steps` steps.

        Parameters
        ----------
        seed
            Everything random in these episodes follows from it.
        teacher
            Probability, per environment, that true types stand in for beliefs (never in
            evaluation).
        schedule
            Faults, where they are not drawn from the game's mixture.
        """
        game, rng = self.game, np.random.default_rng([*seed, 1])
        noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
        game.reset([*seed, 0], schedule)
        taught = torch.from_numpy(rng.random((game.batch, 1, 1, 1)) < teacher)
        hidden = self.team.initial_state(game.batch, game.num_agents)
        tape, ends = _Tape(steps), []
        for t in range(steps):
            decision, hidden = self._decide(hidden, taught, noise)
            executed = self._executed(decision, rng)
            tape.note(t, **decision, executed=executed)
            step = game.step(executed)
            tape.note(t, reward=step.reward, ended=game.ended, truncated=game.truncated)
            if self.transitions:
                tape.note(t, **self._what_followed())
            if game.ended.any():
                hidden = hidden * torch.from_numpy(~game.ended).reshape(-1, 1, 1, 1)
                if self.critic is not None and game.truncated.any():
                    cut = np.flatnonzero(game.truncated)
                    ends.append((t, cut, self._critic_input(final=True)[cut]))
        return self._rollout(tape.columns(), ends)

    def _decide(
        self, hidden: Tensor, taught: Tensor, noise: torch.Generator
    ) -> tuple[dict[str, Any], Tensor]:
        """What everybody decides now, and the team's hidden state after it.

        Only what the decision needs: the rest is computed for all steps at once afterwards.
        """
        game, team = self.game, self.team
        observation = torch.from_numpy(game.observation)
        available = torch.from_numpy(game.available)
        kinds = game.kinds
        record: dict[str, Tensor] = {}
        types = self._type_of_kind[torch.from_numpy(kinds).long()]
        if self.bend is not None:
            observation, record = self.bend(observation, noise)
        belief, hidden = team.believe(observation, hidden, types)
        if team.uses_network() and taught.any():
            belief = torch.where(taught, one_hot_types(types, team.num_types), belief)
        scores = team.scores(team.actor_input(observation, belief), hidden)
        scores = team.actions.restrict(scores, available)
        action = team.actions.best(scores) if self.greedy else team.actions.sample(scores, noise)
        decision = {
            **record,
            "observation": observation,
            "belief": belief,
            "available": available,
            "action": action,
            "scores": scores,
            "adversary_action": torch.zeros_like(action),
            "adversary_scores": torch.zeros(*kinds.shape, self.adversary.actions.num_scores),
            "kinds": kinds,
            "types": types,
        }
        if self.critic is not None:
            decision["state"] = game.team_state
        self._corrupt(decision, noise)
        return decision, hidden

    def _corrupt(self, decision: dict[str, Any], noise: torch.Generator) -> None:
        """The adversary's actions, for the agents that it plays now."""
        played = np.nonzero(decision["kinds"] == FaultKind.ADVERSARY)
        if not len(played[0]):
            return
        adversary, (envs, agents) = self.adversary, map(torch.from_numpy, played)
        everyone = (decision["types"] != 0).float()[envs]
        scores = adversary(decision["observation"][envs, agents], everyone)
        scores = adversary.actions.restrict(scores, decision["available"][envs, agents])
        decision["adversary_scores"][envs, agents] = scores
        decision["adversary_action"][envs, agents] = adversary.actions.sample(scores, noise)

    def _executed(self, decision: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
        """The joint action that the attack process lets through."""
        action, adversary = decision["action"].numpy(), decision["adversary_action"].numpy()
        kinds = decision["kinds"]
        uniform, random = np.zeros_like(action), kinds == FaultKind.RANDOM_ACTION
        if not self.game.env.num_actions:
            uniform[random] = rng.uniform(-1.0, 1.0, uniform[random].shape)
            return np.clip(executed_actions(action, adversary, uniform, kinds), -1.0, 1.0)
        if random.any():
            legal = self.game.available[random].cumsum(-1)
            rank = rng.integers(0, legal[:, -1:])
            uniform[random] = (legal <= rank).sum(-1)
        return executed_actions(action, adversary, uniform, kinds)

    def _critic_input(self, final: bool = False) -> Tensor:
        assert self.critic is not None
        game = self.game
        state = game.final_team_state if final else game.team_state
        kinds = game.final_kinds if final else game.kinds
        return self.critic.inputs(torch.from_numpy(state), torch.from_numpy(kinds))

    def _what_followed(self) -> dict[str, Tensor]:
        """What agents and critic saw after a step: where an episode ended, of its last moment."""
        game = self.game

        def at_end(now: np.ndarray, final: np.ndarray) -> Tensor:
            over = game.ended.reshape(-1, *[1] * (now.ndim - 1))
            return torch.from_numpy(np.where(over, final, now))

        critic = at_end(self._critic_input().numpy(), self._critic_input(final=True).numpy())
        return {
            "next_observation": at_end(game.observation, game.final_observation),
            "next_available": at_end(game.available, game.final_available),
            "next_critic_input": critic,
        }

    def _rollout(
        self, columns: dict[str, Tensor], ends: list[tuple[int, np.ndarray, Tensor]]
    ) -> Rollout:
        """What follows from the decisions of all steps, added to them."""
        kinds = columns["kinds"] = columns["kinds"].long()
        columns["log_prob"] = self.team.actions.log_prob(columns.pop("scores"), columns["action"])
        played = kinds == FaultKind.ADVERSARY
        log_prob = self.adversary.actions.log_prob(
            columns.pop("adversary_scores"), columns["adversary_action"]
        )
        columns["adversary_log_prob"] = torch.where(played, log_prob, 0.0)
        ended = columns["ended"]
        columns["fresh"] = torch.cat([torch.ones_like(ended[:1]), ended[:-1]])
        if self.critic is None:
            columns["critic_input"] = torch.zeros(*ended.shape, 0)
        else:
            columns["critic_input"] = self.critic.inputs(columns.pop("state"), kinds)
        known = {f.name for f in fields(Rollout)}
        extra = {name: columns.pop(name) for name in set(columns) - known}
        value, next_value = self._values(columns, ends)
        return Rollout(**columns, value=value, next_value=next_value, extra=extra)

    def _values(
        self, columns: dict[str, Tensor], ends: list[tuple[int, np.ndarray, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """V of each step, and of what followed it, (T, B) each."""
        reward = columns["reward"]
        if self.critic is None:
            return torch.zeros_like(reward), torch.zeros_like(reward)
        after = self._critic_input()
        value = self.critic(torch.cat([columns["critic_input"], after.unsqueeze(0)]))
        next_value = value[1:] * ~columns["ended"]
        # A time limit is a truncation: the value of what would have followed still counts.
        for t, cut, inputs in ends:
            next_value[t, cut] = self.critic(inputs)
        return value[:-1], next_value

"""Play a stretch of episodes in every environment under the attack process."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

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
            return torch.ones(available.shape[:-1])
        return (available.sum(-1) > 1).float()

    def tensors(self) -> dict[str, Any]:
        """All of it by name, as `of_tensors` takes it."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Any]) -> "Rollout":
        """The rollout that `tensors` described."""
        return cls(**tensors)

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
        rows: list[dict[str, Tensor]] = []
        ends: list[tuple[int, np.ndarray, Tensor]] = []
        for t in range(steps):
            row, hidden = self._decide(hidden, taught, noise)
            row["fresh"] = torch.from_numpy(game.ended.copy()) if t else torch.ones(game.batch) > 0
            row["executed"] = torch.from_numpy(self._executed(row, rng))
            step = game.step(row["executed"].numpy())
            row["reward"] = torch.from_numpy(step.reward.copy())
            row["ended"] = torch.from_numpy(game.ended.copy())
            row["truncated"] = torch.from_numpy(game.truncated)
            if self.transitions:
                row |= self._what_followed()
            rows.append(row)
            if game.ended.any():
                hidden = hidden * ~row["ended"].reshape(-1, 1, 1, 1)
                if self.critic is not None and game.truncated.any():
                    cut = np.flatnonzero(game.truncated)
                    ends.append((t, cut, self._critic_input(final=True)[cut]))
        columns = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
        known = {f.name for f in fields(Rollout)}
        extra = {name: columns.pop(name) for name in set(columns) - known}
        value, next_value = self._values(columns, ends)
        return Rollout(**columns, value=value, next_value=next_value, extra=extra)

    def _decide(
        self, hidden: Tensor, taught: Tensor, noise: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        # the environment writes its arrays again at the next step
        observation = torch.from_numpy(self.game.observation.copy())
        available = torch.from_numpy(self.game.available.copy())
        kinds = torch.from_numpy(self.game.kinds).long()
        types = self._type_of_kind[kinds]
        record: dict[str, Tensor] = {}
        if self.bend is not None:
            observation, record = self.bend(observation, noise)
        team = self.team
        belief, hidden = team.believe(observation, hidden, types)
        if team.uses_network():
            belief = torch.where(taught, one_hot_types(types, team.num_types), belief)
        scores = team.scores(team.actor_input(observation, belief))
        scores = team.actions.restrict(scores, available)
        action = team.actions.best(scores) if self.greedy else team.actions.sample(scores, noise)
        row = {
            **record,
            "observation": observation,
            "belief": belief,
            "available": available,
            "action": action,
            "log_prob": team.actions.log_prob(scores, action),
            "adversary_action": torch.zeros_like(action),
            "adversary_log_prob": torch.zeros(kinds.shape),
            "kinds": kinds,
            "types": types,
            "critic_input": torch.zeros(len(kinds), 0),
        }
        if self.critic is not None:
            row["critic_input"] = self._critic_input()
        self._corrupt(row, noise)
        return row, hidden

    def _corrupt(self, row: dict[str, Tensor], noise: torch.Generator) -> None:
        """The adversary's actions, for the agents that it plays now."""
        played = row["kinds"] == FaultKind.ADVERSARY
        if not played.any():
            return
        everyone = (row["types"] != 0).float().unsqueeze(-2).expand(*played.shape, -1)
        adversary = self.adversary
        scores = adversary(row["observation"][played], everyone[played])
        scores = adversary.actions.restrict(scores, row["available"][played])
        action = adversary.actions.sample(scores, noise)
        row["adversary_action"][played] = action
        row["adversary_log_prob"][played] = adversary.actions.log_prob(scores, action)

    def _executed(self, row: dict[str, Tensor], rng: np.random.Generator) -> np.ndarray:
        """The joint action that the attack process lets through."""
        action, adversary = row["action"].numpy(), row["adversary_action"].numpy()
        kinds = row["kinds"].numpy()
        if not self.game.env.num_actions:
            uniform = rng.uniform(-1.0, 1.0, action.shape).astype(np.float32)
            return np.clip(executed_actions(action, adversary, uniform, kinds), -1.0, 1.0)
        legal = row["available"].numpy().cumsum(-1)
        rank = rng.integers(0, legal[..., -1:])
        return executed_actions(action, adversary, (legal <= rank).sum(-1), kinds)

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

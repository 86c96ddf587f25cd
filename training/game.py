"""A batched world as a Bayesian game: nature draws types, and actions are replaced accordingly.

BARDec-POMDP (Li et al. 2024, section 3): every environment draws its own θ at the start of every
episode and tells nobody. Worlds of robots have faults of their own; all others know the two kinds
that are a matter of actions alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sim
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import teammates
from eir_ros.faults.schedule import FaultMixture, Schedule
from sim.batched import BatchedEnv, Step
from sim.swarm.env import SwarmEnv
from training.recipe import Observe, Recipe

#: What can be wrong with an agent that has no body: see `eir_ros.faults.attack_process`.
BODILESS = (FaultKind.ADVERSARY, FaultKind.RANDOM_ACTION)


@dataclass(frozen=True)
class Shape:
    """Sizes that networks are made for."""

    num_agents: int
    observation: int
    #: Of the critic's view of the whole team.
    team_state: int
    #: Number of discrete actions, or of numbers in a continuous one; the other is 0.
    num_actions: int
    action_size: int
    #: Where each teammate is described in an observation, (N - 1, K).
    teammate_columns: tuple[tuple[int, ...], ...]


class Game:
    """B environments of one world, with types.

    Parameters
    ----------
    env
        The world. Its arrays are read in place.
    mixture
        How types are drawn; None: nobody is ever corrupted.
    observe
        What is added to observations.
    steps
        Length of an episode where the world does not know it.

    Attributes
    ----------
    observation : (B, N, D) float32
    available : (B, N, A) bool
    kinds : (B, N) int8
        Codes of the faults that act at the coming decision. Hidden from the team.
    ended, truncated : (B,) bool
        Episodes that the last step ended, and those of them that were cut off by a time limit.
    final_kinds : (B, N) int8
        Faults that acted when an episode ended; holds where `ended`.
    final_observation : (B, N, D) float32
        What the agents saw at the end of an episode; holds where `ended`.
    final_available : (B, N, A) bool
        Actions that could have been taken then.
    """

    def __init__(
        self,
        env: BatchedEnv,
        mixture: FaultMixture | None = None,
        observe: Observe | None = None,
        steps: int = 0,
    ) -> None:
        self.env, self.mixture = env, mixture
        self.batch, self.num_agents = env.batch, env.num_agents
        #: Steps that an episode may take: `steps` where the world does not say.
        self.horizon = env.horizon or steps
        self._observe = observe or Observe()
        b, n = self.batch, self.num_agents
        self._own_first = np.concatenate([np.arange(n)[:, None], teammates(n)], axis=1)
        self._last = np.zeros((b, n, env.num_actions or env.action_size), np.float32)
        self._grid = np.ogrid[:b, :n]
        extra = n * self._observe.identity + n * self._last.shape[-1] * self._observe.last_actions
        self.observation, self.final_observation = env.observation, env.info["final_observation"]
        if extra:
            size = env.observation.shape[-1] + extra
            self.observation = np.zeros((b, n, size), np.float32)
            self.final_observation = np.zeros((b, n, size), np.float32)
        self.available = env.available_actions
        self.final_available: NDArray[np.bool_] = env.info["final_available_actions"]
        self.ended = np.zeros(b, bool)
        self.final_kinds = np.zeros((b, n), np.int8)
        self._age = np.zeros(b, np.int64)
        self._schedule = Schedule.healthy(b, n)
        self._check_mixture()

    @property
    def shape(self) -> Shape:
        """Sizes that networks are made for."""
        columns = self.env.teammate_columns
        if self._observe.last_actions:
            n, a = self.num_agents, self._last.shape[-1]
            first = self.observation.shape[-1] - (n - 1) * a
            own = np.arange(first, self.observation.shape[-1]).reshape(n - 1, a)
            columns = np.concatenate([columns, own], axis=1)
        return Shape(
            self.num_agents,
            self.observation.shape[-1],
            self.team_state.shape[-1],
            self.env.num_actions,
            self.env.action_size,
            tuple(map(tuple, columns.tolist())),
        )

    @property
    def step_s(self) -> float:
        """What a step counts for in the onsets of a schedule."""
        return 1.0

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Codes of the faults that act now, (B, N)."""
        return self._schedule.active(self._age[:, None])

    @property
    def team_state(self) -> NDArray[np.float32]:
        """What a central critic sees, (B, C) float32."""
        return self._of_team(self.env.state)

    @property
    def final_team_state(self) -> NDArray[np.float32]:
        """The same at the end of an episode; holds where `ended`."""
        return self._of_team(self.env.info["final_state"])

    @property
    def truncated(self) -> NDArray[np.bool_]:
        """Episodes that were cut off: what would have followed still counts, (B,)."""
        return self.env.truncated & ~self.env.terminated

    def reset(self, seed: list[int], schedule: Schedule | None = None) -> None:
        """Start fresh episodes; everything random in them follows from `seed`.

        Parameters
        ----------
        schedule
            Faults of these episodes and of those that follow them, onsets in seconds for robots
            and in steps elsewhere; drawn from the mixture where not given.
        """
        self._begin(seed, schedule)
        self._last[...] = 0.0
        self.ended[...] = False
        self._show(self.env.observation, self.observation)

    def step(self, executed: NDArray[Any]) -> Step:
        """Carry out the joint actions that the attack process decided on."""
        step = self.env.step(executed)
        np.logical_or(step.terminated, step.truncated, out=self.ended)
        if self._observe.last_actions:
            self._remember(executed)
        if self.ended.any():
            self._show(self.env.info["final_observation"], self.final_observation)
            self._last[self.ended] = 0.0
        self._after_step()
        self._show(self.env.observation, self.observation)
        return step

    def close(self) -> None:
        """Free what the world holds."""
        self.env.close()

    def _begin(self, seed: list[int], schedule: Schedule | None) -> None:
        self.env.reset([*seed, 0])
        self._nature = np.random.default_rng([*seed, 1])
        self._redraw = schedule is None
        self._schedule = self._draw() if schedule is None else schedule
        self._age[...] = 0

    def _after_step(self) -> None:
        self._age += 1
        if not self.ended.any():
            return
        self.final_kinds[...] = self.kinds
        self._age[self.ended] = 0
        # what is given is the same in every episode
        if self._redraw and self.mixture is not None and not self.mixture.schedule:
            self._schedule.put(self.ended, self._draw(), self.ended)

    def _draw(self) -> Schedule:
        if self.mixture is None:
            return Schedule.healthy(self.batch, self.num_agents)
        drawn = self.mixture.draw(self._nature, self.batch, self.num_agents, self.horizon)
        if self.mixture.schedule:
            return drawn
        # in whole steps; a fault has one at least
        end = None if drawn.end_s is None else np.floor(drawn.end_s) + 1
        return Schedule(drawn.kind, np.floor(drawn.start_s), end)

    def check_kind(self, kind: FaultKind) -> None:
        """Raise an `EirError` about a fault that this world does not know."""
        if kind not in (FaultKind.NONE, *BODILESS):
            known = " and ".join(kind.word for kind in BODILESS)
            raise EirError(
                f"'{kind.word}' is a fault of a robot's body, which agents of '{self.env.name}' "
                f"have not; expected {known}."
            )

    def _check_mixture(self) -> None:
        for word in self.mixture.words if self.mixture else ():
            self.check_kind(FaultKind.parse(word))

    def _remember(self, executed: NDArray[Any]) -> None:
        if self.env.num_actions:
            self._last[...] = 0.0
            self._last[(*self._grid, executed)] = 1.0
        else:
            self._last[...] = executed

    def _show(self, seen: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Fill `out` with what agents see of the world, and with what is added to it."""
        if out is seen:
            return
        at = seen.shape[-1]
        out[..., :at] = seen
        if self._observe.identity:
            out[..., at : at + self.num_agents] = np.eye(self.num_agents)
            at += self.num_agents
        if self._observe.last_actions:
            last = self._last[:, self._own_first]
            out[..., at:] = last.reshape(self.batch, self.num_agents, -1)

    def _of_team(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        return state[:, 0] if self.env.complete_state else state.reshape(self.batch, -1)


class SwarmGame(Game):
    """A world of robots: it draws the types itself and acts them out in bodies and on the work."""

    env: SwarmEnv

    @property
    def step_s(self) -> float:
        """Time from one decision to the next [s]."""
        step: float = self.env.task.decision_s
        return step

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Codes of the faults that act now, (B, N)."""
        return self.env.kinds

    def _begin(self, seed: list[int], schedule: Schedule | None) -> None:
        self.env.reset([*seed, 0], schedule)

    def _after_step(self) -> None:
        self.final_kinds[...] = self.env.info["final_kinds"]

    def check_kind(self, kind: FaultKind) -> None:
        """Robots can have any fault."""

    def _check_mixture(self) -> None:
        if self._observe != Observe():
            raise EirError(
                "a robot observes what its contract says and nothing else; set 'observe' to {}."
            )


def make_game(recipe: Recipe, batch: int, mixture: FaultMixture | None = None) -> Game:
    """The recipe's world with `batch` environments, and types drawn from `mixture`.

    Raises
    ------
    EirError
        The world, an option or a kind of fault is unknown there.
    """
    env = sim.make(recipe.environment, batch=batch, seed=recipe.seed, **recipe.options)
    if recipe.faults.max_faulty > env.num_agents:
        raise EirError(
            f"faults.max_faulty is {recipe.faults.max_faulty}, but '{recipe.environment}' has "
            f"{env.num_agents} agents; expected at most as many."
        )
    if isinstance(env, SwarmEnv):
        env.faults = mixture
        return SwarmGame(env, mixture, recipe.observe, recipe.steps)
    return Game(env, mixture, recipe.observe, recipe.steps)

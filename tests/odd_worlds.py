"""Small `ParallelEnv`s that are awkward on purpose; importable, so that workers find them."""

import multiprocessing
import os
import signal
import time

import gymnasium
import numpy as np
from pettingzoo import AECEnv, ParallelEnv


class Relay(ParallelEnv):
    """Agents with observations and action sets of different sizes, who leave one after the other.

    `short` sees (step, last action) and leaves after 2 steps, `long` sees (step, 1, 1, 1) and ends
    the episode after 4: by time unless `wins`. Each is paid its action.
    """

    metadata = {"name": "relay"}  # noqa: RUF012

    def __init__(self, wins: bool = False) -> None:
        self.possible_agents, self.agents = ["short", "long"], []
        self.render_mode, self._wins = None, wins
        self.seeds: list[int | None] = []

    def observation_space(self, agent):
        return gymnasium.spaces.Box(-9, 9, (2 if agent == "short" else 4,), np.float32)

    def action_space(self, agent):
        return gymnasium.spaces.Discrete(2 if agent == "short" else 3)

    def _see(self, last):
        seen = {
            "short": np.array([self._step, last], np.float32),
            "long": np.array([self._step, 1, 1, 1], np.float32),
        }
        return {name: seen[name] for name in self.agents}

    def reset(self, seed=None, options=None):
        self.seeds.append(seed)
        self._step, self.agents = 0, list(self.possible_agents)
        return self._see(0), {name: {} for name in self.agents}

    def step(self, actions):
        assert set(actions) == set(self.agents)
        assert all(type(action) is int for action in actions.values())
        self._step += 1
        seen = self._see(actions.get("short", 0))
        over = {"short": self._step == 2, "long": self._step == 4}
        ended = {name: over[name] for name in self.agents}
        by_time = {name: over[name] and not self._wins for name in self.agents}
        rewards = {name: float(actions[name]) for name in self.agents}
        infos = {name: {} for name in self.agents}
        self.agents = [name for name in self.agents if not over[name]]
        won = {name: ended[name] and not by_time[name] for name in ended}
        return seen, rewards, won, by_time, infos


class Noisy(Relay):
    """One step counter and a number drawn from the seed, with masks; one agent."""

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = ["long"]

    def reset(self, seed=None, options=None):
        self._rng = np.random.default_rng(seed)
        seen, _ = super().reset(seed)
        return self._with_luck(seen), {"long": {"action_mask": np.array([1, 0, 1], np.int8)}}

    def step(self, actions):
        seen, rewards, won, late, _ = super().step(actions)
        masks = {name: {"action_mask": np.array([1, 1, 0], np.int8)} for name in seen}
        return self._with_luck(seen), rewards, won, late, masks

    def _with_luck(self, seen):
        seen["long"][1] = self._rng.random()
        return seen

    def state(self):
        return np.array([self._step, os.getpid()], np.float32)


class Failing(Relay):
    """Raises when `long` does 2, ends its process by SIGKILL when it does 1."""

    def step(self, actions):
        if actions["long"] == 2:
            raise RuntimeError("the floor is lava")
        if actions["long"] == 1:
            os.kill(os.getpid(), 9)
        return super().step(actions)


class Endless(Relay):
    """A step that does not return."""

    def step(self, actions):
        while True:
            time.sleep(0.01)


class Interrupting(Relay):
    """When `long` does 2, whoever made its process gets Ctrl-C in the middle of the step."""

    def step(self, actions):
        if actions["long"] == 2:
            os.kill(multiprocessing.parent_process().pid, signal.SIGINT)
        time.sleep(1.0)
        return super().step(actions)


class Steering(Relay):
    """Continuous actions of two sizes; what arrives is paid."""

    def action_space(self, agent):
        if agent == "short":
            return gymnasium.spaces.Box(0.0, 4.0, (1,), np.float32)
        return gymnasium.spaces.Box(-2.0, 2.0, (2,), np.float32)

    def step(self, actions):
        assert all(self.action_space(name).contains(value) for name, value in actions.items())
        sums = {name: round(float(value.sum())) for name, value in actions.items()}
        return super().step(sums)


class Unbounded(Relay):
    """Actions without bounds."""

    def action_space(self, agent):
        return gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)


class Turns(AECEnv):
    """Agents act one after the other."""

    metadata = {"name": "turns"}  # noqa: RUF012
    possible_agents = ["one"]  # noqa: RUF012

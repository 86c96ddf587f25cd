"""Making mpe2's environments: functions that a worker process can call without numba.

mpe2 1.1.1 continues the particle worlds of Lowe et al., *Multi-Agent Actor-Critic for Mixed
Cooperative-Competitive Environments* (2017); its rules are used as they are.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

# pygame greets on import otherwise
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

#: How the prey of `simple_tag` may move.
PREY = ("flee", "random")
#: Beyond this the prey is drawn back: mpe2 has no walls [its unit of length].
_COMFORT = 0.8
#: How much a step outside weighs against a hunter nearby.
_HOMESICKNESS = 40.0


def make_spread(
    num_agents: int, local_ratio: float, episode_steps: int, continuous: bool
) -> ParallelEnv:
    """`simple_spread`: as many landmarks as agents."""
    from mpe2 import simple_spread_v3

    return AtOnce(
        simple_spread_v3.raw_env(
            N=num_agents,
            local_ratio=local_ratio,
            max_cycles=episode_steps,
            continuous_actions=continuous,
        )
    )


def make_reference(local_ratio: float, episode_steps: int, continuous: bool) -> ParallelEnv:
    """`simple_reference`: two agents that move and speak."""
    from mpe2 import simple_reference_v3

    return AtOnce(
        simple_reference_v3.raw_env(
            local_ratio=local_ratio, max_cycles=episode_steps, continuous_actions=continuous
        )
    )


def make_tag(
    num_hunters: int, num_obstacles: int, prey: str, episode_steps: int, continuous: bool
) -> ParallelEnv:
    """`simple_tag`, of which only the hunters are agents."""
    from mpe2 import simple_tag_v3

    env = simple_tag_v3.raw_env(
        num_adversaries=num_hunters,
        num_obstacles=num_obstacles,
        max_cycles=episode_steps,
        continuous_actions=continuous,
    )
    return Hunters(AtOnce(env), prey)


def world_of(env: Any) -> Any:
    """The `World` inside one of the environments above."""
    return env.unwrapped.world


class AtOnce(ParallelEnv):
    """One of mpe2's environments, whose agents all act at once.

    mpe2 lets them act in turns, and PettingZoo's conversion asks for everybody's observation after
    every turn, which takes longer than the world's own step. Rules and numbers are mpe2's.

    Parameters
    ----------
    env
        A `raw_env` of mpe2, whose actions nobody checks here.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        self.metadata = env.metadata
        self.possible_agents: list[str] = list(env.possible_agents)
        self.agents: list[str] = []
        self.render_mode = None
        self._seen: dict[str, NDArray[np.float32]] = {}

    @property
    def unwrapped(self) -> Any:
        """mpe2's environment, with its world."""
        return self._env

    def observation_space(self, agent: str) -> Any:
        """As mpe2 says."""
        return self._env.observation_space(agent)

    def action_space(self, agent: str) -> Any:
        """As mpe2 says."""
        return self._env.action_space(agent)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a new episode."""
        self._env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._look(), {name: {} for name in self.agents}

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """One step of the world."""
        env, acting = self._env, self.agents
        env.current_actions = [actions[name] for name in self.possible_agents]
        env._execute_world_step()
        env.steps += 1
        over = env.steps >= env.max_cycles
        self.agents = [] if over else acting
        return (
            self._look(),
            dict(env.rewards),
            dict.fromkeys(acting, False),
            dict.fromkeys(acting, over),
            {name: {} for name in acting},
        )

    def state(self) -> NDArray[np.float32]:
        """What every agent sees, one after the other."""
        return np.concatenate(list(self._seen.values()))

    def close(self) -> None:
        """Close mpe2's environment."""
        self._env.close()

    def _look(self) -> dict[str, NDArray[np.float32]]:
        self._seen = {name: self._env.observe(name) for name in self.possible_agents}
        return dict(self._seen)


class Hunters(ParallelEnv):
    """`simple_tag` for its adversaries alone; the prey is a part of the world.

    Parameters
    ----------
    env
        A `simple_tag` with one prey.
    prey
        `flee`: pushed away by every hunter with the inverse of its distance, and back inside by
        leaving |x|, |y| < 0.8. `random`: every action is drawn uniformly.
    """

    metadata = {"name": "simple_tag_v3"}  # noqa: RUF012 (PettingZoo's form)

    def __init__(self, env: ParallelEnv, prey: str) -> None:
        self._env, self._random_prey = env, prey == "random"
        self._prey = next(name for name in env.possible_agents if name.startswith("agent"))
        self.possible_agents = [name for name in env.possible_agents if name != self._prey]
        self.agents: list[str] = []
        self.render_mode = None
        self.world = env.unwrapped.world
        self._rng = np.random.default_rng(0)

    def observation_space(self, agent: str) -> Any:
        """As mpe2 says."""
        return self._env.observation_space(agent)

    def action_space(self, agent: str) -> Any:
        """As mpe2 says."""
        return self._env.action_space(agent)

    @property
    def steps(self) -> int:
        """Steps since the reset."""
        return int(self._env.unwrapped.steps)

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a new episode; the prey's luck follows from the seed, too."""
        if seed is not None:
            self._rng = np.random.default_rng([seed, 1])
        seen, infos = self._env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._ours(seen), self._ours(infos)

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """One step of the hunters, and of the prey."""
        results = self._env.step({**actions, self._prey: self._prey_action()})
        ours = tuple(self._ours(result) for result in results)
        self.agents = [name for name in self._env.agents if name != self._prey]
        return ours

    def state(self) -> NDArray[np.float32]:
        """What all of them see, the prey included."""
        seen: NDArray[np.float32] = self._env.state()
        return seen

    def close(self) -> None:
        """Close mpe2's environment."""
        self._env.close()

    def _ours(self, by_name: dict[str, Any]) -> dict[str, Any]:
        return {name: by_name[name] for name in self.agents or self.possible_agents}

    def _prey_action(self) -> Any:
        space = self._env.action_space(self._prey)
        discrete = not space.shape
        if self._random_prey:
            return int(self._rng.integers(5)) if discrete else self._rng.random(5, np.float32)
        x, y = self._way_out()
        if not discrete:
            push = np.array([0.0, max(-x, 0.0), max(x, 0.0), max(-y, 0.0), max(y, 0.0)])
            return (push / max(push.max(), 1e-9)).astype(np.float32)
        if abs(x) > abs(y):
            return 2 if x > 0 else 1
        return 4 if y > 0 else 3

    def _way_out(self) -> NDArray[np.float64]:
        """Direction in which the prey would rather be, (2,)."""
        places = {agent.name: agent.state.p_pos for agent in self.world.agents}
        mine = places[self._prey]
        away = mine - np.array([places[name] for name in self.possible_agents])
        push = (away / np.maximum(np.square(away).sum(-1, keepdims=True), 1e-6)).sum(0)
        outside = np.maximum(np.abs(mine) - _COMFORT, 0.0) * np.sign(mine)
        direction: NDArray[np.float64] = push - _HOMESICKNESS * outside
        return direction

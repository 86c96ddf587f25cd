"""PettingZoo's view of the swarm: a `ParallelEnv` over a batch of one."""

from typing import Any

import gymnasium
import numpy as np
from pettingzoo import ParallelEnv

from sim.swarm.env import CoverageEnv


class CoverageParallelEnv(ParallelEnv):
    """Coverage for PettingZoo users; agents are named `r0`, `r1`, ...

    Options are those of `sim.swarm.env.CoverageEnv` but batch and seed.
    """

    metadata = {"name": "swarm-coverage", "render_modes": []}  # noqa: RUF012 (PettingZoo's form)

    def __init__(self, **options: Any) -> None:
        self._env = CoverageEnv(batch=1, **options)
        self.possible_agents = [f"r{i}" for i in range(self._env.num_agents)]
        self.agents: list[str] = []
        self.render_mode = None
        size = self._env.task.layout.size
        # One object per agent, always the same: PettingZoo seeds the spaces it is given.
        self._observations = {
            name: gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
            for name in self.possible_agents
        }
        self._actions = {
            name: gymnasium.spaces.Discrete(len(self._env.task.actions))
            for name in self.possible_agents
        }

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        """Box of `task.layout.size` floats."""
        return self._observations[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        """The discrete actions of the task."""
        return self._actions[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a new episode; see `CoverageEnv.reset`."""
        observation = self._env.reset(seed)
        self.agents = list(self.possible_agents)
        return self._by_name(observation[0].copy()), {name: {} for name in self.agents}

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        """One joint decision."""
        joint = np.array([[actions[name] for name in self.agents]])
        observation, reward, terminated, truncated, info = self._env.step(joint)
        seen = (info["final_observation"] if truncated[0] else observation)[0].copy()
        result: tuple[dict[str, Any], ...] = (
            self._by_name(seen),
            dict.fromkeys(self.agents, float(reward[0])),
            dict.fromkeys(self.agents, bool(terminated[0])),
            dict.fromkeys(self.agents, bool(truncated[0])),
            {name: {} for name in self.agents},
        )
        if truncated[0]:
            self.agents = []
        return result

    def state(self) -> np.ndarray:
        """Global state for a central critic, (S,) float32."""
        return self._env.team_state[0].copy()

    def render(self) -> None:
        """Nothing is drawn here."""

    def close(self) -> None:
        """Free the physics client."""
        self._env.close()

    def _by_name(self, rows: np.ndarray) -> dict[str, Any]:
        return dict(zip(self.agents, rows, strict=True))

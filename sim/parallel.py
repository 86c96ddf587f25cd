"""PettingZoo's view of any world: a `ParallelEnv` over a batch of one."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from sim.batched import BatchedEnv

#: What can happen to an action that is not available.
ILLEGAL = ("refuse", "replace")


class ParallelView(ParallelEnv):
    """One environment for PettingZoo users.

    What is legal stands in every agent's info as `action_mask`, (A,) int8 as `Discrete.sample`
    takes it. All agents end together; the observations of the last step are those that the
    episode ended with, and no action is legal in them. Every array is a copy.

    Parameters
    ----------
    env
        A world of batch 1; closed with the view.
    illegal
        What happens to an action that is not available: `refuse` raises a ValueError and nothing
        moves; `replace` takes the first action that is available instead and says so in the
        agent's info, with `replaced_action`. For tools that know no masks.

    Raises
    ------
    ValueError
        The batch is not 1, or `illegal` is another word.
    """

    metadata = {"name": "", "render_modes": ["rgb_array"], "is_parallelizable": True}  # noqa: RUF012

    def __init__(self, env: BatchedEnv, illegal: str = "refuse") -> None:
        if env.batch != 1:
            raise ValueError(f"the environment's batch is {env.batch}; expected 1")
        if illegal not in ILLEGAL:
            raise ValueError(f"illegal is '{illegal}'; expected one of {', '.join(ILLEGAL)}")
        self._env, self._replace = env, illegal == "replace"
        self.metadata = {**self.metadata, "name": env.name}
        self.render_mode = "rgb_array"
        self.possible_agents = list(env.agents)
        self.agents: list[str] = []
        # One object per agent, always the same: PettingZoo seeds the spaces it is given.
        size = env.observation.shape[-1]
        self._observations = {
            name: gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
            for name in self.possible_agents
        }
        self._actions = {name: self._make_action_space() for name in self.possible_agents}
        self._ended = False

    def _make_action_space(self) -> gymnasium.spaces.Space:
        if self._env.num_actions:
            return gymnasium.spaces.Discrete(self._env.num_actions)
        return gymnasium.spaces.Box(-1.0, 1.0, (self._env.action_size,), np.float32)

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        """Box of the world's D floats."""
        return self._observations[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        """Discrete actions, or a box from -1 to 1."""
        return self._actions[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start a new episode; a seed starts the random stream again from there."""
        observation = self._env.reset(seed)
        self.agents = list(self.possible_agents)
        self._ended = False
        return self._by_name(observation[0]), self._infos()

    def step(self, actions: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        """One joint action, one entry per agent.

        Raises
        ------
        ValueError
            No episode is running, an agent has no action or an unknown one has, or an action is
            none that the world takes. Nothing has moved then.
        """
        if not self.agents:
            raise ValueError("no episode is running; expected reset to be called first")
        if not isinstance(actions, Mapping) or set(actions) != set(self.agents):
            found = ", ".join(map(str, actions)) if isinstance(actions, Mapping) else repr(actions)
            raise ValueError(
                f"actions are for {found or 'nobody'}; expected one for each of "
                f"{', '.join(self.agents)}"
            )
        joint = np.array([[actions[name] for name in self.agents]])
        replaced = self._made_legal(joint) if self._replace and self._env.num_actions else {}
        observation, reward, terminated, truncated, info = self._env.step(joint)
        self._ended = bool(terminated[0] or truncated[0])
        seen = info["final_observation"] if self._ended else observation
        infos = self._infos()
        for name, action in replaced.items():
            infos[name]["replaced_action"] = action
        result: tuple[dict[str, Any], ...] = (
            self._by_name(seen[0]),
            dict.fromkeys(self.agents, float(reward[0])),
            dict.fromkeys(self.agents, bool(terminated[0])),
            dict.fromkeys(self.agents, bool(truncated[0])),
            infos,
        )
        if self._ended:
            self.agents = []
        return result

    def _made_legal(self, joint: NDArray[Any]) -> dict[str, int]:
        """Replace what is in its range but not available, in place; returns what was replaced."""
        replaced = {}
        legal = self._env.available_actions[0]
        for i, name in enumerate(self.agents):
            action = joint[0, i]
            if 0 <= action < self._env.num_actions and not legal[i, action]:
                replaced[name] = int(action)
                joint[0, i] = legal[i].argmax()
        return replaced

    def state(self) -> NDArray[np.float32]:
        """What a central critic may see, one row per agent, (N, S) float32."""
        ended = self._env.info["final_state"] if self._ended else self._env.state
        return np.array(ended[0])

    def render(self) -> NDArray[np.uint8]:
        """The present scene from above, (height, width, 3) uint8."""
        from sim.drawing import draw

        return np.asarray(draw(self._env.scene()))

    def close(self) -> None:
        """Close the world."""
        self._env.close()

    def _infos(self) -> dict[str, dict[str, Any]]:
        masks = self._env.available_actions[0].astype(np.int8) * (not self._ended)
        if not self._env.num_actions:
            return {name: {} for name in self.agents}
        return {name: {"action_mask": mask} for name, mask in self._by_name(masks).items()}

    def _by_name(self, rows: NDArray[Any]) -> dict[str, Any]:
        return {name: row.copy() for name, row in zip(self.agents, rows, strict=True)}

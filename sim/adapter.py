"""One PettingZoo `ParallelEnv` of anybody's as one row of a batch.

Agents of a batch have arrays of one size: shorter observations are padded with zeros at the end,
smaller action sets with actions that are never available, and shorter continuous actions with
numbers that nobody reads. An agent that is out before the others sees zeros from then on, may only
do action 0, and what it does is not passed on. The row ends when no agent is left.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

#: How the rewards of the agents become the team's.
REWARDS = ("mean", "sum")


class Shape(NamedTuple):
    """What a `ParallelEnv` amounts to as a row."""

    #: Their names, in the order of `possible_agents`
    agents: tuple[str, ...]
    observation_size: int
    state_size: int
    #: The largest of any agent; 0 where actions are continuous
    num_actions: int
    #: The longest of any agent; 0 where actions are discrete
    action_size: int
    #: Whether the environment has a `state()`; the agents' observations stand for it otherwise
    has_state: bool
    #: What it calls itself
    name: str


class Arrays(NamedTuple):
    """The arrays of a batch, as in `sim.batched.BatchedEnv`, with the actions to carry out."""

    observation: NDArray[np.float32]
    state: NDArray[np.float32]
    available_actions: NDArray[np.bool_]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    final_observation: NDArray[np.float32]
    final_state: NDArray[np.float32]
    final_available_actions: NDArray[np.bool_]
    #: (B, N) int64, or (B, N, action_size) float32
    actions: NDArray[Any]


def array_types(shape: Shape, batch: int) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shape and dtype of each of `Arrays`."""
    seen = (batch, len(shape.agents), shape.observation_size)
    state = (batch, len(shape.agents), shape.state_size)
    acts = (batch, len(shape.agents))
    continuous = ((*acts, shape.action_size), np.float32)
    legal = ((*acts, shape.num_actions), np.bool_)
    actions = (acts, np.int64) if shape.num_actions else continuous
    return {
        "observation": (seen, np.float32),
        "state": (state, np.float32),
        "available_actions": legal,
        "reward": ((batch,), np.float32),
        "terminated": ((batch,), np.bool_),
        "truncated": ((batch,), np.bool_),
        "final_observation": (seen, np.float32),
        "final_state": (state, np.float32),
        "final_available_actions": legal,
        "actions": actions,
    }


def shape_of(env: Any) -> Shape:
    """Read the sizes of a `ParallelEnv`; it is reset on the way.

    Raises
    ------
    ValueError
        It is no `ParallelEnv`, or its actions are neither all `Discrete` nor all bounded `Box`.
    """
    needed = ("possible_agents", "observation_space", "action_space", "reset", "step")
    missing = [name for name in needed if not hasattr(env, name)]
    if missing or hasattr(env, "agent_iter"):
        why = f"has no {missing[0]}" if missing else "lets agents act in turns"
        raise ValueError(
            f"{env!r} {why}; expected a PettingZoo ParallelEnv, as "
            "pettingzoo.utils.aec_to_parallel makes of one with turns"
        )
    agents = tuple(env.possible_agents)
    if not agents:
        raise ValueError("the environment has no possible_agents; expected at least one")
    spaces = [env.action_space(name) for name in agents]
    num_actions = action_size = 0
    if all(isinstance(space, gymnasium.spaces.Discrete) for space in spaces):
        num_actions = max(int(space.n) for space in spaces)
    elif all(_is_bounded_box(space) for space in spaces):
        action_size = max(int(np.prod(space.shape)) for space in spaces)
    else:
        found = ", ".join(f"{name}: {space}" for name, space in zip(agents, spaces, strict=True))
        raise ValueError(f"action spaces are {found}; expected all Discrete or all bounded Box")
    size = max(
        gymnasium.spaces.flatdim(_without_mask(env.observation_space(name))) for name in agents
    )
    env.reset(seed=0)
    try:
        state_size, has_state = int(np.size(env.state())), True
    except (NotImplementedError, AttributeError):
        state_size, has_state = size * len(agents), False
    name = str(getattr(env, "metadata", {}).get("name", type(env).__name__))
    return Shape(agents, size, state_size, num_actions, action_size, has_state, name)


class Row:
    """Row `b` of a batch: steps one `ParallelEnv` and writes what comes of it into the arrays."""

    def __init__(self, env: Any, shape: Shape, arrays: Arrays, b: int, reward: str) -> None:
        self.env = env
        self._shape = shape
        self._reward_scale = 1.0 / len(shape.agents) if reward == "mean" else 1.0
        self._arrays = Arrays._make(array[b : b + 1] for array in arrays)
        self._spaces = [_without_mask(env.observation_space(name)) for name in shape.agents]
        self._actions = [env.action_space(name) for name in shape.agents]
        self._index = {name: i for i, name in enumerate(shape.agents)}
        self._alive: list[str] = []
        self._seeds = np.random.default_rng(0)

    def reset(self, seed: int | None) -> None:
        """Start an episode; a seed starts the row's stream of episodes again from there."""
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        # every episode is seeded, because not every environment keeps a stream of its own
        seen, infos = self.env.reset(seed=int(self._seeds.integers(1 << 31)))
        self._alive = list(self.env.agents)
        self._show(seen, infos)

    def step(self, hold: bool) -> None:
        """Carry out the row's actions; starts the next episode at an end, unless on `hold`."""
        arrays, acting = self._arrays, self._alive
        actions = {name: self._action(self._index[name]) for name in acting}
        seen, rewards, terminated, truncated, infos = self.env.step(actions)
        arrays.reward[0] = self._reward_scale * sum(rewards.get(name, 0.0) for name in acting)
        timed_out = any(truncated.get(name, False) for name in acting)
        self._alive = [
            name
            for name in acting
            if name in self.env.agents and not (terminated.get(name) or truncated.get(name))
        ]
        ended = not self._alive
        arrays.terminated[0] = ended and not timed_out
        arrays.truncated[0] = ended and timed_out
        if not ended:
            self._show(seen, infos)
            return
        self._write(arrays.final_observation, seen, acting)
        self._write_state(arrays.final_state, arrays.final_observation)
        self._write_masks(arrays.final_available_actions, seen, infos, acting)
        if not hold:
            self.reset(None)

    def _show(self, seen: dict[str, Any], infos: dict[str, Any]) -> None:
        arrays = self._arrays
        self._write(arrays.observation, seen, self._alive)
        self._write_state(arrays.state, arrays.observation)
        self._write_masks(arrays.available_actions, seen, infos, self._alive)

    def _write(self, out: NDArray[np.float32], seen: dict[str, Any], names: list[str]) -> None:
        out[...] = 0.0
        for name in names:
            i = self._index[name]
            space, value = self._spaces[i], seen[name]
            if isinstance(value, dict) and "action_mask" in value:
                value = {key: part for key, part in value.items() if key != "action_mask"}
                value = value["observation"] if list(value) == ["observation"] else value
            if isinstance(space, gymnasium.spaces.Box):
                flat = np.ravel(value)
            else:
                flat = gymnasium.spaces.flatten(space, value)
            out[0, i, : flat.size] = flat

    def _write_state(self, out: NDArray[np.float32], seen: NDArray[np.float32]) -> None:
        state = np.ravel(self.env.state()) if self._shape.has_state else seen.reshape(-1)
        out[...] = state

    def _write_masks(
        self, out: NDArray[np.bool_], seen: dict[str, Any], infos: dict[str, Any], names: list[str]
    ) -> None:
        """Actions that `names` may take; those who have left have the first one only."""
        if not self._shape.num_actions:
            return
        out[...] = False
        out[0, :, 0] = True
        for name in names:
            i, sight = self._index[name], seen[name]
            count = int(self._actions[i].n)
            mask = sight.get("action_mask") if isinstance(sight, dict) else None
            mask = infos.get(name, {}).get("action_mask") if mask is None else mask
            out[0, i, :count] = True if mask is None else mask

    def _action(self, i: int) -> Any:
        space, given = self._actions[i], self._arrays.actions[0, i]
        if self._shape.num_actions:
            return int(given + space.start)
        part = given[: int(np.prod(space.shape))].reshape(space.shape)
        scaled = space.low + 0.5 * (part + 1.0) * (space.high - space.low)
        return np.clip(scaled, space.low, space.high).astype(space.dtype)


def _is_bounded_box(space: Any) -> bool:
    return isinstance(space, gymnasium.spaces.Box) and space.is_bounded()


def _without_mask(space: Any) -> Any:
    """The part of an observation space that is seen, where a mask of actions is the other."""
    if not isinstance(space, gymnasium.spaces.Dict) or "action_mask" not in space.spaces:
        return space
    rest = {name: part for name, part in space.spaces.items() if name != "action_mask"}
    return rest["observation"] if list(rest) == ["observation"] else gymnasium.spaces.Dict(rest)

"""A complete small world: agents on a ring of cells that want to meet in one."""

from typing import Any

import numpy as np
from numba import njit

from sim.batched import BatchedEnv
from sim.randomness import below, streams
from sim.scene import Box, Disc, Scene


class MeetingEnv(BatchedEnv):
    """Agents on a ring meet in one cell.

    Actions: stay, step right, step left. Every step that not all are together costs 1; the
    episode terminates when they are, and is truncated after `episode_steps`. Each agent sees how
    far the others are, counted along the ring from -0.5 to 0.5 of its length, zero for itself.
    """

    name = "meeting"
    can_hold = True

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        num_agents: int = 3,
        cells: int = 12,
        episode_steps: int = 30,
    ) -> None:
        if cells < 2:
            raise ValueError(f"cells is {cells}; expected at least 2")
        super().__init__(batch, num_agents, num_agents, num_agents, num_actions=3)
        self.cells, self.episode_steps = cells, episode_steps
        self._place = np.zeros((batch, num_agents), np.int64)
        self._steps = np.zeros(batch, np.int64)
        self.reset(seed)

    def _reset(self, seed: Any) -> None:
        if seed is not None:
            self._streams = streams(seed, self.batch)
        for b in range(self.batch):
            _start(self._streams, b, self._place, self._steps, self.cells)
            _look(b, self._place, self.cells, self.observation, self.state)

    def _advance(self, actions: Any) -> None:
        _step(
            actions,
            self._streams,
            self._place,
            self._steps,
            (self.cells, self.episode_steps, self.hold),
            (self.observation, self.state, self.reward, self.terminated, self.truncated),
            (self.info["final_observation"], self.info["final_state"]),
        )

    def scene(self, index: int = 0) -> Scene:
        """The ring, laid out as a row of cells; who shares a cell stands in a pile."""
        scene = Scene((-1, -1, self.cells, 4), captions=(f"step {self._steps[index]}",))
        scene.items.extend(Box((c, 0), (0.9, 0.9), "faint") for c in range(self.cells))
        place = self._place[index].tolist()
        for i, c in enumerate(place):
            scene.items.append(Disc((c, place[:i].count(c)), 0.4, "agent", str(i), agent=i))
        return scene


@njit(cache=True)
def _start(random, b, place, steps, cells):
    """Put everybody somewhere."""
    steps[b] = 0
    for i in range(place.shape[1]):
        place[b, i] = below(random, b, cells)


@njit(cache=True)
def _look(b, place, cells, observation, state):
    """Fill what agents see, and, because they see everything, the state."""
    for i in range(place.shape[1]):
        for j in range(place.shape[1]):
            ahead = (place[b, j] - place[b, i] + cells // 2) % cells - cells // 2
            observation[b, i, j] = state[b, i, j] = ahead / cells


@njit(cache=True)
def _step(actions, random, place, steps, limits, outputs, finals):
    """One step of every environment; those that end start again, unless somebody looks at them."""
    cells, episode_steps, hold = limits
    observation, state, reward, terminated, truncated = outputs
    for b in range(len(actions)):
        met = True
        for i in range(place.shape[1]):
            place[b, i] = (place[b, i] + (0, 1, -1)[actions[b, i]]) % cells
            met &= place[b, i] == place[b, 0]
        steps[b] += 1
        reward[b] = 0.0 if met else -1.0
        terminated[b] = met
        truncated[b] = not met and steps[b] >= episode_steps
        _look(b, place, cells, observation, state)
        if terminated[b] or truncated[b]:
            finals[0][b], finals[1][b] = observation[b], state[b]
            if not hold:
                _start(random, b, place, steps, cells)
                _look(b, place, cells, observation, state)

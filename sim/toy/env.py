"""The toy matrix game: two agents who must agree in one state and differ in the other.

Li et al., *Byzantine Robust Cooperative Multi-Agent Reinforcement Learning as a Bayesian Game*
(ICLR 2024), section 5.1. What a team can reach in it is known exactly: see `sim.toy.solver`.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.batched import BatchedEnv
from sim.randomness import Streams, below, streams
from sim.scene import Box, Disc, Line, Scene

NUM_AGENTS = NUM_ACTIONS = NUM_STATES = 2
#: Stands in for the last state and the last actions while there are none
NOTHING_YET = -1
#: state, own index, last state, both last actions
_FEATURES = 5


class _Games(NamedTuple):
    """All that the kernel reads and writes, as arrays over the batch."""

    #: present state, last state and both last actions, (B, 4) int8
    memory: NDArray[np.int8]
    #: steps since the episode began, (B,) int32
    steps: NDArray[np.int32]
    luck: Streams
    observation: NDArray[np.float32]
    state: NDArray[np.float32]
    final_observation: NDArray[np.float32]
    final_state: NDArray[np.float32]
    reward: NDArray[np.float32]
    truncated: NDArray[np.bool_]


class ToyEnv(BatchedEnv):
    """B matrix games.

    In state 0 equal actions pay 1 and lead to state 1, unequal ones pay 0 and the state stays. In
    state 1 unequal actions pay 1 and the state stays, equal ones pay 0 and lead to state 0. So the
    present state tells whether the last step paid. Nothing ever terminates; episodes are truncated.

    Observation and state are the same five numbers for an agent (D = S = 5): the state, its own
    index, the last state, the last action of agent 0 and that of agent 1; the last three are -1 in
    the first step.

    Parameters
    ----------
    batch
        Number of games, B.
    seed
        Whatever `numpy.random.SeedSequence` takes.
    episode_steps
        Time limit of an episode [steps].
    start_state
        0 or 1; None draws it uniformly for each episode.
    belief_slots
        Append one zero per agent to the observation, which a learner may overwrite with its beliefs
        (the layout of the paper; D = 7).

    Raises
    ------
    ValueError
        An option is out of range.
    """

    name = "toy"
    complete_state = True
    can_hold = True

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        *,
        episode_steps: int = 100,
        start_state: int | None = None,
        belief_slots: bool = False,
    ) -> None:
        if episode_steps < 1:
            raise ValueError(f"episode_steps is {episode_steps}; expected at least 1")
        if start_state not in (None, 0, 1):
            raise ValueError(f"start_state is {start_state}; expected 0, 1 or None")
        observed = _FEATURES + NUM_AGENTS * belief_slots
        super().__init__(batch, NUM_AGENTS, observed, _FEATURES, num_actions=NUM_ACTIONS)
        self.episode_steps = self.horizon = episode_steps
        self.start_state = start_state
        self._start = -1 if start_state is None else start_state
        self._games = _Games(
            memory=np.zeros((batch, 2 + NUM_AGENTS), np.int8),
            steps=np.zeros(batch, np.int32),
            luck=np.zeros(batch, np.uint64),
            observation=self.observation,
            state=self.state,
            final_observation=self.info["final_observation"],
            final_state=self.info["final_state"],
            reward=self.reward,
            truncated=self.truncated,
        )
        self.reset(seed)

    def _reset(self, seed: Any) -> None:
        if seed is not None:
            self._games.luck[:] = streams(seed, self.batch)
        _start_all(self._games, self._start)

    def _advance(self, actions: NDArray[np.int64]) -> None:
        _step_all(self._games, actions, self.episode_steps, self._start, self.hold)

    def scene(self, index: int = 0) -> Scene:
        """Both pay-off matrices; the present state's is framed.

        The last actions stand beside the matrix that they were played in.
        """
        state, last_state, *actions = (int(value) for value in self._games.memory[index])
        items: list[Disc | Box | Line] = []
        for matrix in range(NUM_STATES):
            items += _matrix(4.0 * matrix, matrix)
        left = 4.0 * state
        frame = [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0), (0.0, 0.0)]
        items.append(Line(tuple((left + x, y) for x, y in frame)))
        if last_state != NOTHING_YET:
            left = 4.0 * last_state
            items.append(Disc((left - 0.5, 1.5 - actions[0]), 0.3, "agent", "0", agent=0))
            items.append(Disc((left + 0.5 + actions[1], 2.5), 0.3, "agent", "1", agent=1))
        captions = (
            f"step {self._games.steps[index]} of {self.episode_steps}",
            f"state {state} (framed)",
            *([f"last played {actions[0]}, {actions[1]}"] if last_state != NOTHING_YET else []),
        )
        return Scene((-1.0, -0.5, 6.5, 3.0), items, captions)


def _matrix(left: float, state: int) -> list[Disc | Box | Line]:
    """Four cells; rows are the actions of agent 0 from above, columns those of agent 1."""
    cells: list[Disc | Box | Line] = []
    for row in range(NUM_ACTIONS):
        for column in range(NUM_ACTIONS):
            pays = (row == column) == (state == 0)
            centre = (left + 0.5 + column, 1.5 - row)
            cells.append(Box(centre, (0.9, 0.9), "goal" if pays else "faint", label=str(int(pays))))
    return cells


@njit(cache=True)
def _step_all(
    games: _Games, actions: NDArray[np.int64], limit: int, start: int, hold: bool
) -> None:
    """Play actions (B, 2) in every game; `limit` [steps] ends an episode, `hold` keeps its end."""
    for b in range(actions.shape[0]):
        state = games.memory[b, 0]
        equal = actions[b, 0] == actions[b, 1]
        paid = equal == (state == 0)
        games.reward[b] = paid
        games.steps[b] += 1
        # What pays leads to state 1 or stays there, what does not leads to state 0 or stays there.
        games.memory[b, 0] = paid
        games.memory[b, 1] = state
        games.memory[b, 2] = actions[b, 0]
        games.memory[b, 3] = actions[b, 1]
        games.truncated[b] = games.steps[b] >= limit
        if games.truncated[b]:
            _show(games.memory, games.final_observation, games.final_state, b)
            if not hold:
                _start(games, b, start)
        _show(games.memory, games.observation, games.state, b)


@njit(cache=True)
def _start_all(games: _Games, start: int) -> None:
    """New episodes everywhere."""
    for b in range(games.steps.shape[0]):
        _start(games, b, start)
        _show(games.memory, games.observation, games.state, b)


@njit(cache=True)
def _start(games: _Games, b: int, start: int) -> None:
    """A new episode in state `start`, or in a drawn one where that is negative."""
    games.memory[b, 0] = start if start >= 0 else below(games.luck, b, NUM_STATES)
    games.memory[b, 1:] = NOTHING_YET
    games.steps[b] = 0


@njit(cache=True)
def _show(
    memory: NDArray[np.int8],
    observation: NDArray[np.float32],
    state: NDArray[np.float32],
    b: int,
) -> None:
    """Write what both agents see, and the critic, in game b."""
    for i in range(NUM_AGENTS):
        for array in (observation, state):
            array[b, i, 0] = memory[b, 0]
            array[b, i, 1] = i
            array[b, i, 2] = memory[b, 1]
            array[b, i, 3] = memory[b, 2]
            array[b, i, 4] = memory[b, 3]

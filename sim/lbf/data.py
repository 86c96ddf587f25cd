"""The arrays and settings of level-based foraging, as its compiled rules take them.

Rows count from the top (north), columns from the left (west), both from 0. Agents and foods are
triples: row, column, level.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.randomness import Streams

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
ROW, COL, LEVEL = range(3)

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Actions = NDArray[np.int64]


class Rules(NamedTuple):
    """What stays the same for the whole life of an environment."""

    rows: int
    cols: int
    #: Half the side of the window that an agent sees [cells]
    sight: int
    episode_limit: int
    #: A cell that several agents want goes to the first of them; otherwise nobody moves
    first_wins: bool
    #: Every food has its highest level
    force_coop: bool
    #: A random food level stays below the highest
    below_top: bool
    normalize_reward: bool
    penalty: float


class Bounds(NamedTuple):
    """Lowest and highest levels, dealt out in random order in every episode."""

    #: (N, 2)
    agents: Ints
    #: (F, 2); a highest level of 0 means that of the three weakest agents together
    foods: Ints
    #: Scratch: who gets which row (max(N, F),)
    order: Ints


class World(NamedTuple):
    """Every array that a step reads or writes; the first axis is the environment."""

    streams: Streams
    #: (B, N, 3)
    agents: Ints
    #: (B, F, 3), in reading order of the cells
    foods: Ints
    #: Levels of all foods of the episode together (B,)
    spawned: Ints
    #: Steps taken in the episode (B,)
    elapsed: Ints
    #: Index of the food next to each agent (B, N); -1 for none
    beside: Ints
    #: Scratch: cell that each agent heads for (N,)
    target: Ints
    observation: Floats
    state: Floats
    available: Bools
    reward: Floats
    agent_reward: Floats
    terminated: Bools
    truncated: Bools
    final_observation: Floats
    final_state: Floats
    final_available: Bools

"""The rules of level-based foraging, compiled: one serial pass over the batch.

Rows count from the top (north), columns from the left (west), both from 0. A food never lies on
the border, nor nearer than three steps to another food, so no cell is beside two foods.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.randomness import Streams, below

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
#: Row and column that an action adds.
_STEP = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)], np.int32)
#: Places tried before an episode starts with fewer foods.
_TRIES = 1000

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


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
    #: (N,); dealt to the agents in random order
    min_player_level: Ints
    max_player_level: Ints
    #: (F,); dealt to the foods in random order; a highest level of 0 means that of the three
    #: weakest agents together
    min_food_level: Ints
    max_food_level: Ints


class World(NamedTuple):
    """Every array that a step reads or writes; the first axis is the environment."""

    streams: Streams
    #: Row and column (B, N, 2)
    position: Ints
    #: (B, N)
    level: Ints
    #: Row and column, in reading order of the cells (B, F, 2)
    food_position: Ints
    #: (B, F); 0 once loaded
    food_level: Ints
    #: Levels of all foods of the episode together (B,)
    food_spawned: Ints
    #: Steps taken in the episode (B,)
    elapsed: Ints
    #: Index of the food next to each agent (B, N); -1 for none
    beside: Ints
    observation: Floats
    state: Floats
    available: Bools
    reward: Floats
    agent_reward: Floats
    terminated: Bools
    truncated: Bools
    final_observation: Floats
    final_state: Floats
    #: Scratch: cell that each agent heads for (N,)
    target: Ints
    #: Scratch: who gets which level (max(N, F),)
    order: Ints


@njit(cache=True)
def advance(world: World, rules: Rules, actions: NDArray[np.int64]) -> None:
    """One step of every environment; `actions` (B, N) are available ones."""
    for b in range(actions.shape[0]):
        _move(world, rules, actions, b)
        _load(world, rules, actions, b)
        world.elapsed[b] += 1
        over = _food_left(world, b) == 0
        late = not over and world.elapsed[b] >= rules.episode_limit
        world.terminated[b] = over
        world.truncated[b] = late
        observe(world, rules, b)
        if over or late:
            _keep_final(world, b)
            _begin(world, rules, b)


@njit(cache=True)
def begin_all(world: World, rules: Rules) -> None:
    """A new episode in every environment."""
    for b in range(world.elapsed.shape[0]):
        _begin(world, rules, b)


@njit(cache=True)
def observe(world: World, rules: Rules, b: int) -> None:
    """Fill masks, observations and states of environment `b` from where things are."""
    for i in range(world.level.shape[1]):
        _allow(world, rules, b, i)
        _see(world, rules, b, i)
        _know(world, rules, b, i)


@njit(cache=True)
def _move(world: World, rules: Rules, actions: NDArray[np.int64], b: int) -> None:
    """Carry out the moves, all at once.

    Who stays heads for its own cell. A cell that is being left counts as free even if its owner
    then fails to leave, and two agents may swap: agents can come to share a cell.
    """
    count = world.level.shape[1]
    for i in range(count):
        step = _STEP[actions[b, i]]
        row, col = world.position[b, i, 0] + step[0], world.position[b, i, 1] + step[1]
        world.target[i] = row * rules.cols + col
    for i in range(count):
        target = world.target[i]
        free = True
        for j in range(i if rules.first_wins else count):
            free &= j == i or world.target[j] != target
        if free:
            world.position[b, i, 0] = target // rules.cols
            world.position[b, i, 1] = target % rules.cols


@njit(cache=True)
def _load(world: World, rules: Rules, actions: NDArray[np.int64], b: int) -> None:
    """Remove the foods that are lifted and share out the rewards.

    A food is lifted when the levels of those who load it sum to its own at least. Each of them
    gets its part of the food's level by its own level; who loads in vain pays the penalty.
    """
    count = world.level.shape[1]
    world.reward[b] = 0.0
    strength = 0
    for i in range(count):
        world.agent_reward[b, i] = 0.0
        strength += world.level[b, i] if actions[b, i] == LOAD else 0
    if strength == 0:
        return
    total = 0.0
    for f in range(world.food_level.shape[1]):
        food = world.food_level[b, f]
        strength = 0
        for i in range(count):
            if actions[b, i] == LOAD and world.beside[b, i] == f:
                strength += world.level[b, i]
        if strength == 0:
            continue
        lifted = strength >= food
        whole = float(strength * world.food_spawned[b]) if rules.normalize_reward else 1.0
        for i in range(count):
            if actions[b, i] == LOAD and world.beside[b, i] == f:
                gain = world.level[b, i] * food / whole if lifted else -rules.penalty
                world.agent_reward[b, i] = gain
                total += gain
        if lifted:
            world.food_level[b, f] = 0
    world.reward[b] = total


@njit(cache=True)
def _food_left(world: World, b: int) -> int:
    """Levels of the foods that nobody has loaded yet, together."""
    left = 0
    for f in range(world.food_level.shape[1]):
        left += world.food_level[b, f]
    return left


@njit(cache=True)
def _keep_final(world: World, b: int) -> None:
    """Save what the episode ended with before the next one overwrites it."""
    for i in range(world.level.shape[1]):
        for k in range(world.observation.shape[2]):
            world.final_observation[b, i, k] = world.observation[b, i, k]
        for k in range(world.state.shape[2]):
            world.final_state[b, i, k] = world.state[b, i, k]


@njit(cache=True)
def _begin(world: World, rules: Rules, b: int) -> None:
    """A new episode in environment `b`, with one food at least."""
    world.elapsed[b] = 0
    world.food_spawned[b] = 0
    while world.food_spawned[b] == 0:
        _place_agents(world, rules, b)
        _place_foods(world, rules, b)
    observe(world, rules, b)


@njit(cache=True)
def _place_agents(world: World, rules: Rules, b: int) -> None:
    """Agents on cells of their own, anywhere on the grid, with levels drawn uniformly."""
    count = world.level.shape[1]
    _shuffle(world, b, count)
    for i in range(count):
        row, col = -1, -1
        while row < 0 or _occupied(world, b, row, col, i):
            row = below(world.streams, b, rules.rows)
            col = below(world.streams, b, rules.cols)
        world.position[b, i, 0], world.position[b, i, 1] = row, col
        low = rules.min_player_level[world.order[i]]
        high = rules.max_player_level[world.order[i]]
        world.level[b, i] = low + below(world.streams, b, high - low + 1)


@njit(cache=True)
def _place_foods(world: World, rules: Rules, b: int) -> None:
    """Foods apart from each other, off the border and off the agents, in reading order."""
    count = world.food_level.shape[1]
    _shuffle(world, b, count)
    world.food_position[b] = -1
    world.food_level[b] = 0
    placed = 0
    for _ in range(_TRIES):
        if placed == count:
            break
        row = 1 + below(world.streams, b, rules.rows - 2)
        col = 1 + below(world.streams, b, rules.cols - 2)
        if _crowded(world, b, row, col, placed):
            continue
        if _occupied(world, b, row, col, world.level.shape[1]):
            continue
        level = _draw_food_level(world, rules, b, world.order[placed])
        _insert_food(world, b, placed, row, col, level)
        world.food_spawned[b] += level
        placed += 1


@njit(cache=True)
def _draw_food_level(world: World, rules: Rules, b: int, kind: int) -> int:
    """Level of a food from the bounds number `kind`."""
    low, high = rules.min_food_level[kind], rules.max_food_level[kind]
    if high == 0:
        high = _three_weakest(world, b)
    if rules.force_coop or low == high:
        return high
    if rules.below_top:
        high -= 1
    return low + below(world.streams, b, high - low + 1)


@njit(cache=True)
def _three_weakest(world: World, b: int) -> int:
    """Sum of the three lowest levels of agents (of all, if there are fewer)."""
    first = second = third = 0
    for i in range(world.level.shape[1]):
        level = world.level[b, i]
        if i < 1 or level < first:
            first, second, third = level, first, second
        elif i < 2 or level < second:
            second, third = level, second
        elif i < 3 or level < third:
            third = level
    return first + second + third


@njit(cache=True)
def _shuffle(world: World, b: int, count: int) -> None:
    """Random order of 0 .. count-1 in `world.order` (Fisher and Yates)."""
    for i in range(count):
        world.order[i] = i
    for i in range(count - 1, 0, -1):
        j = below(world.streams, b, i + 1)
        world.order[i], world.order[j] = world.order[j], world.order[i]


@njit(cache=True)
def _occupied(world: World, b: int, row: int, col: int, count: int) -> bool:
    """Whether one of the first `count` agents stands there."""
    for i in range(count):
        if world.position[b, i, 0] == row and world.position[b, i, 1] == col:
            return True
    return False


@njit(cache=True)
def _crowded(world: World, b: int, row: int, col: int, count: int) -> bool:
    """Whether one of the first `count` foods is fewer than three steps away."""
    for f in range(count):
        rows = abs(world.food_position[b, f, 0] - row)
        if rows + abs(world.food_position[b, f, 1] - col) < 3:
            return True
    return False


@njit(cache=True)
def _insert_food(world: World, b: int, placed: int, row: int, col: int, level: int) -> None:
    """Add a food to the `placed` present ones, keeping the reading order of their cells."""
    place, foods, levels = placed, world.food_position[b], world.food_level[b]
    while place > 0 and (
        foods[place - 1, 0] > row or (foods[place - 1, 0] == row and foods[place - 1, 1] > col)
    ):
        foods[place, 0], foods[place, 1] = foods[place - 1, 0], foods[place - 1, 1]
        levels[place] = levels[place - 1]
        place -= 1
    foods[place, 0], foods[place, 1] = row, col
    levels[place] = level


@njit(cache=True)
def _allow(world: World, rules: Rules, b: int, i: int) -> None:
    """Mask of agent `i`: no step off the grid or onto a food, no loading beside nothing."""
    row, col = world.position[b, i, 0], world.position[b, i, 1]
    world.available[b, i, NONE] = True
    world.available[b, i, NORTH] = row > 0
    world.available[b, i, SOUTH] = row < rules.rows - 1
    world.available[b, i, WEST] = col > 0
    world.available[b, i, EAST] = col < rules.cols - 1
    world.available[b, i, LOAD] = False
    world.beside[b, i] = -1
    for f in range(world.food_level.shape[1]):
        rows = world.food_position[b, f, 0] - row
        cols = world.food_position[b, f, 1] - col
        if world.food_level[b, f] == 0 or abs(rows) + abs(cols) != 1:
            continue
        way = (NORTH if rows < 0 else SOUTH) if cols == 0 else (WEST if cols < 0 else EAST)
        world.available[b, i, way] = False
        world.available[b, i, LOAD] = True
        world.beside[b, i] = f


@njit(cache=True)
def _see(world: World, rules: Rules, b: int, i: int) -> None:
    """Observation of agent `i`: foods, itself, other agents, by place in its window.

    The window is cut at the top and the left of the grid and starts there; agents are seen up to
    its uncut size beyond that start, so near those borders farther than foods are.
    """
    sight, foods, agents = rules.sight, world.food_level.shape[1], world.level.shape[1]
    row, col = world.position[b, i, 0], world.position[b, i, 1]
    top, left = max(row - sight, 0), max(col - sight, 0)
    out = world.observation[b, i]
    k = 0
    for f in range(foods):
        food_row, food_col = world.food_position[b, f, 0], world.food_position[b, f, 1]
        near = abs(food_row - row) <= sight and abs(food_col - col) <= sight
        if near and world.food_level[b, f] > 0:
            k = _write(out, k, food_row - top, food_col - left, world.food_level[b, f])
    while k < 3 * foods:
        k = _write(out, k, -1, -1, 0)
    k = _write(out, k, row - top, col - left, world.level[b, i])
    for j in range(agents):
        rows, cols = world.position[b, j, 0] - top, world.position[b, j, 1] - left
        if j != i and 0 <= rows <= 2 * sight and 0 <= cols <= 2 * sight:
            k = _write(out, k, rows, cols, world.level[b, j])
    while k < 3 * (foods + agents):
        k = _write(out, k, -1, -1, 0)


@njit(cache=True)
def _know(world: World, rules: Rules, b: int, i: int) -> None:
    """State of agent `i`, but for its index, which never changes."""
    out = world.state[b, i]
    k = 0
    for f in range(world.food_level.shape[1]):
        if world.food_level[b, f] > 0:
            food_row, food_col = world.food_position[b, f, 0], world.food_position[b, f, 1]
            k = _write(out, k, food_row, food_col, world.food_level[b, f])
        else:
            k = _write(out, k, -1, -1, 0)
    k = _write(out, k, world.position[b, i, 0], world.position[b, i, 1], world.level[b, i])
    for j in range(world.level.shape[1]):
        if j != i:
            k = _write(out, k, world.position[b, j, 0], world.position[b, j, 1], world.level[b, j])
    out[k] = world.elapsed[b] / rules.episode_limit
    out[k + 1] = _food_left(world, b) / world.food_spawned[b]


@njit(cache=True)
def _write(out: Floats, k: int, row: int, col: int, level: int) -> int:
    """Write row, column and level from index `k` on; returns the next index."""
    out[k], out[k + 1], out[k + 2] = row, col, level
    return k + 3

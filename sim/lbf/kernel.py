"""The rules of level-based foraging, compiled: one serial pass over the batch.

Rows count from the top (north), columns from the left (west), both from 0. A food never lies on
the border, nor nearer than three steps to another food, so no cell is beside two foods. Agents
(N, 3) and foods (F, 3) are rows of an environment's arrays: row, column, level. A food that is
loaded keeps its place at level 0.

Functions take the few arrays that they touch: numba counts references for each array that goes
into a call, and a bundle of twenty costs more than the rules.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.randomness import Streams, below

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)
ROW, COL, LEVEL = range(3)
#: Row and column that an action adds.
_STEP = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))
#: Cells tried before an episode starts with fewer foods.
_TRIES = 1000

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


@njit(cache=True, error_model="numpy")
def advance(world: World, rules: Rules, bounds: Bounds, actions: Actions) -> None:
    """One step of every environment; `actions` (B, N) are available ones."""
    batch = actions.shape[0]
    _move(world.agents, actions, world.target, rules)
    _load(
        world.agents,
        world.foods,
        actions,
        world.beside,
        world.spawned,
        world.reward,
        world.agent_reward,
        rules,
    )
    _judge(world.foods, world.elapsed, world.terminated, world.truncated, rules.episode_limit)
    observe(world, rules, 0, batch)
    for b in range(batch):
        if world.terminated[b] or world.truncated[b]:
            world.final_observation[b] = world.observation[b]
            world.final_state[b] = world.state[b]
            _begin(world, rules, bounds, b)


@njit(cache=True, error_model="numpy")
def begin_all(world: World, rules: Rules, bounds: Bounds) -> None:
    """A new episode in every environment."""
    for b in range(world.elapsed.shape[0]):
        _begin(world, rules, bounds, b)


@njit(cache=True, error_model="numpy")
def observe(world: World, rules: Rules, start: int, stop: int) -> None:
    """Fill masks, observations and states of environments start .. stop-1."""
    _allow(world.agents, world.foods, world.available, world.beside, rules, start, stop)
    _see(world.agents, world.foods, world.observation, rules.sight, start, stop)
    _know(
        world.agents,
        world.foods,
        world.elapsed,
        world.spawned,
        world.state,
        rules.episode_limit,
        start,
        stop,
    )


@njit(cache=True, error_model="numpy")
def _begin(world: World, rules: Rules, bounds: Bounds, b: int) -> None:
    """A new episode in environment `b`, with one food at least."""
    agents, foods = world.agents[b], world.foods[b]
    world.elapsed[b] = 0
    world.spawned[b] = 0
    while world.spawned[b] == 0:
        _place_agents(agents, bounds.agents, bounds.order, world.streams, b, rules)
        _place_foods(agents, foods, bounds.foods, bounds.order, world.streams, b, rules)
        for f in range(foods.shape[0]):
            world.spawned[b] += foods[f, LEVEL]
    observe(world, rules, b, b + 1)


@njit(cache=True, error_model="numpy")
def _move(agents: Ints, actions: Actions, target: Ints, rules: Rules) -> None:
    """Carry out the moves, all at once.

    Who stays heads for its own cell. A cell that is being left counts as free even if its owner
    then fails to leave, and two agents may swap: agents can come to share a cell.
    """
    batch, count = actions.shape
    for b in range(batch):
        for i in range(count):
            rows, cols = _STEP[actions[b, i]]
            target[i] = (agents[b, i, ROW] + rows) * rules.cols + agents[b, i, COL] + cols
        for i in range(count):
            free = True
            for j in range(i if rules.first_wins else count):
                free &= j == i or target[j] != target[i]
            if free:
                rows, cols = _STEP[actions[b, i]]
                agents[b, i, ROW] += rows
                agents[b, i, COL] += cols


@njit(cache=True, error_model="numpy")
def _load(
    agents: Ints,
    foods: Ints,
    actions: Actions,
    beside: Ints,
    spawned: Ints,
    reward: Floats,
    agent_reward: Floats,
    rules: Rules,
) -> None:
    """Remove the foods that are lifted and share out the rewards.

    A food is lifted when the levels of those who load it sum to its own at least. Each of them
    gets its part of the food's level by its own level; who loads in vain pays the penalty.
    """
    batch, count = actions.shape
    for b in range(batch):
        total = 0.0
        for i in range(count):
            agent_reward[b, i] = 0.0
        for f in range(foods.shape[1]):
            strength = 0
            for i in range(count):
                if actions[b, i] == LOAD and beside[b, i] == f:
                    strength += agents[b, i, LEVEL]
            if strength == 0:
                continue
            food = foods[b, f, LEVEL]
            lifted = strength >= food
            whole = strength * spawned[b] if rules.normalize_reward else 1
            for i in range(count):
                if actions[b, i] == LOAD and beside[b, i] == f:
                    gain = agents[b, i, LEVEL] * food / whole if lifted else -rules.penalty
                    agent_reward[b, i] = gain
                    total += gain
            if lifted:
                foods[b, f, LEVEL] = 0
        reward[b] = total


@njit(cache=True, error_model="numpy")
def _judge(foods: Ints, elapsed: Ints, terminated: Bools, truncated: Bools, limit: int) -> None:
    """Count the step; an episode is over without food, cut off at the limit otherwise."""
    for b in range(elapsed.shape[0]):
        elapsed[b] += 1
        left = 0
        for f in range(foods.shape[1]):
            left += foods[b, f, LEVEL]
        terminated[b] = left == 0
        truncated[b] = left > 0 and elapsed[b] >= limit


@njit(cache=True, error_model="numpy")
def _allow(
    agents: Ints,
    foods: Ints,
    available: Bools,
    beside: Ints,
    rules: Rules,
    start: int,
    stop: int,
) -> None:
    """Masks (B, N, 6): no step off the grid or onto a food, no loading beside nothing."""
    for b in range(start, stop):
        for i in range(agents.shape[1]):
            row, col = agents[b, i, ROW], agents[b, i, COL]
            available[b, i, NONE] = True
            available[b, i, NORTH] = row > 0
            available[b, i, SOUTH] = row < rules.rows - 1
            available[b, i, WEST] = col > 0
            available[b, i, EAST] = col < rules.cols - 1
            available[b, i, LOAD] = False
            beside[b, i] = -1
            for f in range(foods.shape[1]):
                rows, cols = foods[b, f, ROW] - row, foods[b, f, COL] - col
                if foods[b, f, LEVEL] == 0 or abs(rows) + abs(cols) != 1:
                    continue
                way = (NORTH if rows < 0 else SOUTH) if cols == 0 else (WEST if cols < 0 else EAST)
                available[b, i, way] = False
                available[b, i, LOAD] = True
                beside[b, i] = f


@njit(cache=True, error_model="numpy")
def _see(agents: Ints, foods: Ints, out: Floats, sight: int, start: int, stop: int) -> None:
    """Observations (B, N, 3F + 3N): foods, the agent, the others, by place in its window.

    The window is cut at the top and the left of the grid and starts there; agents are seen up to
    its uncut size beyond that start, so near those borders farther than foods are.
    """
    many, count = foods.shape[1], agents.shape[1]
    for b in range(start, stop):
        for i in range(count):
            row, col = agents[b, i, ROW], agents[b, i, COL]
            top, left = max(row - sight, 0), max(col - sight, 0)
            k = 0
            for f in range(many):
                food_row, food_col, level = foods[b, f, ROW], foods[b, f, COL], foods[b, f, LEVEL]
                near = abs(food_row - row) <= sight and abs(food_col - col) <= sight
                if near and level > 0:
                    _write(out, b, i, k, food_row - top, food_col - left, level)
                    k += 3
            for gap in range(k, 3 * many, 3):
                _write(out, b, i, gap, -1, -1, 0)
            _write(out, b, i, 3 * many, row - top, col - left, agents[b, i, LEVEL])
            k = 3 * many + 3
            for j in range(count):
                rows, cols = agents[b, j, ROW] - top, agents[b, j, COL] - left
                if j != i and 0 <= rows <= 2 * sight and 0 <= cols <= 2 * sight:
                    _write(out, b, i, k, rows, cols, agents[b, j, LEVEL])
                    k += 3
            for gap in range(k, 3 * (many + count), 3):
                _write(out, b, i, gap, -1, -1, 0)


@njit(cache=True, error_model="numpy")
def _know(
    agents: Ints,
    foods: Ints,
    elapsed: Ints,
    spawned: Ints,
    out: Floats,
    limit: int,
    start: int,
    stop: int,
) -> None:
    """States (B, N, S), but for the agents' indices, which never change."""
    many, count = foods.shape[1], agents.shape[1]
    for b in range(start, stop):
        left = 0
        for f in range(many):
            left += foods[b, f, LEVEL]
        for i in range(count):
            for f in range(many):
                if foods[b, f, LEVEL] > 0:
                    _write(out, b, i, 3 * f, foods[b, f, ROW], foods[b, f, COL], foods[b, f, LEVEL])
                else:
                    _write(out, b, i, 3 * f, -1, -1, 0)
            _write(out, b, i, 3 * many, agents[b, i, ROW], agents[b, i, COL], agents[b, i, LEVEL])
            k = 3 * many + 3
            for j in range(count):
                if j != i:
                    _write(out, b, i, k, agents[b, j, ROW], agents[b, j, COL], agents[b, j, LEVEL])
                    k += 3
            out[b, i, k] = elapsed[b] / limit
            out[b, i, k + 1] = left / spawned[b]


@njit(cache=True, error_model="numpy")
def _write(out: Floats, b: int, i: int, k: int, row: int, col: int, level: int) -> None:
    """Row, column and level of one thing into row (b, i), from number `k` on."""
    out[b, i, k], out[b, i, k + 1], out[b, i, k + 2] = row, col, level


@njit(cache=True, error_model="numpy")
def _place_agents(
    agents: Ints, bounds: Ints, order: Ints, streams: Streams, b: int, rules: Rules
) -> None:
    """Agents on cells of their own, anywhere on the grid, with levels drawn uniformly."""
    _shuffle(order, agents.shape[0], streams, b)
    for i in range(agents.shape[0]):
        row, col = -1, -1
        while row < 0 or _occupied(agents, i, row, col):
            row = below(streams, b, rules.rows)
            col = below(streams, b, rules.cols)
        low, high = bounds[order[i], 0], bounds[order[i], 1]
        agents[i, ROW], agents[i, COL] = row, col
        agents[i, LEVEL] = low + below(streams, b, high - low + 1)


@njit(cache=True, error_model="numpy")
def _place_foods(
    agents: Ints, foods: Ints, bounds: Ints, order: Ints, streams: Streams, b: int, rules: Rules
) -> None:
    """Foods apart from each other, off the border and off the agents, in reading order."""
    _shuffle(order, foods.shape[0], streams, b)
    weakest = _three_weakest(agents)
    foods[:, LEVEL] = 0
    placed = 0
    for _ in range(_TRIES):
        if placed == foods.shape[0]:
            break
        row = 1 + below(streams, b, rules.rows - 2)
        col = 1 + below(streams, b, rules.cols - 2)
        if _crowded(foods, placed, row, col) or _occupied(agents, agents.shape[0], row, col):
            continue
        low, high = bounds[order[placed], 0], bounds[order[placed], 1]
        high = weakest if high == 0 else high
        if rules.force_coop or low == high:
            low = high
        elif rules.below_top:
            high -= 1
        _insert(foods, placed, row, col, low + below(streams, b, high - low + 1))
        placed += 1


@njit(cache=True, error_model="numpy")
def _three_weakest(agents: Ints) -> int:
    """Sum of the three lowest levels of agents (of all, if there are fewer)."""
    first = second = third = 0
    for i in range(agents.shape[0]):
        level = agents[i, LEVEL]
        if i < 1 or level < first:
            first, second, third = level, first, second
        elif i < 2 or level < second:
            second, third = level, second
        elif i < 3 or level < third:
            third = level
    return first + second + third


@njit(cache=True, error_model="numpy")
def _shuffle(order: Ints, count: int, streams: Streams, b: int) -> None:
    """Random order of 0 .. count-1 (Fisher and Yates)."""
    for i in range(count):
        order[i] = i
    for i in range(count - 1, 0, -1):
        j = below(streams, b, i + 1)
        order[i], order[j] = order[j], order[i]


@njit(cache=True, error_model="numpy")
def _occupied(agents: Ints, count: int, row: int, col: int) -> bool:
    """Whether one of the first `count` agents stands there."""
    for i in range(count):  # noqa: SIM110 (numba knows no generators here)
        if agents[i, ROW] == row and agents[i, COL] == col:
            return True
    return False


@njit(cache=True, error_model="numpy")
def _crowded(foods: Ints, count: int, row: int, col: int) -> bool:
    """Whether one of the first `count` foods is fewer than three steps away."""
    for f in range(count):  # noqa: SIM110 (numba knows no generators here)
        if abs(foods[f, ROW] - row) + abs(foods[f, COL] - col) < 3:
            return True
    return False


@njit(cache=True, error_model="numpy")
def _insert(foods: Ints, count: int, row: int, col: int, level: int) -> None:
    """Add a food to the first `count` ones, keeping the reading order of their cells."""
    f = count
    while f > 0 and (
        foods[f - 1, ROW] > row or (foods[f - 1, ROW] == row and foods[f - 1, COL] > col)
    ):
        foods[f] = foods[f - 1]
        f -= 1
    foods[f, ROW], foods[f, COL], foods[f, LEVEL] = row, col, level

"""The rules of level-based foraging, compiled: each rule passes over the whole batch.

Functions take the few arrays that they touch and loop over the environments themselves: numba
counts references for each array that goes into a call, and a bundle of twenty for each environment
costs more than the rules.
"""

from numba import njit

from sim.lbf.data import (
    COL,
    EAST,
    LEVEL,
    LOAD,
    NONE,
    NORTH,
    ROW,
    SOUTH,
    WEST,
    Actions,
    Bools,
    Bounds,
    Floats,
    Ints,
    Rules,
    World,
)
from sim.lbf.spawn import place_agents, place_foods

#: Row and column that an action adds.
_STEP = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (0, 0))


@njit(cache=True, error_model="numpy")
def advance(world: World, rules: Rules, bounds: Bounds, actions: Actions, hold: bool) -> None:
    """One step of every environment; `actions` (B, N) are available ones, `hold` keeps ends."""
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
            world.final_available[b] = world.available[b]
            if not hold:
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
        place_agents(agents, bounds.agents, bounds.order, world.streams, b, rules)
        place_foods(agents, foods, bounds.foods, bounds.order, world.streams, b, rules)
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

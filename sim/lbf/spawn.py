"""How an episode of level-based foraging starts: agents anywhere, foods apart from each other.

A food never lies on the border, nor nearer than three steps to another food: no cell is beside two
foods. Functions work on one environment: agents (N, 3), foods (F, 3).
"""

from numba import njit

from sim.lbf.data import COL, LEVEL, ROW, Ints, Rules
from sim.randomness import Streams, below

#: Cells tried before an episode starts with fewer foods.
_TRIES = 1000


@njit(cache=True, error_model="numpy")
def place_agents(
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
def place_foods(
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

"""Level-based foraging: agents of different strength lift foods together.

Rules, variants and figures: docs/lbf.md. The world was introduced by Albrecht & Ramamoorthy, *A
Game-Theoretic Model and Best-Response Learning Method for Ad Hoc Coordination* (AAMAS 2013); the
grid and its numbers are those of Papoudakis et al., *Benchmarking Multi-Agent Deep Reinforcement
Learning Algorithms in Cooperative Tasks* (NeurIPS 2021).
"""

import operator
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.batched import BatchedEnv
from sim.lbf.data import LEVEL, Bounds, Rules, World
from sim.lbf.kernel import advance, begin_all, observe
from sim.randomness import streams
from sim.scene import Box, Disc, Line, Scene

VARIANTS = ("upstream", "paper")
_NAME = re.compile(r"lbf-(\d+)x(\d+)-(\d+)p-(\d+)f(-c)?(?:-(\d+)s)?")
_LARGEST_GRID = 256
Levels = int | Sequence[int]


class LbfEnv(BatchedEnv):
    """B grids with N agents and up to F foods each.

    Actions are 0 none, 1 north, 2 south, 3 west, 4 east, 5 load. Steps off the grid or onto a food
    and loading beside no food are not available. The shared reward is the sum over the agents;
    an episode terminates when all foods are loaded and is truncated at `episode_limit`.

    The observation (B, N, 3F + 3N) holds row, column and level of each food in sight by reading
    order of the cells, then of the agent itself, then of the other agents in sight by index;
    (-1, -1, 0) fills what is missing. Rows and columns count from the top left of the agent's
    window, which with full sight is that of the grid.

    The state (B, N, 3F + 3N + 2 + N) is complete, whatever the sight: row, column and level of
    every food on the grid, in slots that it keeps for the episode, (-1, -1, 0) once loaded; of the
    agent itself; of all others by index; the elapsed share of `episode_limit`; the share of food
    (by level) that is left; and the agent's index, one-hot. Rows and columns are those of the grid.

    `info["agent_reward"]` (B, N) float32 says how the reward came about.

    Parameters
    ----------
    batch
        Number of environments, B.
    seed
        Whatever `numpy.random.SeedSequence` takes.
    variant
        "upstream": the rules of the package `lbforaging` 2.0.0. "paper": those of the experiments
        with EIR-MAPPO (Li et al., *Byzantine Robust Cooperative Multi-Agent Reinforcement Learning
        as a Bayesian Game*, ICLR 2024): agents of levels 1 to 3, the first agent by index takes a
        contested cell, and random food levels stay below the highest.
    rows, cols
        Size of the grid [cells], 3 to 256.
    players
        Number of agents, N.
    foods
        Number of foods, F. Should 1000 random cells in a row not do, an episode has fewer.
    sight
        How far an agent sees, along rows and columns [cells]; None for the whole grid.
    min_player_level, max_player_level
        Bounds of the agents' levels, for all or one for each; those for each are dealt out in
        random order every episode. The highest is 2 upstream and 3 in the paper's variant by
        default.
    min_food_level, max_food_level
        Bounds of the foods' levels, for all or one for each, dealt out likewise. A highest level
        of None means that of the three weakest agents together.
    force_coop
        Give every food its highest level.
    penalty
        What each agent pays that loads in vain.
    normalize_reward
        Let the reward of loading all foods sum to 1; otherwise an agent gets its level times that
        of the food.
    episode_limit
        Steps after which an episode is truncated.

    Raises
    ------
    ValueError
        An option is out of range, or agents and foods do not fit on the grid.
    """

    name: ClassVar[str] = "lbf-12x12-4p-3f-c"
    complete_state = True
    can_hold = True

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        *,
        variant: str = "upstream",
        rows: int = 12,
        cols: int = 12,
        players: int = 4,
        foods: int = 3,
        sight: int | None = None,
        min_player_level: Levels = 1,
        max_player_level: Levels | None = None,
        min_food_level: Levels = 1,
        max_food_level: Levels | None = None,
        force_coop: bool = True,
        penalty: float = 0.0,
        normalize_reward: bool = True,
        episode_limit: int = 50,
    ) -> None:
        if variant not in VARIANTS:
            raise ValueError(f"variant is {variant!r}; expected one of {', '.join(VARIANTS)}")
        paper = variant == "paper"
        rows = _whole("rows", rows, 3, _LARGEST_GRID)
        cols = _whole("cols", cols, 3, _LARGEST_GRID)
        # every fifth cell inside the border can hold a food: a knight's move apart
        foods = _whole("foods", foods, 1, -(-(rows - 2) * (cols - 2) // 5))
        # a food needs its own cell and the four beside it
        players = _whole("players", players, 1, max(1, rows * cols - 5 * foods))
        if not np.isfinite(penalty) or penalty < 0:
            raise ValueError(f"penalty is {penalty}; expected a finite number from 0 on")
        if max_player_level is None:
            max_player_level = 3 if paper else 2
        agent_levels = _bounds("player", min_player_level, max_player_level, players)
        food_levels = _bounds("food", min_food_level, max_food_level, foods)
        if max_food_level is None and not force_coop:
            _check_least_food(food_levels[:, 0], agent_levels[:, 0])
        self.variant = variant
        self._rules = Rules(
            rows=rows,
            cols=cols,
            sight=max(rows, cols) if sight is None else _whole("sight", sight, 1),
            episode_limit=_whole("episode_limit", episode_limit, 1),
            first_wins=paper,
            force_coop=bool(force_coop),
            below_top=paper,
            normalize_reward=bool(normalize_reward),
            penalty=float(penalty),
        )
        self._bounds = Bounds(agent_levels, food_levels, np.zeros(max(players, foods), np.int32))
        entities = 3 * (foods + players)
        super().__init__(batch, players, entities, entities + 2 + players, num_actions=6)
        self.state[:, :, entities + 2 :] = np.eye(players)
        self.horizon = episode_limit
        self._sees_all = sight is None or sight >= max(rows, cols)
        self.info["agent_reward"] = np.zeros((batch, players), np.float32)
        self._world = World(
            streams=np.zeros(batch, np.uint64),
            agents=np.zeros((batch, players, 3), np.int32),
            foods=np.zeros((batch, foods, 3), np.int32),
            spawned=np.zeros(batch, np.int32),
            elapsed=np.zeros(batch, np.int32),
            beside=np.zeros((batch, players), np.int32),
            target=np.zeros(players, np.int32),
            observation=self.observation,
            state=self.state,
            available=self.available_actions,
            reward=self.reward,
            agent_reward=self.info["agent_reward"],
            terminated=self.terminated,
            truncated=self.truncated,
            final_observation=self.info["final_observation"],
            final_state=self.info["final_state"],
            final_available=self.info["final_available_actions"],
        )
        self.reset(seed)

    @property
    def teammate_columns(self) -> NDArray[np.intp]:
        """Row, column and level of each; with limited sight nobody has a place of its own."""
        if not self._sees_all:
            return super().teammate_columns
        first = self.observation.shape[-1] - 3 * (self.num_agents - 1)
        return np.arange(first, self.observation.shape[-1]).reshape(-1, 3)

    @staticmethod
    def options_of(name: str) -> dict[str, Any]:
        """Options that a name stands for: `lbf-12x12-4p-3f-c`, or `lbf-8x8-2p-2f-2s`.

        Rows x columns, players, foods; `-c` forces cooperation, `-2s` limits the sight to 2.

        Raises
        ------
        ValueError
            The name does not follow the pattern.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(
                f"name is {name!r}; expected lbf-ROWSxCOLS-PLAYERSp-FOODSf, then -c to force "
                "cooperation and -SIGHTs to limit sight if wanted, as in lbf-12x12-4p-3f-c"
            )
        rows, cols, players, foods, coop, sight = found.groups()
        said = {
            "rows": int(rows),
            "cols": int(cols),
            "players": int(players),
            "foods": int(foods),
            "force_coop": coop is not None,
        }
        # what a name does not say stays an option
        return said if sight is None else {**said, "sight": int(sight)}

    def set_state(
        self,
        index: int,
        positions: ArrayLike,
        levels: ArrayLike,
        field: ArrayLike,
        step: int = 0,
        food_spawned: int | None = None,
    ) -> None:
        """Put environment `index` into a given state and observe it.

        Parameters
        ----------
        index
            Which environment.
        positions
            Row and column of each agent (N, 2); agents may share a cell.
        levels
            (N,), from 1 on.
        field
            Level of the food on each cell (rows, cols), 0 for none. At most F foods and at least
            one, off the border, three steps or more apart.
        step
            Steps already taken in the episode.
        food_spawned
            Levels of all foods of the episode together, those loaded already included; None for
            the foods of `field`.

        Raises
        ------
        ValueError
            The state cannot be; nothing has changed then.
        """
        index = _whole("index", index, 0, self.batch - 1)
        step = _whole("step", step, 0, self._rules.episode_limit - 1)
        grid = (self._rules.rows, self._rules.cols)
        where = _integers("positions", positions, (self.num_agents, 2))
        strength = _integers("levels", levels, (self.num_agents,))
        food = _integers("field", field, grid)
        cells = self._checked_food(food)
        if (where < 0).any() or (where >= grid).any() or (food[where[:, 0], where[:, 1]] > 0).any():
            raise ValueError(f"positions are {where.tolist()}; expected cells without food")
        if (strength < 1).any():
            raise ValueError(f"levels are {strength.tolist()}; expected 1 or more")
        left = int(food.sum())
        spawned = _whole("food_spawned", left if food_spawned is None else food_spawned, left)
        world = self._world
        world.agents[index] = np.column_stack([where, strength])
        world.foods[index] = 0
        world.foods[index, : len(cells)] = np.column_stack([cells, food[cells[:, 0], cells[:, 1]]])
        world.spawned[index], world.elapsed[index] = spawned, step
        observe(world, self._rules, index, index + 1)

    def scene(self, index: int = 0) -> Scene:
        """The grid; agents are discs and foods are boxes, labelled with their levels."""
        rules, world = self._rules, self._world
        rows, cols = float(rules.rows), float(rules.cols)
        items: list[Disc | Box | Line] = []
        items += [Line(((0.0, float(y)), (cols, float(y)))) for y in range(rules.rows + 1)]
        items += [Line(((float(x), 0.0), (float(x), rows))) for x in range(rules.cols + 1)]
        for row, col, level in world.foods[index].tolist():
            if level > 0:
                centre = (col + 0.5, rows - row - 0.5)
                items.append(Box(centre, (0.7, 0.7), "goal", label=str(level)))
        agents = world.agents[index].tolist()
        shared = Counter((row, col) for row, col, _ in agents)
        seen: Counter[tuple[int, int]] = Counter()
        for k, (row, col, level) in enumerate(agents):
            # agents in one cell stand side by side
            slots = shared[row, col]
            x = col + (seen[row, col] + 0.5) / slots
            seen[row, col] += 1
            place = (x, rows - row - 0.5)
            items.append(Disc(place, 0.35 / slots**0.5, label=str(level), agent=k))
        left = int(world.foods[index, :, LEVEL].sum()) / int(world.spawned[index])
        captions = (
            f"step {world.elapsed[index]} of {rules.episode_limit}",
            f"{1 - left:.0%} of the food loaded",
        )
        return Scene((0.0, 0.0, cols, rows), items, captions)

    def _reset(self, seed: Any) -> None:
        if seed is not None:
            self._world.streams[:] = streams(seed, self.batch)
        begin_all(self._world, self._rules, self._bounds)

    def _advance(self, actions: NDArray[Any]) -> None:
        advance(self._world, self._rules, self._bounds, actions, self.hold)

    def _checked_food(self, field: NDArray[np.int32]) -> NDArray[np.intp]:
        """Cells with food in reading order; refuses what the rules could not have placed."""
        cells = np.argwhere(field > 0)
        most = self._world.foods.shape[1]
        inner = field[1:-1, 1:-1]
        if (field < 0).any() or np.count_nonzero(inner) != len(cells):
            raise ValueError("field has a food on the border or below 0; expected neither")
        if not 1 <= len(cells) <= most:
            raise ValueError(f"field has {len(cells)} foods; expected 1 to {most}")
        gaps = np.abs(cells[:, None] - cells[None]).sum(-1) + 3 * np.eye(len(cells), dtype=int)
        if gaps.min() < 3:
            raise ValueError(f"foods are {gaps.min()} steps apart; expected 3 or more")
        return cells


def _whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """`value` as an integer between the bounds."""
    expected = f"an integer from {low} on" if high is None else f"an integer from {low} to {high}"
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} is {value!r}; expected {expected}")
    return number


def _levels(name: str, value: Levels, count: int) -> NDArray[np.int32]:
    """One level for each of `count`, from one for all or from as many."""
    values = list(value) if isinstance(value, Sequence) else [value] * count
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} entries; expected one or {count}")
    return np.array([_whole(name, each, 1, 1000) for each in values], np.int32)


def _bounds(who: str, least: Levels, most: Levels | None, count: int) -> NDArray[np.int32]:
    """Lowest and highest level of each (count, 2); a highest of None is written as 0."""
    low = _levels(f"min_{who}_level", least, count)
    if most is None:
        return np.column_stack([low, np.zeros(count, np.int32)])
    high = _levels(f"max_{who}_level", most, count)
    if (low > high).any():
        raise ValueError(
            f"min_{who}_level is {low.tolist()}; expected at most max_{who}_level, {high.tolist()}"
        )
    return np.column_stack([low, high])


def _check_least_food(food: NDArray[np.int32], agents: NDArray[np.int32]) -> None:
    """Refuse lowest food levels above what the three weakest agents may sum to."""
    weakest = int(np.sort(agents)[:3].sum())
    if food.max() > weakest:
        raise ValueError(
            f"min_food_level is {food.max()}; expected at most {weakest}, the least that the three "
            "weakest agents have together, or a max_food_level"
        )


def _integers(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """An integer array of that shape."""
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name} are {array.dtype} of shape {array.shape}; expected integers of shape {shape}"
        )
    return array.astype(np.int32)

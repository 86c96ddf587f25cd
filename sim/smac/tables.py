"""What the compiled kernels work on: one scenario's numbers, and the arrays of B games.

B games, N allies (the agents), E enemies, U = N + E units (allies first), A = 6 + E actions.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.smac.maps import ALLIES_AT, ENEMIES_AT, Scenario, formation
from sim.smac.units import LOOPS_PER_SECOND, SCAN_RANGE

#: Compiled on first use and kept on disk. Nothing here divides by zero: no checks for it.
compiled = njit(cache=True, error_model="numpy")
#: The same, for parts of a kernel: put in place early, where it is known that nothing is counted.
part = njit(cache=True, error_model="numpy", inline="always")

#: Actions: 6 + e attacks enemy e.
NO_OP, STOP, NORTH, SOUTH, EAST, WEST, ATTACK = range(7)
#: What an ally has been told to do.
IDLE, MOVING, ATTACKING = range(3)
#: Rewards before scaling (SMAC), and what a win is scaled to.
KILL_REWARD = 10.0
WIN_REWARD = 200.0
SCALED_TO = 20.0
#: Squared length by which touching discs may overlap through rounding.
ROUNDING = 1e-9

#: One living thing. Lengths in cells, times in game loops.
UNIT = np.dtype(
    [
        ("x", "f8"),
        ("y", "f8"),
        ("health", "f8"),  # 0 when dead
        ("shield", "f8"),
        ("cooldown", "f8"),  # loops until the weapon is ready; ready at 0 and below
        ("calm", "f8"),  # loops since the last damage
        ("goal_x", "f8"),  # of an order to move
        ("goal_y", "f8"),
        ("target", "i8"),  # index of a unit, or -1
        ("order", "i8"),  # of an ally
        ("last_action", "i8"),  # of an ally; -1 at the start of an episode
    ]
)
#: What stays the same of a unit.
KIND = np.dtype(
    [
        ("radius", "f8"),
        ("pace", "f8"),  # cells per loop
        ("period", "f8"),
        ("full_cooldown", "f8"),
        ("full_health", "f8"),
        ("full_shield", "f8"),
        ("armour", "f8"),
        ("start_x", "f8"),
        ("start_y", "f8"),
        ("hits", "i8"),
        ("type_column", "i8"),  # place in the one-hot code of its type
    ]
)
#: What the row's unit is to the column's.
PAIR = np.dtype(
    [
        ("damage", "f8"),  # of one hit, before armour
        ("reach2", "f8"),  # squared distance of centres within which it can hit
        ("scan2", "f8"),  # squared distance within which it takes notice
        ("apart2", "f8"),  # squared distance below which the two touch; 0 of a unit and itself
    ]
)
# Compiled code is handed games, tables and the rows it fills as records that hold arrays: it
# counts no references to those, which would take longer than all the rest.
Games = NDArray[Any]  # (B,) of `games`
Game = Any  # one of them
Tables = Any  # of `tables`
Rows = Any  # `rows` (N, ...) of `by_game`
Kinds = NDArray[Any]  # (U,) of KIND
Pairs = NDArray[Any]  # (U, U) of PAIR
Mask = NDArray[np.uint8]  # (A,)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Rules(NamedTuple):
    """Sizes and choices."""

    allies: int
    enemies: int
    limit: int
    reward_scale: float
    signed: bool
    #: Of own losses in the signed reward
    negative_scale: float
    #: The paper's features, or SMAC's own
    paper: bool
    shields: bool
    type_bits: int


class Face(NamedTuple):
    """What the kernels fill for B games, (B,) each; see `sim.batched.BatchedEnv` and `SmacEnv`."""

    observation: NDArray[Any]  # records with `rows`, as are the next five
    state: NDArray[Any]
    available: NDArray[Any]
    final_observation: NDArray[Any]
    final_state: NDArray[Any]
    final_available: NDArray[Any]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    battle_won: NDArray[np.bool_]
    dead_allies: Ints
    dead_enemies: Ints
    steps: Ints


def by_game(array: NDArray[Any]) -> NDArray[Any]:
    """An array (B, N, ...) as (B,) records with `rows` (N, ...); they share memory."""
    # numba knows no booleans inside records: bytes of 0 and 1
    number = np.uint8 if array.dtype == np.bool_ else array.dtype
    return array.reshape(-1).view([("rows", number, array.shape[1:])])


def games(batch: int, scenario: Scenario) -> Games:
    """Room for `batch` games."""
    # stream: see `sim.randomness`
    return np.zeros(batch, [("units", UNIT, (len(scenario.units),)), ("stream", "u8", (1,))])


def tables(scenario: Scenario) -> Tables:
    """One scenario's numbers, and room to work in."""
    allies, count = len(scenario.allies), len(scenario.units)
    found = np.zeros(
        1,
        [
            ("kinds", KIND, (count,)),
            ("pairs", PAIR, (count, count)),
            ("queue", "i8", (count,)),  # the order in which units act
            ("distance", "f8", (allies, count)),  # between centres
        ],
    )
    found["kinds"][0] = kinds_of(scenario)
    found["pairs"][0] = pairs_of(scenario)
    return found[0]


def kinds_of(scenario: Scenario) -> Kinds:
    """The constants of each unit of a scenario, (U,)."""
    kinds = np.zeros(len(scenario.units), KIND)
    for kind, unit in zip(kinds, scenario.units, strict=True):
        kind["radius"] = unit.radius
        kind["pace"] = unit.speed / LOOPS_PER_SECOND
        kind["period"] = unit.period * LOOPS_PER_SECOND
        kind["full_cooldown"] = unit.full_cooldown
        kind["full_health"] = unit.health
        kind["full_shield"] = unit.shield
        kind["armour"] = unit.armour
        kind["hits"] = unit.hits
    places = [formation(scenario.allies, ALLIES_AT, 1), formation(scenario.enemies, ENEMIES_AT, -1)]
    kinds["start_x"], kinds["start_y"] = np.concatenate(places).T
    own = [scenario.kinds.index(unit) for unit in scenario.allies]
    # SMAC numbers the enemies' types by the game's own codes, which run the other way round.
    theirs = [len(scenario.kinds) - 1 - scenario.kinds.index(unit) for unit in scenario.enemies]
    kinds["type_column"] = own + theirs
    return kinds


def pairs_of(scenario: Scenario) -> Pairs:
    """What each unit of a scenario is to each other, (U, U)."""
    units = scenario.units
    pairs = np.zeros((len(units), len(units)), PAIR)
    for u, a in enumerate(units):
        for v, b in enumerate(units):
            pair = pairs[u, v]
            pair["damage"] = a.damage + (a.bonus if b.armoured else 0)
            pair["reach2"] = (a.range + a.radius + b.radius) ** 2
            pair["scan2"] = (max(SCAN_RANGE, a.range) + b.radius) ** 2
            pair["apart2"] = (a.radius + b.radius) ** 2 - ROUNDING if u != v else 0.0
    return pairs


def rules(
    scenario: Scenario, limit: int, signed: bool, negative_scale: float, layout: str
) -> Rules:
    """Sizes and choices for the kernels."""
    kinds = len(scenario.kinds)
    full = sum(unit.health + unit.shield + KILL_REWARD for unit in scenario.enemies) + WIN_REWARD
    return Rules(
        allies=len(scenario.allies),
        enemies=len(scenario.enemies),
        limit=limit,
        reward_scale=SCALED_TO / full,
        signed=signed,
        negative_scale=negative_scale,
        paper=layout == "paper",
        shields=scenario.has_shields,
        type_bits=kinds if kinds > 1 else 0,
    )


def observation_size(sizes: Rules) -> int:
    """Numbers that an agent observes."""
    extra = sizes.shields + sizes.type_bits
    enemies = sizes.enemies * (5 + extra)
    if not sizes.paper:
        return 4 + enemies + (sizes.allies - 1) * (5 + extra) + 1 + extra
    actions = ATTACK + sizes.enemies
    return sizes.allies * (5 + extra + actions) + enemies + 4 + 2 * sizes.allies


def ally_columns(sizes: Rules) -> tuple[int, int]:
    """Where in an observation the allies begin, and how many numbers each of them takes."""
    extra = sizes.shields + sizes.type_bits
    if sizes.paper:
        return 0, 5 + extra + ATTACK + sizes.enemies
    return 4 + sizes.enemies * (5 + extra), 5 + extra


def state_size(sizes: Rules) -> int:
    """Numbers that a critic may see for an agent."""
    extra = sizes.shields + sizes.type_bits
    actions = ATTACK + sizes.enemies
    if not sizes.paper:
        return sizes.allies * (4 + extra + actions) + sizes.enemies * (3 + extra)
    others = (sizes.allies - 1) * (8 + extra + actions)
    return others + sizes.enemies * (8 + extra) + 4 + (7 + extra + actions) + sizes.allies

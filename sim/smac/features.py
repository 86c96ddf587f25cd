"""What agents see, what a critic sees, and which actions are legal.

Two layouts. `smac` is that of SMAC's own environment: the state is one for all, repeated for each
agent. `paper` is that of the EIR-MAPPO release (github.com/DIG-Beihang/EIR-MAPPO, "feature pruned"
state): each agent has a state from its own point of view, everybody's last action is seen with the
body, and the agent's index and one empty slot per agent for its beliefs end the observation.

Rows of a unit that is dead or out of sight are zero, and so is all that a dead agent gets; the
paper's layout leaves it its index.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sim.smac.maps import MAP_SIZE
from sim.smac.movement import walkable
from sim.smac.tables import (
    ATTACK,
    EAST,
    NO_OP,
    NORTH,
    SOUTH,
    STOP,
    WEST,
    Game,
    Mask,
    Rows,
    Rules,
    Tables,
    compiled,
    part,
)
from sim.smac.units import ORDER_RANGE, SIGHT

_PER_SIGHT = 1.0 / SIGHT
_MIDDLE = MAP_SIZE / 2
_PER_MAP = 1.0 / MAP_SIZE

Row = NDArray[np.float32]


@compiled
def write_features(
    game: Game, tables: Tables, rules: Rules, available: Rows, observation: Rows, state: Rows
) -> None:
    """Fill a game's observation (N, D) and state (N, S) from its units and masks (N, A)."""
    _measure(game, tables, rules)
    observation.rows[:] = 0.0
    state.rows[:] = 0.0
    for i in range(rules.allies):
        if rules.paper:
            _observe_as_paper(game, tables, rules, available, observation, i)
            _state_as_paper(game, tables, rules, available, state, i)
        else:
            _observe_as_smac(game, tables, rules, available, observation, i)
            _state_as_smac(game, tables, rules, state, i)


@compiled
def _measure(game: Game, tables: Tables, rules: Rules) -> None:
    """Distances from allies to all units."""
    for i in range(rules.allies):
        for v in range(rules.allies + rules.enemies):
            dx, dy = game.units[v].x - game.units[i].x, game.units[v].y - game.units[i].y
            tables.distance[i, v] = math.sqrt(dx * dx + dy * dy)


@compiled
def write_masks(game: Game, rules: Rules, available: Rows) -> None:
    """Fill a game's available actions (N, A), by SMAC's rules.

    A move is legal if the cell one unit ahead can be walked on, an attack if the target's centre
    is within 6; a weapon that reaches less far walks up to it.
    """
    for i in range(rules.allies):
        x, y = game.units[i].x, game.units[i].y
        alive = game.units[i].health > 0.0
        available.rows[i, NO_OP] = not alive
        available.rows[i, STOP] = alive
        available.rows[i, NORTH] = alive and walkable(x, y + 1.0)
        available.rows[i, SOUTH] = alive and walkable(x, y - 1.0)
        available.rows[i, EAST] = alive and walkable(x + 1.0, y)
        available.rows[i, WEST] = alive and walkable(x - 1.0, y)
        for e in range(rules.enemies):
            v = rules.allies + e
            dx, dy = game.units[v].x - x, game.units[v].y - y
            near = dx * dx + dy * dy <= ORDER_RANGE * ORDER_RANGE
            available.rows[i, ATTACK + e] = alive and near and game.units[v].health > 0.0


@part
def _health(game: Game, tables: Tables, rules: Rules, v: int, row: Row, k: int) -> int:
    """Health, and shield where there are any; returns the next free place."""
    row[k] = game.units[v].health / tables.kinds[v].full_health
    if not rules.shields:
        return k + 1
    row[k + 1] = game.units[v].shield / tables.kinds[v].full_shield
    return k + 2


@part
def _kind(tables: Tables, rules: Rules, v: int, row: Row, k: int) -> int:
    """One-hot type where there is more than one; returns the next free place."""
    if rules.type_bits > 0:
        row[k + tables.kinds[v].type_column] = 1.0
    return k + rules.type_bits


@part
def _on_map(game: Game, v: int, row: Row, k: int) -> int:
    """Place on the map, from its middle; returns the next free place."""
    row[k] = (game.units[v].x - _MIDDLE) * _PER_MAP
    row[k + 1] = (game.units[v].y - _MIDDLE) * _PER_MAP
    return k + 2


@part
def _relative(game: Game, tables: Tables, i: int, v: int, row: Row, k: int) -> int:
    """Distance and place as seen by agent i; returns the next free place."""
    row[k] = tables.distance[i, v] * _PER_SIGHT
    row[k + 1] = (game.units[v].x - game.units[i].x) * _PER_SIGHT
    row[k + 2] = (game.units[v].y - game.units[i].y) * _PER_SIGHT
    return k + 3


@part
def _last_action(rules: Rules, game: Game, i: int, row: Row, k: int) -> int:
    """One-hot last action, nothing at the start; returns the next free place."""
    if game.units[i].last_action >= 0:
        row[k + game.units[i].last_action] = 1.0
    return k + ATTACK + rules.enemies


@part
def _moves(mask: Mask, row: Row, k: int) -> int:
    """Which ways are open; returns the next free place."""
    for direction in range(4):
        if mask[NORTH + direction]:
            row[k + direction] = 1.0
    return k + 4


@part
def _seen_enemies(
    game: Game,
    tables: Tables,
    rules: Rules,
    mask: Mask,
    i: int,
    row: Row,
    k: int,
) -> int:
    """Enemies in sight of agent i; returns the next free place."""
    width = 5 + rules.shields + rules.type_bits
    for e in range(rules.enemies):
        v = rules.allies + e
        if game.units[v].health > 0.0 and tables.distance[i, v] < SIGHT:
            at = k + e * width
            if mask[ATTACK + e]:
                row[at] = 1.0
            at = _relative(game, tables, i, v, row, at + 1)
            at = _health(game, tables, rules, v, row, at)
            _kind(tables, rules, v, row, at)
    return k + rules.enemies * width


@part
def _seen_allies(game: Game, tables: Tables, rules: Rules, i: int, row: Row, k: int) -> int:
    """Allies in sight of agent i; returns the next free place."""
    actions = ATTACK + rules.enemies if rules.paper else 0
    width = 5 + rules.shields + rules.type_bits + actions
    at = k
    for v in range(rules.allies):
        if v == i:
            continue
        if game.units[v].health > 0.0 and tables.distance[i, v] < SIGHT:
            row[at] = 1.0
            end = _relative(game, tables, i, v, row, at + 1)
            end = _health(game, tables, rules, v, row, end)
            end = _kind(tables, rules, v, row, end)
            if rules.paper:
                _last_action(rules, game, v, row, end)
        at += width
    return k + (rules.allies - 1) * width


@compiled
def _observe_as_smac(
    game: Game, tables: Tables, rules: Rules, available: Rows, rows: Rows, i: int
) -> None:
    """Open ways; enemies; allies; own health and type."""
    mask, row = available.rows[i], rows.rows[i]
    if game.units[i].health <= 0.0:
        return
    k = _moves(mask, row, 0)
    k = _seen_enemies(game, tables, rules, mask, i, row, k)
    k = _seen_allies(game, tables, rules, i, row, k)
    k = _health(game, tables, rules, i, row, k)
    _kind(tables, rules, i, row, k)


@compiled
def _state_as_smac(game: Game, tables: Tables, rules: Rules, rows: Rows, i: int) -> None:
    """Allies with cooldown; enemies; last actions."""
    row = rows.rows[i]
    k = 0
    for v in range(rules.allies + rules.enemies):
        ally = v < rules.allies
        if game.units[v].health > 0.0:
            row[k] = game.units[v].health / tables.kinds[v].full_health
            at = k + 1
            if ally:
                row[at] = max(0.0, game.units[v].cooldown) / tables.kinds[v].full_cooldown
                at += 1
            at = _on_map(game, v, row, at)
            if rules.shields:
                row[at] = game.units[v].shield / tables.kinds[v].full_shield
                at += 1
            _kind(tables, rules, v, row, at)
        k += 3 + ally + rules.shields + rules.type_bits
    for v in range(rules.allies):
        k = _last_action(rules, game, v, row, k)


@compiled
def _observe_as_paper(
    game: Game, tables: Tables, rules: Rules, available: Rows, rows: Rows, i: int
) -> None:
    """Allies and enemies in sight; open ways; itself as it sees an ally; index; beliefs (empty)."""
    mask, row = available.rows[i], rows.rows[i]
    row[row.shape[0] - 2 * rules.allies + i] = 1.0
    if game.units[i].health <= 0.0:
        return
    k = _seen_allies(game, tables, rules, i, row, 0)
    k = _seen_enemies(game, tables, rules, mask, i, row, k)
    k = _moves(mask, row, k)
    row[k] = 1.0
    k = _health(game, tables, rules, i, row, k + 4)
    k = _kind(tables, rules, i, row, k)
    _last_action(rules, game, i, row, k)


@compiled
def _state_as_paper(
    game: Game, tables: Tables, rules: Rules, available: Rows, rows: Rows, i: int
) -> None:
    """All living allies and enemies, seen by agent i or not; open ways; itself; index."""
    mask, row = available.rows[i], rows.rows[i]
    row[row.shape[0] - rules.allies + i] = 1.0
    if game.units[i].health <= 0.0:
        return
    k = 0
    for v in range(rules.allies):
        if v == i:
            continue
        if game.units[v].health > 0.0:
            if tables.distance[i, v] < SIGHT:
                row[k] = 1.0
            at = _relative(game, tables, i, v, row, k + 1)
            row[at] = max(0.0, game.units[v].cooldown) / tables.kinds[v].full_cooldown
            at = _health(game, tables, rules, v, row, at + 1)
            at = _on_map(game, v, row, at)
            at = _kind(tables, rules, v, row, at)
            _last_action(rules, game, v, row, at)
        k += 8 + rules.shields + rules.type_bits + ATTACK + rules.enemies
    for e in range(rules.enemies):
        v = rules.allies + e
        if game.units[v].health > 0.0:
            if mask[ATTACK + e]:
                row[k] = 1.0
            at = _relative(game, tables, i, v, row, k + 1)
            if tables.distance[i, v] < SIGHT:
                row[at] = 1.0
            at = _health(game, tables, rules, v, row, at + 1)
            at = _kind(tables, rules, v, row, at)
            _on_map(game, v, row, at)
        k += 8 + rules.shields + rules.type_bits
    k = _moves(mask, row, k)
    row[k] = 1.0
    k = _health(game, tables, rules, i, row, k + 4)
    k = _on_map(game, i, row, k)
    k = _kind(tables, rules, i, row, k)
    _last_action(rules, game, i, row, k)

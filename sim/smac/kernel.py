"""The compiled step of B games: orders, eight game loops, reward, end, features, the next game."""

from typing import NamedTuple

import numpy as np

from sim.randomness import next_bits
from sim.smac.combat import attack_move, obey, recover
from sim.smac.features import write_features, write_masks
from sim.smac.tables import (
    ATTACK,
    ATTACKING,
    EAST,
    IDLE,
    KILL_REWARD,
    MOVING,
    NORTH,
    SOUTH,
    WEST,
    WIN_REWARD,
    Face,
    Game,
    Games,
    Ints,
    Rows,
    Rules,
    Tables,
    compiled,
)
from sim.smac.units import LOOPS_PER_STEP

#: An order to move is this long; a step is over before it is carried out (SMAC).
_MOVE = 2.0
#: A random number's upper 32 bits, as the fraction of a number with 32 bits behind the point.
_POINT = np.uint64(32)
_FRACTION = np.uint64(2**32 - 1)


class Tally(NamedTuple):
    """The living of both teams, and the sum of their health and shields."""

    allies: int
    enemies: int
    own: float
    theirs: float


@compiled
def advance(
    games: Games, tables: Tables, rules: Rules, face: Face, actions: Ints, hold: bool
) -> None:
    """One step of all games: fill all arrays of `face`, and start those again that have ended.

    Parameters
    ----------
    actions
        (B, N), legal.
    hold
        Leave those that have ended as they are.
    """
    for b in range(len(games)):
        game = games[b]
        _give_orders(game, rules, actions, b)
        before = _tally(game, rules)
        count = _muster(game, tables)
        for _ in range(LOOPS_PER_STEP):
            _loop(game, tables, rules, count)
        after = _tally(game, rules)
        won = after.enemies == 0 and after.allies > 0
        lost = after.allies == 0 and after.enemies > 0
        face.reward[b] = _reward(before, after, rules, won, lost)
        face.steps[b] += 1
        face.terminated[b] = after.enemies == 0 or after.allies == 0
        face.truncated[b] = not face.terminated[b] and face.steps[b] >= rules.limit
        face.battle_won[b] = won
        face.dead_allies[b] = rules.allies - after.allies
        face.dead_enemies[b] = rules.enemies - after.enemies
        if face.terminated[b] or face.truncated[b]:
            _show(
                game,
                tables,
                rules,
                face.final_available[b],
                face.final_observation[b],
                face.final_state[b],
            )
            if not hold:
                start(game, tables)
                face.steps[b] = 0
        _show(
            game,
            tables,
            rules,
            face.available[b],
            face.observation[b],
            face.state[b],
        )


@compiled
def start_all(games: Games, tables: Tables, rules: Rules, face: Face) -> None:
    """Start all games and fill observation, state and available actions."""
    face.steps[:] = 0
    for b in range(len(games)):
        game = games[b]
        start(game, tables)
        _show(
            game,
            tables,
            rules,
            face.available[b],
            face.observation[b],
            face.state[b],
        )


@compiled
def _show(
    game: Game, tables: Tables, rules: Rules, available: Rows, observation: Rows, state: Rows
) -> None:
    """Masks and features of a game as it stands."""
    write_masks(game, rules, available)
    write_features(game, tables, rules, available, observation, state)


@compiled
def start(game: Game, tables: Tables) -> None:
    """Put both teams where they begin."""
    for u in range(len(game.units)):
        unit, kind = game.units[u], tables.kinds[u]
        unit.x = kind.start_x
        unit.y = kind.start_y
        unit.health = kind.full_health
        unit.shield = kind.full_shield
        unit.cooldown = 0.0
        unit.calm = 0.0
        unit.target = -1
        unit.order = IDLE
        unit.last_action = -1


@compiled
def _give_orders(game: Game, rules: Rules, actions: Ints, b: int) -> None:
    """Turn game b's actions (B, N) into orders that replace the last ones."""
    for i in range(rules.allies):
        action, unit = actions[b, i], game.units[i]
        unit.last_action = action
        unit.target = -1
        if action >= ATTACK:
            unit.order = ATTACKING
            unit.target = rules.allies + action - ATTACK
        elif action >= NORTH:
            unit.order = MOVING
            unit.goal_x = unit.x + _MOVE * ((action == EAST) - (action == WEST))
            unit.goal_y = unit.y + _MOVE * ((action == NORTH) - (action == SOUTH))
        else:
            unit.order = IDLE


@compiled
def _muster(game: Game, tables: Tables) -> int:
    """Put the living into the queue; returns how many there are."""
    count = 0
    for u in range(len(game.units)):
        if game.units[u].health > 0.0:
            tables.queue[count] = u
            count += 1
    return count


@compiled
def _loop(game: Game, tables: Tables, rules: Rules, count: int) -> None:
    """One game loop: the first `count` of the queue act one by one, in an order drawn by lot."""
    queue = tables.queue
    luck = next_bits(game.stream, 0) >> _POINT
    for k in range(count):
        # One random number does for all, else they take a fifth of a step: scaled up, its whole
        # part says who is next, and the fraction behind that is luck for the others. 32 bits
        # order twelve units (12! < 2^32); of the orders of sixteen they reach a few thousandths.
        luck *= np.uint64(count - k)
        other = k + np.int64(luck >> _POINT)
        luck &= _FRACTION
        u = queue[other]
        queue[other] = queue[k]
        queue[k] = u
        if game.units[u].health <= 0.0:
            continue
        recover(game, tables, u)
        if u < rules.allies:
            obey(game, tables, u)
        else:
            attack_move(game, tables, rules, u)


@compiled
def _tally(game: Game, rules: Rules) -> Tally:
    """Count the living and what keeps them alive."""
    allies = enemies = 0
    own = theirs = 0.0
    for u in range(len(game.units)):
        if game.units[u].health > 0.0:
            if u < rules.allies:
                allies += 1
                own += game.units[u].health + game.units[u].shield
            else:
                enemies += 1
                theirs += game.units[u].health + game.units[u].shield
    return Tally(allies, enemies, own, theirs)


@compiled
def _reward(before: Tally, after: Tally, rules: Rules, won: bool, lost: bool) -> float:
    """The team's reward of a step."""
    reward = before.theirs - after.theirs + KILL_REWARD * (before.enemies - after.enemies)
    if rules.signed:
        losses = before.own - after.own + KILL_REWARD * (before.allies - after.allies)
        reward -= rules.negative_scale * losses + WIN_REWARD * lost
    else:
        reward = max(0.0, reward)
    return (reward + WIN_REWARD * won) * rules.reward_scale

"""How units choose targets, fire, lose shield and health, and recover shields."""

from sim.randomness import uniform
from sim.smac.maps import ALLIES_AT
from sim.smac.movement import walk
from sim.smac.tables import ATTACKING, IDLE, MOVING, Game, Rules, Tables, part
from sim.smac.units import (
    DELAY_LOOPS,
    LEAST_DAMAGE,
    LOOPS_PER_SECOND,
    SHIELD_CALM,
    SHIELD_RATE,
)

_DELAY_FROM, _DELAY_WIDTH = DELAY_LOOPS[0], DELAY_LOOPS[1] - DELAY_LOOPS[0]
_CALM_LOOPS = SHIELD_CALM * LOOPS_PER_SECOND
_SHIELD_PER_LOOP = SHIELD_RATE / LOOPS_PER_SECOND
#: An enemy has arrived when it is so near to where it was sent. Assumed: a crowd settles.
_ARRIVED2 = 1.0


@part
def recover(game: Game, tables: Tables, u: int) -> None:
    """One loop passes for the weapon and the shield of unit u."""
    # No branch: nobody can predict whether a weapon is ready, and a wrong guess takes long.
    game.units[u].cooldown -= game.units[u].cooldown > 0.0
    if tables.kinds[u].full_shield > 0.0:
        if game.units[u].calm >= _CALM_LOOPS:
            full = tables.kinds[u].full_shield
            game.units[u].shield = min(full, game.units[u].shield + _SHIELD_PER_LOOP)
        game.units[u].calm += 1.0


@part
def obey(game: Game, tables: Tables, u: int) -> None:
    """One loop of an ally: carry on with its order; without one it does nothing at all."""
    order = game.units[u].order
    if order == MOVING:
        walk(game, tables, u, game.units[u].goal_x, game.units[u].goal_y)
    elif order == ATTACKING:
        target = game.units[u].target
        if game.units[target].health > 0.0:
            engage(game, tables, u, target)
        else:
            game.units[u].order = IDLE
            game.units[u].target = -1


@part
def attack_move(game: Game, tables: Tables, rules: Rules, u: int) -> None:
    """One loop of an enemy: fight whom it has noticed, else go where the allies came from.

    Assumed, as in SMAClite (github.com/uoe-agents/smaclite): it keeps a target until that is dead
    or out of reach.
    """
    target = game.units[u].target
    if target >= 0 and _distance2(game, u, target) > tables.pairs[u, target].reach2:
        target = -1
    if target < 0 or game.units[target].health <= 0.0:
        target = _noticed(game, tables, rules, u)
        game.units[u].target = target
    if target >= 0:
        engage(game, tables, u, target)
        return
    dx, dy = ALLIES_AT[0] - game.units[u].x, ALLIES_AT[1] - game.units[u].y
    if dx * dx + dy * dy > _ARRIVED2:
        walk(game, tables, u, ALLIES_AT[0], ALLIES_AT[1])


@part
def _noticed(game: Game, tables: Tables, rules: Rules, u: int) -> int:
    """The nearest living ally that is near enough or attacks unit u; -1 for none."""
    found, nearest = -1, 1e30
    for v in range(rules.allies):
        d2 = _distance2(game, u, v)
        near = (d2 < tables.pairs[u, v].scan2) | (game.units[v].target == u)
        better = near & (d2 < nearest) & (game.units[v].health > 0.0)
        found = v if better else found
        nearest = d2 if better else nearest
    return found


@part
def engage(game: Game, tables: Tables, u: int, target: int) -> None:
    """Walk up to the target, or hit it as soon as the weapon is ready."""
    if _distance2(game, u, target) > tables.pairs[u, target].reach2:
        walk(game, tables, u, game.units[target].x, game.units[target].y)
    elif game.units[u].cooldown <= 0.0:
        delay = _DELAY_FROM + _DELAY_WIDTH * uniform(game.stream, 0)
        # What is left below zero is the fraction of a loop that the weapon was ready before.
        game.units[u].cooldown += tables.kinds[u].period + delay
        hit(game, tables, u, target)


@part
def hit(game: Game, tables: Tables, u: int, target: int) -> None:
    """Unit u hits: shields take all they can, and armour weakens what comes through."""
    game.units[target].calm = 0.0
    for _ in range(tables.kinds[u].hits):
        damage = tables.pairs[u, target].damage
        absorbed = min(game.units[target].shield, damage)
        game.units[target].shield -= absorbed
        if damage > absorbed:
            through = max(damage - absorbed - tables.kinds[target].armour, LEAST_DAMAGE)
            game.units[target].health = max(0.0, game.units[target].health - through)


@part
def _distance2(game: Game, u: int, v: int) -> float:
    dx, dy = game.units[v].x - game.units[u].x, game.units[v].y - game.units[u].y
    return dx * dx + dy * dy

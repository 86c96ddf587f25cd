"""How units walk: straight, inside the band, around each other."""

import math

from sim.smac.maps import BAND, MAP_SIZE
from sim.smac.tables import Game, Tables, compiled, part


@part
def walk(game: Game, tables: Tables, u: int, goal_x: float, goal_y: float) -> None:
    """Move unit u for one loop towards a point; it stays where all ways are blocked.

    Units do not give way to each other: who is in the way is passed on the side that brings the
    unit nearer to its goal.
    """
    x, y, pace = game.units[u].x, game.units[u].y, tables.kinds[u].pace
    dx, dy = goal_x - x, goal_y - y
    length = math.sqrt(dx * dx + dy * dy)
    if length < 1e-12:
        return
    share = min(1.0, pace / length)
    in_the_way = _try_step(game, tables, u, x + dx * share, y + dy * share)
    if in_the_way < 0:
        return
    # Along the tangent of the first one met: the distance to it can only grow.
    away_x, away_y = game.units[in_the_way].x - x, game.units[in_the_way].y - y
    side = 1.0 if away_x * dy - away_y * dx >= 0.0 else -1.0
    scale = side * min(pace, length) / math.sqrt(away_x * away_x + away_y * away_y)
    _try_step(game, tables, u, x - away_y * scale, y + away_x * scale)


@part
def _try_step(game: Game, tables: Tables, u: int, x: float, y: float) -> int:
    """Put unit u at (x, y), kept within the band; or return the unit that is in the way."""
    radius = tables.kinds[u].radius
    x = min(max(x, radius), MAP_SIZE - radius)
    y = min(max(y, BAND[0] + radius), BAND[1] - radius)
    for v in range(len(game.units)):
        dx, dy = game.units[v].x - x, game.units[v].y - y
        touching = dx * dx + dy * dy < tables.pairs[u, v].apart2
        if touching and game.units[v].health > 0.0:
            return v
    game.units[u].x = x
    game.units[u].y = y
    return -1


@compiled
def walkable(x: float, y: float) -> bool:
    """Whether the cell of a point is on the map and inside the band."""
    return 0.0 <= x < MAP_SIZE and BAND[0] <= y < BAND[1]

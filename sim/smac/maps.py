"""The scenarios: who fights whom, where, and for how long.

All of them are played on one flat map of 32 x 32 cells whose walkable band is 16 cells high. Teams
and step limits are those of SMAC's map registry; `4m_vs_3m` is the map of the EIR-MAPPO release
(github.com/DIG-Beihang/EIR-MAPPO).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.smac.units import MARINE, STALKER, ZEALOT, UnitType

#: Cells of the map, and the rows of it that can be walked on: [BAND[0], BAND[1]).
MAP_SIZE = 32
BAND = (8, 24)
#: Where the teams appear; the enemies attack-move to where the allies do.
ALLIES_AT = (9.0, 16.0)
ENEMIES_AT = (23.0, 16.0)
#: Between the rims of neighbours in the formation at the start: a marine's width. Assumed.
ELBOW_ROOM = 0.75


@dataclass(frozen=True)
class Scenario:
    """One map: the allies are the agents, in this order."""

    name: str
    allies: tuple[UnitType, ...]
    enemies: tuple[UnitType, ...]
    #: Steps after which an episode is cut off
    limit: int

    @property
    def units(self) -> tuple[UnitType, ...]:
        """Allies, then enemies."""
        return self.allies + self.enemies

    @property
    def kinds(self) -> tuple[UnitType, ...]:
        """Kinds of units that take part, in the order in which allies list them."""
        return tuple(dict.fromkeys(self.units))

    @property
    def has_shields(self) -> bool:
        """Whether features tell of shields."""
        return any(unit.shield > 0 for unit in self.units)


_SCENARIOS = (
    Scenario("3m", (MARINE,) * 3, (MARINE,) * 3, 60),
    Scenario("4m_vs_3m", (MARINE,) * 4, (MARINE,) * 3, 60),
    Scenario("5m_vs_6m", (MARINE,) * 5, (MARINE,) * 6, 70),
    Scenario("8m", (MARINE,) * 8, (MARINE,) * 8, 120),
    Scenario("2s3z", (STALKER,) * 2 + (ZEALOT,) * 3, (STALKER,) * 2 + (ZEALOT,) * 3, 120),
)
#: Scenarios by name.
SCENARIOS = {scenario.name: scenario for scenario in _SCENARIOS}


def formation(
    units: tuple[UnitType, ...], centre: tuple[float, float], facing: int
) -> NDArray[np.float64]:
    """Places of a team at the start, (len(units), 2): a grid of columns, filled from the rear.

    Parameters
    ----------
    facing
        1 for a team whose enemy is in the east, -1 for one whose enemy is in the west.
    """
    pitch = 2 * max(unit.radius for unit in units) + ELBOW_ROOM
    columns = math.ceil(math.sqrt(len(units)))
    per_column = math.ceil(len(units) / columns)
    places = np.zeros((len(units), 2))
    for index in range(len(units)):
        column, row = divmod(index, per_column)
        in_column = min(per_column, len(units) - column * per_column)
        places[index] = (
            centre[0] + facing * pitch * (column - (columns - 1) / 2),
            centre[1] + pitch * (row - (in_column - 1) / 2),
        )
    return places

"""The unit types that fight, and their numbers.

Everything is in game seconds of 16 game loops, the clock that StarCraft II simulates in. Published
tables count at the speed "Faster", where 1.4 such seconds pass in a second: their speeds are 1.4
times ours, their periods are ours divided by 1.4 (Liquipedia, *Game Speed*).

Sources: Liquipedia's pages on Marine, Stalker, Zealot and Plasma Shield (Legacy of the Void);
cooldowns, sight and the range of attack orders from SMAC (Samvelyan et al., *The StarCraft
Multi-Agent Challenge*, 2019; github.com/oxwhirl/smac).
"""

from dataclasses import dataclass

#: Game loops in a second, and in a step of the environment.
LOOPS_PER_SECOND = 16
LOOPS_PER_STEP = 8
#: How far a unit sees, and how near a target must be for an order to attack it (SMAC).
SIGHT = 9.0
ORDER_RANGE = 6.0
#: A unit that attacks as it moves looks for targets this far away at least.
SCAN_RANGE = 5.0
#: A weapon's period varies by so many loops, evenly. Assumed: the game's data for units in general.
DELAY_LOOPS = (-1.0, 2.0)
#: Shields come back so long after the last damage, and this fast [s, points/s].
SHIELD_CALM = 10.0
SHIELD_RATE = 2.0
#: No hit on health does less than this, whatever the armour.
LEAST_DAMAGE = 0.5


@dataclass(frozen=True)
class UnitType:
    """One kind of unit: lengths in map cells, times in game seconds."""

    name: str
    health: float
    shield: float
    #: Taken from what each hit does to health; shields have none
    armour: float
    #: Of each of `hits` hits, which land together
    damage: float
    hits: int
    #: Added to each hit on an armoured target
    bonus: float
    armoured: bool
    #: From rim to rim
    range: float
    period: float
    speed: float
    radius: float
    #: What SMAC divides the weapon's cooldown by [loops]
    full_cooldown: float


MARINE = UnitType(
    name="marine",
    health=45,
    shield=0,
    armour=0,
    damage=6,
    hits=1,
    bonus=0,
    armoured=False,
    range=5.0,
    period=0.8608,
    speed=2.25,
    radius=0.375,
    full_cooldown=15,
)
STALKER = UnitType(
    name="stalker",
    health=80,
    shield=80,
    armour=1,
    damage=13,
    hits=1,
    bonus=5,
    armoured=True,
    range=6.0,
    period=1.876,
    speed=2.95,
    radius=0.625,
    full_cooldown=35,
)
ZEALOT = UnitType(
    name="zealot",
    health=100,
    shield=50,
    armour=1,
    damage=8,
    hits=2,
    bonus=0,
    armoured=False,
    range=0.1,
    period=1.204,
    speed=2.25,
    radius=0.5,
    full_cooldown=22,
)

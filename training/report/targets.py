"""What a world shall show, and whether its cells show it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from training.matrix import TOGETHER, WORST
from training.methods import METHODS
from training.report.statistics import Estimate, estimate
from training.report.table import UNSEEN_COUNT, World

#: Our method, the oracle that is no baseline, and what cooperation is held against.
OURS, ORACLE, COOPERATIVE = "eir-mappo", "true-type", "mappo"
#: Seeds that a verdict needs on each side.
FEWEST_SEEDS = 3
#: Share of MAPPO's cooperation that our method shall keep.
KEEPS = 0.97
#: How far, by the paper, our method's mean over unseen attacks is above the best baseline's.
PAPER_GAIN = {"toy": 0.0581, "lbf": 0.0588, "smac": 0.2545}
#: Names of the targets.
ROBUST, TOGETHER_STILL, GENERAL = NAMES = ("worst case", "cooperation", "unseen attacks")
#: Verdicts, in the order in which a report tells them.
MISSED, OPEN, MET = VERDICTS = ("missed", "open", "met")


@dataclass(frozen=True)
class Target:
    """One target of one world.

    Attributes
    ----------
    name
        The same in every world: one of `NAMES`.
    verdict
        One of `VERDICTS`: open where either side has fewer than `FEWEST_SEEDS` seeds.
    short, found
        The number that counts, and all numbers behind it, as text.
    """

    name: str
    what: str
    verdict: str
    short: str
    found: str


def targets(world: World) -> list[Target]:
    """Each target that the cells of `world` can answer, the missed ones first."""
    found = (_worst_case(world), _cooperation(world), _unseen(world))
    there = [target for target in found if target]
    return sorted(there, key=lambda target: VERDICTS.index(target.verdict))


def _worst_case(world: World) -> Target | None:
    ours = world.estimate(WORST, OURS)
    rivals = {method: world.estimate(WORST, method) for method in _baselines(world)}
    rival, theirs = _best(rivals)
    if ours is None or theirs is None:
        return None
    above = all(r is None or (ours.value > r.value and ours.apart_from(r)) for r in rivals.values())
    verdict, few = _verdict(world, above, rival, lambda _: [WORST])
    what = "worst case above every baseline, 95 % intervals apart"
    mine, its = (estimate(world.lowest(method)).value for method in (OURS, rival))
    short = f"{ours.value:.4g} against {theirs.value:.4g}"
    short += f" (weakest agent {mine:.4g} against {its:.4g})"
    found = f"{ours} against {theirs} of {METHODS[rival].title}{few}"
    return Target(ROBUST, what, verdict, short, found)


def _cooperation(world: World) -> Target | None:
    ours, theirs = (world.estimate(TOGETHER, method) for method in (OURS, COOPERATIVE))
    # of a return of 0 there are no shares
    if ours is None or theirs is None or theirs.value == 0:
        return None
    # returns below 0 (particles): what is kept is measured on the size of the loss
    kept = ours.value / theirs.value
    kept = kept if theirs.value > 0 else 2 - kept
    verdict, few = _verdict(world, kept >= KEEPS, COOPERATIVE, lambda _: [TOGETHER])
    what = f"cooperation at least {KEEPS:.0%} of MAPPO's"
    return Target(TOGETHER_STILL, what, verdict, f"{kept:.1%}", f"{kept:.1%}{few}")


def _unseen(world: World) -> Target | None:
    """What is possible at all is told, too: by an oracle, and with nobody corrupted."""
    means = {m: estimate(scores) for m in world.methods if (scores := world.unseen(m))}
    rival, theirs = _best({method: means.get(method) for method in _baselines(world)})
    gain = PAPER_GAIN.get(world.name.partition("-")[0])
    if OURS not in means or theirs is None or gain is None or theirs.value == 0:
        return None

    def above(value: float) -> float:
        return (value - theirs.value) / abs(theirs.value)

    def told(value: float) -> str:
        share = above(value)
        return f"{abs(share):.1%} {'above' if share >= 0 else 'below'}"

    mine = above(means[OURS].value)
    verdict, few = _verdict(world, mine >= gain, rival, world.unseen_attacks)
    title = METHODS[rival].title
    found = f"{told(means[OURS].value)} {title}, the best baseline{few}"
    count = len(world.unseen_attacks(OURS))
    if count < UNSEEN_COUNT:
        found += f"; {count} of the {UNSEEN_COUNT} attacks so far"
    if ORACLE in means:
        found += f"; {METHODS[ORACLE].title}, which is told who is corrupted, is "
        found += f"{told(means[ORACLE].value)} it"
    _, healthy = _best({method: world.estimate(TOGETHER, method) for method in world.methods})
    if healthy is not None:
        found += f"; what the best team returns with nobody corrupted is {told(healthy.value)} it"
    what = f"mean over unseen attacks at least {gain:.2%} above the best baseline"
    return Target(GENERAL, what, verdict, f"{mine:+.1%}", found)


def _baselines(world: World) -> list[str]:
    return [method for method in world.methods if method not in (OURS, ORACLE)]


def _best(found: Mapping[str, Estimate | None]) -> tuple[str, Estimate | None]:
    """The method with the highest estimate; none where there is none."""
    there = [(one.value, method) for method, one in found.items() if one is not None]
    if not there:
        return "", None
    _, method = max(there)
    return method, found[method]


def _verdict(
    world: World, met: bool, rival: str, cells_of: Callable[[str], list[str]]
) -> tuple[str, str]:
    """The verdict, and what to add to the numbers where there are too few seeds for one.

    `cells_of` a method are those that the numbers come from: seeds without them do not count.
    """
    seeds = min(len(world.of(cell, m)) for m in (OURS, rival) for cell in cells_of(m))
    if seeds >= FEWEST_SEEDS:
        return (MET if met else MISSED), ""
    return OPEN, f"; {seeds} seed{'s' if seeds > 1 else ''}, too few to tell"

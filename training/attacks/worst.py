"""The worst case: the lowest return over attacks, for each agent, chosen without flattering any.

A fresh attack alone flatters the victim. So adversaries trained against it, fresh and warm-started,
those trained against and with other teams, and scripted attacks are all tried. All are screened on
one set of seeds, the lowest few played again on a second, and the lowest of these reported on a
third: a minimum over the episodes that are reported would flatter the attack.
"""

from dataclasses import dataclass, field

import numpy as np

from training.attacks.base import Attack
from training.attacks.play import Arena
from training.team import Adversary

#: First part of held-out streams: screening, refining and reporting never share one.
SCREEN, REFINE, REPORT = 1, 2, 3


@dataclass
class Candidate:
    """One attack that may be the worst, with the adversary that it plays."""

    name: str
    attack: Attack
    adversary: Adversary | None = None


@dataclass
class Worst:
    """What was lowest for one agent."""

    agent: int
    attack: str
    #: Returns of the reported episodes, (E,)
    returns: np.ndarray
    #: Mean return of every candidate in screening, and of the lowest few in refining.
    screened: dict[str, float] = field(default_factory=dict)
    refined: dict[str, float] = field(default_factory=dict)


def worst_case(
    arena: Arena, candidates: list[Candidate], agent: int, episodes: int, shortlist: int = 4
) -> Worst:
    """The lowest return that `candidates` reach on `agent`.

    Parameters
    ----------
    episodes
        Episodes reported; half as many, in whole batches of the arena, to screen and to refine.
    shortlist
        Candidates that are refined.
    """

    def mean(candidate: Candidate, stream: int) -> float:
        half = max(1, episodes // 2)
        played = arena.play(candidate.attack, half, [stream], agent, candidate.adversary)
        return float(played.returns.mean())

    screened = {candidate.name: mean(candidate, SCREEN) for candidate in candidates}
    lowest = sorted(candidates, key=lambda c: screened[c.name])[:shortlist]
    refined = {candidate.name: mean(candidate, REFINE) for candidate in lowest}
    worst = min(lowest, key=lambda c: refined[c.name])
    reported = arena.play(worst.attack, episodes, [REPORT], agent, worst.adversary)
    return Worst(agent, worst.name, reported.returns, screened, refined)


def still_falling(curve: list[float], scale: float) -> float:
    """How much an attack still gained at the end of its training, in units of `scale`.

    The mean of the last quarter of the curve below that of the quarter before it. An attack has
    converged where this is small, 0.02 of what an episode is worth, say; where it is not, the
    victim is worse than its number.
    """
    quarter = max(1, len(curve) // 4)
    last, before = np.mean(curve[-quarter:]), np.mean(curve[-2 * quarter : -quarter] or curve)
    return float((before - last) / scale) if scale else 0.0

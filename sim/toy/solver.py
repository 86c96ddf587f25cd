"""What a team can reach in the toy matrix game: exact values by backward induction.

The derivation is in `docs/toy.md`; `python -m sim.toy` prints the values. Arrays of values are
`(T + 1, 2)`: steps to go and state. Priors and beliefs are over `sim.toy.tables.TYPES`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sim.toy.tables import Floats, checked_prior, joint_values


class Returns(NamedTuple):
    """What one and the same team gets, by what nature drew."""

    #: Nobody is corrupted
    cooperative: float
    #: One agent is a worst-case adversary (the same for either agent, unless said otherwise)
    attacked: float

    def expected(self, prior: ArrayLike) -> float:
        """Expectation under a prior; a team of two adversaries gets nothing."""
        nobody, one = _weights(prior)
        return nobody * self.cooperative + one * self.attacked


class Stage(NamedTuple):
    """Solution of a zero-sum game with two actions each."""

    value: float
    #: Of the maximiser, (2,)
    row: Floats
    #: Of the minimiser, (2,)
    column: Floats


class Bounds(NamedTuple):
    """A value between two numbers that are proved; equal where it is exact."""

    lower: float
    upper: float
    #: Of a team that reaches `lower`
    returns: Returns

    @property
    def exact(self) -> bool:
        """Whether the bounds meet."""
        return self.upper - self.lower <= 1e-12 * max(1.0, abs(self.upper))


class ExAnte(NamedTuple):
    """A best team among those that know time and state alone."""

    value: float
    returns: Returns
    #: By time and state, (T, 2) of "trust", "guard" or "break": see `ex_ante`
    plan: list[tuple[str, str]]


def one_adversary(probability: float, first: float = 0.5) -> Floats:
    """Prior with at most one adversary, which is agent 0 with probability `first`."""
    return checked_prior([1 - probability, probability * first, probability * (1 - first), 0.0])


def independent(first: float, second: float) -> Floats:
    """Prior where each agent is an adversary by a draw of its own."""
    return checked_prior(np.outer([1 - first, first], [1 - second, second]).T.ravel())


def solve_stage(matrix: ArrayLike) -> Stage:
    """Solve a 2 x 2 zero-sum game exactly (von Neumann 1928); rows maximise, columns minimise.

    A saddle point where there is one, otherwise both mix so that the other does not care.
    """
    m = np.asarray(matrix, np.float64)
    row, column = int(m.min(1).argmax()), int(m.max(0).argmin())
    if m.min(1)[row] == m.max(0)[column]:
        return Stage(float(m[row, column]), np.eye(2)[row], np.eye(2)[column])
    (a, b), (c, d) = m
    total = a - b - c + d
    first_row, first_column = (d - c) / total, (d - b) / total
    return Stage(
        float((a * d - b * c) / total),
        np.array([first_row, 1 - first_row]),
        np.array([first_column, 1 - first_column]),
    )


def cooperative(steps: int) -> Floats:
    """(a) The best a team of two cooperative agents can get, (T + 1, 2)."""
    values = np.zeros((steps + 1, 2))
    for h in range(1, steps + 1):
        values[h] = joint_values(values[h - 1]).max((1, 2))
    return values


class KnownAdversary(NamedTuple):
    """Minimax solution when it is common knowledge who is corrupted."""

    #: (T + 1, 2): steps to go, state
    values: Floats
    #: Strategy of the cooperative agent with h steps to go, (T + 1, 2, 2); row 0 is unused
    cooperative: Floats
    #: And of the adversary
    adversary: Floats


def known_adversary(steps: int, adversary: int = 1) -> KnownAdversary:
    """(b) Simultaneous moves: a zero-sum stage game per state, solved by backward induction.

    Shapley, *Stochastic Games* (1953), for a finite horizon.
    """
    values = np.zeros((steps + 1, 2))
    honest, rogue = np.zeros((steps + 1, 2, 2)), np.zeros((steps + 1, 2, 2))
    for h in range(1, steps + 1):
        for state, matrix in enumerate(joint_values(values[h - 1])):
            stage = solve_stage(matrix if adversary == 1 else matrix.T)
            values[h, state], honest[h, state], rogue[h, state] = stage
    return KnownAdversary(values, honest, rogue)


def known_adversary_pure(steps: int, adversary: int = 1) -> Floats:
    """(b) If the cooperative agent may not mix: the adversary foresees its action, (T + 1, 2)."""
    values = np.zeros((steps + 1, 2))
    for h in range(1, steps + 1):
        joint = joint_values(values[h - 1])
        values[h] = joint.min(1 + adversary).max(1)
    return values


def frozen_prior(prior: ArrayLike, steps: int) -> float:
    """(c) The robust Harsanyi-Bellman equation with the prior in place of every belief.

    The stage is the same whatever the state: with agent i's odds 1/2 + d_i of its likelier action,
    nobody·(1/2 + 2 d_0 d_1) + p_0 (1/2 - d_1) + p_1 (1/2 - d_0), bilinear on [0, 1/2]², so a corner
    is best: trust (d = 1/2) or guard (d = 0).
    """
    nobody, one = _weights(prior)
    return steps * max(nobody, (nobody + one) / 2)


#: Probability that the stage pays, for a cooperative team and for one with a worst-case adversary.
_STAGES = {"trust": (1.0, 0.0), "guard": (0.5, 0.5), "break": (0.0, 0.0)}


def ex_ante(prior: ArrayLike, steps: int, start_state: int | None = None) -> ExAnte:
    """(c) The ex ante robust value: max over π(a | s, t) of Σ_θ p(θ) min_π̂ V_θ.

    Types are drawn once per episode, the team's policy may depend on time and state and on nothing
    else, the adversary knows all. Exact. By `docs/toy.md` a best policy does one of three things at
    each time and state: trust (a joint action that pays), guard (both agents uniform) or break (one
    that does not pay). What remains is an optimal control of two probabilities, those of being in
    state 1 without and with an adversary. Its value is the largest of finitely many affine
    functions of them, which are what is carried backwards.
    """
    nobody, one = _weights(prior)
    layers = [[_Affine(0.0, 0.0, 0.0, ("", ""), None)]]
    for _ in range(steps):
        candidates = [
            _preceded(after, choice, nobody, one)
            for after in layers[-1]
            for choice in ((x, y) for x in _STAGES for y in _STAGES)
        ]
        layers.append(_undominated(candidates))
    begin = 0.5 if start_state is None else float(start_state)
    best: _Affine | None = max(layers[-1], key=lambda f: f.at(begin, begin))
    assert best is not None
    value = best.at(begin, begin)
    plan = []
    while best is not None and best.then is not None:
        plan.append(best.choice)
        best = best.then
    return ExAnte(value, _carried_out(plan, begin), plan)


class _Affine(NamedTuple):
    """A value that is affine in the probabilities of state 1, the choice it makes, and the rest."""

    honest: float
    attacked: float
    constant: float
    choice: tuple[str, str]
    then: "_Affine | None"

    def at(self, honest: float, attacked: float) -> float:
        return self.honest * honest + self.attacked * attacked + self.constant


def _preceded(after: _Affine, choice: tuple[str, str], nobody: float, one: float) -> _Affine:
    """The affine function one step earlier: a step pays as often as it leads to state 1."""
    (q0, m0), (q1, m1) = (_STAGES[word] for word in choice)
    honest, attacked = nobody + after.honest, one + after.attacked
    constant = after.constant + honest * q0 + attacked * m0
    return _Affine(honest * (q1 - q0), attacked * (m1 - m0), constant, choice, after)


def _undominated(functions: list[_Affine]) -> list[_Affine]:
    """Those that no other one exceeds at all corners of [0, 1]², and so everywhere in it."""
    corners = np.array([[f.at(x, y) for x in (0, 1) for y in (0, 1)] for f in functions])
    kept: list[int] = []
    for k in np.argsort(-corners.sum(1), kind="stable"):
        if not any((corners[k] <= corners[j] + 1e-12).all() for j in kept):
            kept.append(int(k))
    return [functions[k] for k in kept]


def _carried_out(plan: list[tuple[str, str]], begin: float) -> Returns:
    totals = []
    for case in (0, 1):
        total, rho = 0.0, begin
        for low, high in plan:
            rho = (1 - rho) * _STAGES[low][case] + rho * _STAGES[high][case]
            total += rho
        totals.append(total)
    return Returns(*totals)


def outcome_window(steps: int, window: int) -> Returns:
    """A team that trusts if its last `window` steps all paid (or all so far), and guards otherwise.

    Window 1 is what the state alone tells. Its worst case is exact: with k paid steps in a row,
    V(k) = (1 + V(k + 1) + V(0)) / 2 while it guards, min(1 + V(k), V(0)) where it trusts.
    """
    values = np.zeros(window + 1)
    for _ in range(steps):
        guarded = (1 + values[1:] + values[0]) / 2
        values = np.append(guarded, min(1 + values[-1], values[0]))
    return Returns(float(steps), float(values[-1]))


def ex_interim(belief: ArrayLike, steps: int) -> Bounds:
    """(d) The ex interim robust value, with `steps` to go, at a public belief, (4,).

    Max over all policies that depend on the public history of E_{θ ~ b}[min_π̂ V_θ]. It does not
    depend on the state. With w = b(nobody) and p = b(one adversary), it lies between

    - the better of *trust until somebody deviates, then guard against that one*,
      w T + p (T - 1) / 2, and *guard for ever*, (w + p) T / 2; and
    - max(w, (w + p) / 2) + (T - 1) (w + p / 2).

    They meet where w ≥ p, and for T = 1; otherwise they are at most (p - w) / 2 apart, less than
    half a reward. Where one agent is beyond suspicion the value is exact for every w, see
    `_one_suspect`; `returns.attacked` is then the return with the other one as the adversary.
    """
    nobody, one = _weights(belief)
    if steps == 0:
        return Bounds(0.0, 0.0, Returns(0.0, 0.0))
    suspects = np.count_nonzero(np.asarray(belief, np.float64)[1:3])
    trust, guard = Returns(float(steps), (steps - 1) / 2), Returns(steps / 2, steps / 2)
    teams = [trust, guard, *(_one_suspect(steps) if suspects == 1 else [])]
    best = max(teams, key=lambda team: team.expected(belief))
    lower = best.expected(belief)
    if suspects == 1:
        return Bounds(lower, lower, best)
    upper = max(nobody, (nobody + one) / 2) + (steps - 1) * (nobody + one / 2)
    return Bounds(lower, upper, best)


def _one_suspect(steps: int) -> list[Returns]:
    """The efficient teams when only one agent may be the adversary, (T,) of them.

    The suspect acts predictably, so that any deviation is proof; the other one plays its likelier
    action with probability 1/2 + e and doubles e up to 1/2 as long as the suspect conforms. The
    adversary then holds the team to T/2 - e; without one, Σ_t (1/2 - e_t) of T is lost.
    """
    teams = []
    for k in range(1, steps + 1):
        stakes = np.minimum(0.5, 0.5**k * 2.0 ** np.arange(steps))
        teams.append(Returns(float(steps - (0.5 - stakes).sum()), steps / 2 - 0.5**k))
    return teams


def true_type(prior: ArrayLike, steps: int) -> float:
    """The value if everybody were told θ: the bound that no belief can beat."""
    nobody, one = _weights(prior)
    return nobody * steps + one * steps / 2


def _weights(prior: ArrayLike) -> tuple[float, float]:
    """Probability of no adversary and of exactly one; two of them leave nothing to gain."""
    nobody, first, second, _ = checked_prior(prior)
    return float(nobody), float(first + second)

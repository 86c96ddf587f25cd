"""The exact values of the toy game, against short horizons by hand and against other strategies."""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eir_ros.contract.paths import share
from sim.toy import solver, tables
from sim.toy.__main__ import main, report
from sim.toy.env import ToyEnv

JOINT = list(itertools.product((0, 1), (0, 1)))
unit = st.floats(0, 1)
payoffs = st.floats(-5, 5, width=16)


@st.composite
def priors(draw):
    weights = np.array(draw(st.lists(st.integers(0, 9), min_size=4, max_size=4)), float)
    weights[draw(st.integers(0, 3))] += 1
    return weights / weights.sum()


# --- cooperation, and an adversary that is known


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 100])
def test_cooperation_pays_every_step_from_either_state(steps):
    assert solver.cooperative(steps)[-1].tolist() == [steps, steps]


@pytest.mark.parametrize("adversary", [0, 1])
@pytest.mark.parametrize("steps", [1, 2, 3, 100])
def test_against_a_known_adversary_half_the_steps_pay(steps, adversary):
    """One step is matching pennies: 1/2. What follows is worth the same in both states."""
    known = solver.known_adversary(steps, adversary)
    assert known.values[-1].tolist() == [steps / 2, steps / 2]
    assert (known.cooperative[1:] == 0.5).all()
    assert (known.adversary[1:] == 0.5).all()
    assert not solver.known_adversary_pure(steps, adversary).any()


@pytest.mark.parametrize(
    ("matrix", "value", "row", "column"),
    [
        ([[1, 0], [0, 1]], 0.5, [0.5, 0.5], [0.5, 0.5]),
        ([[3, 0], [1, 2]], 1.5, [0.25, 0.75], [0.5, 0.5]),
        ([[2, 1], [4, 3]], 3.0, [0, 1], [0, 1]),
        ([[7, 7], [7, 7]], 7.0, [1, 0], [1, 0]),
    ],
)
def test_stage_games_solved_by_hand(matrix, value, row, column):
    stage = solver.solve_stage(matrix)
    assert stage.value == pytest.approx(value)
    assert stage.row == pytest.approx(row)
    assert stage.column == pytest.approx(column)


@given(st.lists(payoffs, min_size=4, max_size=4))
def test_neither_side_of_a_stage_game_can_do_better(entries):
    matrix = np.array(entries).reshape(2, 2)
    stage = solver.solve_stage(matrix)
    assert (stage.row @ matrix).min() == pytest.approx(stage.value, abs=1e-6)
    assert (matrix @ stage.column).max() == pytest.approx(stage.value, abs=1e-6)


# --- ex ante


@pytest.mark.parametrize(("steps", "value"), [(1, 0.5), (2, 1.25), (3, 1.875)])
def test_ex_ante_values_of_short_games_by_hand(steps, value):
    """Trust first, then in state 1: 0, 1/2, 1/4 … against the adversary, 1 each without."""
    found = solver.ex_ante(solver.one_adversary(0.5), steps)
    assert found.value == pytest.approx(value)
    assert found.returns.cooperative == steps
    assert found.returns.expected(solver.one_adversary(0.5)) == pytest.approx(value)


def as_table(plan):
    """A plan of trust, guard and break as a policy table; agent 0 plays 0 where it is sure."""
    table = np.full((2, len(plan), 2, 2), 0.5)
    for (t, words), state in itertools.product(enumerate(plan), (0, 1)):
        if words[state] != "guard":
            differ = state == (1 if words[state] == "trust" else 0)
            table[:, t, state] = np.eye(2)[[0, int(differ)]]
    return table


def worst_returns(table):
    """Cooperative and attacked returns of a table, start state uniform."""
    values, _ = tables.worst_case(table)
    return tables.evaluate(table, table)[0, 0].mean(), values[:, 0].mean(-1)


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 30])
def test_the_ex_ante_plan_is_worth_what_is_said_of_it(probability, steps):
    found = solver.ex_ante(solver.one_adversary(probability), steps)
    cooperative, attacked = worst_returns(as_table(found.plan))
    assert cooperative == pytest.approx(found.returns.cooperative)
    assert attacked == pytest.approx([found.returns.attacked] * 2)
    assert found.value == pytest.approx(
        (1 - probability) * cooperative + probability * attacked.mean()
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), unit, unit, st.integers(0, 2**32 - 1), st.booleans())
def test_no_policy_of_time_and_state_beats_the_ex_ante_value(steps, p, share0, seed, coarse):
    prior = solver.one_adversary(p, share0)
    one = np.random.default_rng(seed).random((2, steps, 2))
    one = np.round(2 * one) / 2 if coarse else one
    cooperative, attacked = worst_returns(np.stack([1 - one, one], -1))
    value = prior[0] * cooperative + prior[1:3] @ attacked
    assert value <= solver.ex_ante(prior, steps).value + 1e-9


def test_the_best_of_all_coarse_policies_of_two_steps_is_the_ex_ante_value():
    """All tables of 0, 1/2 and 1, which hold an optimal one, up to renaming agent 0's actions."""
    prior = solver.one_adversary(0.4, 0.7)
    best = 0.0
    agent_0 = itertools.product((0.0, 0.5), repeat=4)
    agent_1 = itertools.product((0.0, 0.5, 1.0), repeat=4)
    for ones in itertools.product(agent_0, agent_1):
        one = np.array(ones).reshape(2, 2, 2)
        cooperative, attacked = worst_returns(np.stack([1 - one, one], -1))
        best = max(best, prior[0] * cooperative + prior[1:3] @ attacked)
    assert best == pytest.approx(solver.ex_ante(prior, 2).value)


def test_the_state_is_a_window_of_one_outcome():
    window = solver.outcome_window(100, 1)
    assert window == pytest.approx(solver.ex_ante(solver.one_adversary(0.5), 100).returns)
    longer = [solver.outcome_window(100, k).attacked for k in (1, 2, 3, 10)]
    assert longer == sorted(longer)
    assert longer[-1] < 49.5


# --- ex interim


def robust_returns(team, steps):
    """Returns of a strategy of the public history, exactly, by recursion over histories.

    `team(history)` gives each agent's probability of action 1. Returns those for nobody corrupted,
    agent 0 and agent 1 a worst-case adversary that knows the strategy; starts in state 0.
    """

    @cache
    def values(history, state):
        if len(history) == steps:
            return np.zeros(3)
        one = np.array(team(history))
        odds = np.stack([1 - one, one], -1)
        q = np.zeros((3, 2, 2))
        for first, second in JOINT:
            paid = int((first == second) == (state == 0))
            q[:, first, second] = paid + values((*history, (first, second)), paid)
        return np.array([odds[0] @ q[0] @ odds[1], (q[1] @ odds[1]).min(), (odds[0] @ q[2]).min()])

    return values((), 0)


def trust_until_deviation(history):
    """The strategy behind the lower bound: agent 0 plays 0, agent 1 what pays."""
    state = 0
    for first, second in history:
        if first != 0 or second != state:
            return 0.5, 0.5
        state = int((first == second) == (state == 0))
    return 0.0, float(state)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_trusting_until_a_deviation_loses_half_a_step(steps):
    found = robust_returns(trust_until_deviation, steps)
    assert found == pytest.approx([steps, (steps - 1) / 2, (steps - 1) / 2])


@pytest.mark.parametrize(("steps", "value"), [(1, 0.5), (2, 1.25), (3, 2.0), (100, 74.75)])
def test_ex_interim_values_by_hand(steps, value):
    """Half of T without an adversary, half of (T - 1) / 2 with one."""
    found = solver.ex_interim(solver.one_adversary(0.5), steps)
    assert found.exact
    assert found.lower == pytest.approx(value)


def probe_agent_0(history):
    """Agent 1 agrees with probability 3/4 first, and trusts agent 0 once that has conformed."""
    if not history:
        return 0.0, 0.25
    if any(first != 0 for first, _ in history):
        return 0.5, 0.5
    first, second = history[-1]
    return 0.0, float(first == second)  # two steps: the state after the first one


def test_one_suspect_is_better_probed_than_trusted_when_it_is_likely_bad():
    """Two steps, p = 0.6 on agent 0: trust 1.1, guard 1, agreeing with 3/4 first 1.15."""
    prior = solver.one_adversary(0.6, 1.0)
    found = solver.ex_interim(prior, 2)
    assert found.exact
    assert found.lower == pytest.approx(1.15)
    assert found.returns == pytest.approx((1.75, 0.75))
    assert robust_returns(probe_agent_0, 2)[:2] == pytest.approx(found.returns)
    nearly = solver.ex_interim(solver.one_adversary(0.6, 1 - 1e-9), 2)
    assert nearly.lower <= 1.15 <= nearly.upper


@settings(max_examples=60, deadline=None)
@given(unit, st.integers(1, 60))
def test_one_suspect_lies_within_the_bounds_of_two(p, steps):
    exact = solver.ex_interim(solver.one_adversary(p, 1.0), steps).lower
    bounds = solver.ex_interim(solver.one_adversary(p, 0.5), steps)
    assert bounds.lower - 1e-9 <= exact <= bounds.upper + 1e-9


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 3),
    unit,
    st.one_of(st.sampled_from([0.0, 1.0]), unit),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 2, 3]),
)
def test_no_strategy_of_the_history_beats_the_ex_interim_bound(steps, p, share0, seed, kind):
    """Random strategies, coarse ones, and small changes of the one that is optimal."""
    prior = solver.one_adversary(p, share0)
    rng = np.random.default_rng(seed)

    @cache
    def team(history):
        one = rng.random(2)
        if kind == 1:
            return tuple(np.round(2 * one) / 2)
        if kind == 2:
            return tuple(0.9 * np.array(trust_until_deviation(history)) + 0.1 * one)
        if kind == 3:
            return tuple(0.95 * np.array(probe_agent_0(history)) + 0.05 * one)
        return tuple(one)

    value = prior[:3] @ robust_returns(team, steps)
    assert value <= solver.ex_interim(prior, steps).upper + 1e-9


@settings(deadline=None)
@given(priors(), st.integers(1, 12))
def test_more_information_is_never_worth_less(prior, steps):
    interim = solver.ex_interim(prior, steps)
    both = prior[3]
    ladder = [
        (1 - both) * solver.known_adversary(steps).values[-1, 0],
        solver.frozen_prior(prior, steps),
        solver.ex_ante(prior, steps).value,
        interim.upper,
        solver.true_type(prior, steps),
        solver.cooperative(steps)[-1, 0],
    ]
    assert all(low <= high + 1e-9 for low, high in itertools.pairwise(ladder))
    assert ladder[0] <= interim.lower + 1e-9
    assert interim.lower <= interim.upper + 1e-9
    assert interim.exact or interim.upper - interim.lower <= 0.5
    assert interim.exact or (prior[0] < prior[1] + prior[2] and min(prior[1:3]) > 0)


@settings(max_examples=50, deadline=None)
@given(priors(), st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_a_look_at_what_they_do_never_lowers_the_ex_interim_value(prior, seed, steps):
    honest, rogue = np.random.default_rng(seed).random((2, 2))
    expected = 0.0
    for joint in JOINT:
        gave = [np.where(joint, one, 1 - one) for one in (honest, rogue)]
        seen = np.where(tables.TYPES == 1, gave[1], gave[0]).prod(-1) @ prior
        if seen > 0:
            expected += seen * solver.ex_interim(tables.update(prior, *gave), steps).lower
    assert expected >= solver.ex_interim(prior, steps).lower - 1e-9


def test_two_adversaries_leave_nothing():
    certain = [0, 0, 0, 1]
    assert solver.ex_interim(certain, 100).upper == 0
    assert solver.ex_ante(certain, 100).value == 0
    assert solver.independent(0.5, 0.2) == pytest.approx([0.4, 0.4, 0.1, 0.1])


# --- the world agrees


@pytest.mark.parametrize("adversary", [None, 0, 1])
def test_the_optimal_team_gets_its_value_in_the_world(adversary):
    """Trust until a deviation; the adversary deviates at once, and then nothing it does matters."""
    batch, rng = 512, np.random.default_rng(5)
    env = ToyEnv(batch, seed=9)
    alarm, total = np.zeros(batch, bool), np.zeros(batch)
    for _ in range(100):
        state = env.observation[:, 0, 0].astype(int)
        agreed = np.stack([np.zeros_like(state), state], -1)
        actions = np.where(alarm[:, None], rng.integers(0, 2, (batch, 2)), agreed)
        if adversary is not None:
            actions[:, adversary] = np.where(alarm, 0, 1 - agreed[:, adversary])
        alarm |= (actions != agreed).any(-1)
        total += env.step(actions).reward
    if adversary is None:
        assert (total == 100).all()
    else:
        # The mean of 512 sums of 99 fair coins; four standard errors
        assert abs(total.mean() - 49.5) < 4 * np.sqrt(99 / 4 / batch)


# --- the guide


def test_the_guide_shows_what_the_command_prints():
    guide = (share() / "docs/toy.md").read_text(encoding="utf-8")
    assert [line for line in report(0.5, 100) if line not in guide] == []


def test_the_command_refuses_what_is_no_probability(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["toy", "--prior", "2"])
    with pytest.raises(SystemExit):
        main()
    assert "expected a prior between 0 and 1" in capsys.readouterr().err

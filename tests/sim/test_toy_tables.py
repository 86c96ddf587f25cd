"""Values and posteriors of policy tables, against brute force over all histories."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.toy import tables
from sim.toy.solver import independent

STEPS = 3
TIMES = range(STEPS + 1)
HISTORIES = list(itertools.product(itertools.product((0, 1), (0, 1)), repeat=STEPS))
JOINT = list(itertools.product((0, 1), (0, 1)))

probabilities = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, width=32))


@st.composite
def policy_tables(draw, steps=STEPS):
    ones = draw(st.lists(probabilities, min_size=4 * steps, max_size=4 * steps))
    one = np.array(ones).reshape(2, steps, 2)
    return np.stack([1 - one, one], axis=-1)


@st.composite
def priors(draw):
    weights = np.array(draw(st.lists(st.integers(0, 9), min_size=4, max_size=4)), float)
    weights[draw(st.integers(0, 3))] += 1
    return weights / weights.sum()


def play(state, joint):
    """Reward and next state, written from the rules and not from the tables' arrays."""
    paid = (joint[0] == joint[1]) if state == 0 else (joint[0] != joint[1])
    return (1, 1) if paid else (0, 0)


def follow(kind, cooperative, adversary, state, history):
    """Probability of a history under one type, and its return."""
    chance, total = 1.0, 0
    for t, joint in enumerate(history):
        for agent in (0, 1):
            table = adversary if tables.TYPES[kind, agent] else cooperative
            chance *= table[agent, t, state, joint[agent]]
        reward, state = play(state, joint)
        total += reward
    return chance, total


@settings(max_examples=25, deadline=None)
@given(priors(), policy_tables(), policy_tables(), st.integers(0, 1))
def test_the_posterior_is_that_of_enumerated_histories(prior, cooperative, adversary, state):
    for history in HISTORIES:
        joint = np.array(
            [
                [
                    p * follow(k, cooperative, adversary, state, history[:length])[0]
                    for length in TIMES
                ]
                for k, p in enumerate(prior)
            ]
        ).T
        if joint[-1].sum() == 0:
            with pytest.raises(ValueError, match="probability 0"):
                tables.posterior(prior, cooperative, adversary, state, history)
        else:
            found = tables.posterior(prior, cooperative, adversary, state, history)
            assert found == pytest.approx(joint / joint.sum(-1, keepdims=True), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(policy_tables(), policy_tables(), st.integers(0, 1))
def test_values_are_those_of_enumerated_histories(cooperative, adversary, state):
    values = tables.evaluate(cooperative, adversary)
    for kind in range(4):
        runs = [follow(kind, cooperative, adversary, state, history) for history in HISTORIES]
        assert sum(chance for chance, _ in runs) == pytest.approx(1)
        assert values[kind, 0, state] == pytest.approx(sum(c * r for c, r in runs))


@settings(max_examples=25, deadline=None)
@given(policy_tables(steps=2))
def test_no_deterministic_adversary_is_worse_than_the_worst_case(cooperative):
    values, worst = tables.worst_case(cooperative)
    found = []
    for bits in itertools.product((0, 1), repeat=4):
        table = np.broadcast_to(np.eye(2)[list(bits)].reshape(2, 2, 2), (2, 2, 2, 2))
        found.append(tables.evaluate(cooperative, table)[1:3, 0])
    assert values[:, 0] == pytest.approx(np.min(found, axis=0))
    attained = tables.evaluate(cooperative, worst)
    assert values == pytest.approx(attained[1:3])


@settings(max_examples=25, deadline=None)
@given(priors(), policy_tables(), policy_tables(), st.integers(0, STEPS - 1))
def test_action_values_average_to_the_value_under_the_belief(belief, cooperative, adversary, t):
    for gamma in (1.0, 0.9):
        action_values = tables.harsanyi_bellman(belief, cooperative, adversary, t, gamma)
        values = tables.evaluate(cooperative, adversary, gamma)
        for state in (0, 1):
            total = 0.0
            for joint in JOINT:
                chance = 0.0
                for kind, p in enumerate(belief):
                    rows = [
                        (adversary if tables.TYPES[kind, i] else cooperative)[i, t, state, joint[i]]
                        for i in (0, 1)
                    ]
                    chance += p * rows[0] * rows[1]
                assert (chance > 0) == np.isfinite(action_values[(state, *joint)])
                total += chance * action_values[(state, *joint)] if chance else 0.0
            assert total == pytest.approx(belief @ values[:, t, state])


def test_bayes_rule_by_hand():
    """Trust that agent 1 breaks: 0.2 prior against actions of probability 1/4 and 1/2."""
    cooperative = np.full((2, 1, 2, 2), 0.5)
    cooperative[1, 0] = [0.75, 0.25]
    adversary = np.full((2, 1, 2, 2), 0.5)
    belief = tables.posterior([0.8, 0.0, 0.2, 0.0], cooperative, adversary, 0, [(0, 1)])
    assert belief[1] == pytest.approx([2 / 3, 0, 1 / 3, 0])
    assert tables.teammate_belief(belief[1]) == pytest.approx([1 / 3, 0])


def test_a_batch_of_beliefs_is_updated_as_each_alone():
    rng = np.random.default_rng(0)
    belief = rng.dirichlet(np.ones(4), 50)
    honest, rogue = rng.random((2, 50, 2))
    alone = [tables.update(*rows) for rows in zip(belief, honest, rogue, strict=True)]
    assert np.array_equal(tables.update(belief, honest, rogue), alone)


def test_an_agent_sure_to_be_an_adversary_has_no_cooperative_belief():
    assert np.isnan(tables.teammate_belief([0, 1, 0, 0])[0])
    assert tables.teammate_belief([0, 1, 0, 0])[1] == 1
    assert tables.teammate_belief(independent(0.3, 0.6)) == pytest.approx([0.6, 0.3])


@pytest.mark.parametrize("prior", [[0.5, 0.5], [0.5, 0.5, 0.5, 0], [1.5, -0.5, 0, 0], [np.nan] * 4])
def test_what_is_no_prior_is_refused(prior):
    table = np.full((2, 1, 2, 2), 0.5)
    with pytest.raises(ValueError, match="expected 4 probabilities"):
        tables.posterior(prior, table, table, 0, [])


def test_what_is_no_policy_table_is_refused():
    table = np.full((2, 1, 2, 2), 0.5)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 2\); expected"):
        tables.worst_case(table[0])
    with pytest.raises(ValueError, match="not probabilities"):
        tables.worst_case(table * 0.9)
    with pytest.raises(ValueError, match="expected as many"):
        tables.evaluate(table, np.full((2, 3, 2, 2), 0.5))
    with pytest.raises(ValueError, match="history has 2 steps"):
        tables.posterior([1, 0, 0, 0], table, table, 0, [(0, 0), (1, 1)])

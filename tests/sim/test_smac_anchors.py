"""Scripted players: who wins in the real game wins here, and one idle marine loses the battle."""

import numpy as np
import pytest

from sim.smac.env import SmacEnv
from sim.smac.scripted import focus_fire, idle, nearest_fire, random_play


def play(policy, batch, **options):
    """Returns and wins of the first episode of each game."""
    env = SmacEnv(batch, 5, **options)
    total, won, going = np.zeros(batch), np.zeros(batch, bool), np.ones(batch, bool)
    while going.any():
        step = env.step(policy(env))
        total += step.reward * going
        won |= going & step.info["battle_won"]
        going &= ~(step.terminated | step.truncated)
    return total, won


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(3)


def test_focus_fire_by_four_always_wins_and_a_win_sums_to_twenty():
    total, won = play(focus_fire, 4096)
    assert won.all()
    assert total == pytest.approx(np.full(4096, 20.0), abs=1e-4)


def test_random_play_never_wins(rng):
    total, won = play(lambda env: random_play(env, rng), 8192)
    assert won.sum() <= 1  # 1 or 2 of 65,536 in the long run
    assert 2.3 < total.mean() < 2.6


@pytest.mark.parametrize("lazy", range(4))
def test_one_idle_marine_loses_the_battle_of_three_naive_ones(lazy):
    def policy(env):
        actions = nearest_fire(env)
        actions[:, lazy] = idle(env)[:, lazy]
        return actions

    total, won = play(policy, 2048)
    assert won.mean() <= 0.001
    assert total.mean() < 7.5


def test_four_naive_marines_win_nearly_always():
    assert play(nearest_fire, 2048)[1].mean() > 0.97


def test_the_signed_reward_takes_off_own_losses_and_defeat():
    total, _ = play(idle, 16, signed_reward=True)
    worst = -(0.5 * 4 * (45 + 10) + 200) * 20 / 365
    assert total == pytest.approx(np.full(16, worst), abs=1e-4)
    assert play(idle, 16)[0] == pytest.approx(np.zeros(16))

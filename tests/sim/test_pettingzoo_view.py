"""PettingZoo's own checks of the `ParallelEnv` view."""

import numpy as np
from pettingzoo.test import parallel_api_test, parallel_seed_test

import sim


def test_pettingzoo_accepts_the_parallel_env():
    parallel_api_test(sim.parallel_env("swarm-coverage"), num_cycles=200)


def test_pettingzoo_finds_the_seed_respected():
    parallel_seed_test(lambda: sim.parallel_env("swarm-coverage"), num_cycles=50)


def test_the_view_shows_the_batched_environment_of_the_same_seed():
    view, batch = sim.parallel_env("swarm-coverage"), sim.make("swarm-coverage", 1, 0)
    seen, _ = view.reset(seed=5)
    observation = batch.reset(5)
    for action in range(12):
        assert np.array_equal(np.stack(list(seen.values())), observation[0])
        seen, rewards, *_ = view.step(dict.fromkeys(view.agents, action))
        observation, reward, *_ = batch.step(np.full((1, 4), action))
        assert set(rewards.values()) == {float(reward[0])}

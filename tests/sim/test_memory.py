"""Compiled worlds: a step allocates nothing, neither in Python nor in compiled code."""

import tracemalloc

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import sim
from sim.batched import BatchedEnv

WORLDS = ["toy", "lbf-12x12-4p-3f-c", "smac-4m_vs_3m"]
BATCH = 2048


def legal(env: BatchedEnv, rng: np.random.Generator) -> np.ndarray:
    """Random legal actions, (B, N)."""
    return (rng.random(env.available_actions.shape) * env.available_actions).argmax(-1)


@pytest.mark.parametrize("name", WORLDS)
def test_a_step_takes_no_new_memory_and_returns_the_same_arrays(name):
    env, rng = sim.make(name, BATCH, 0), np.random.default_rng(0)
    first = env.step(legal(env, rng))
    addresses = [array.ctypes.data for array in (*first[:4], *first.info.values())]

    def most_in_a_step(steps: int) -> int:
        """Bytes that a step had taken at its peak."""
        most = 0
        for _ in range(steps):
            actions = legal(env, rng)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            assert env.step(actions) is first
            most = max(most, tracemalloc.get_traced_memory()[1] - before)
        return most

    tracemalloc.start()
    try:
        most_in_a_step(150)  # until numbers and tuples of Python have found their places
        kept = tracemalloc.get_traced_memory()[0]
        most = most_in_a_step(120)  # longer than an episode: games end and start again
        grown = tracemalloc.get_traced_memory()[0] - kept
    finally:
        tracemalloc.stop()
    assert [array.ctypes.data for array in (*first[:4], *first.info.values())] == addresses
    # The smallest array has BATCH bytes. Python's own numbers and tuples come and go in packs.
    assert most < BATCH
    assert grown < 8 * BATCH


@pytest.mark.parametrize("name", WORLDS)
def test_compiled_code_allocates_nothing_for_a_game(name):
    """One header is counted for each array that is handed over, however many games there are."""

    def headers(batch: int) -> int:
        env, rng = sim.make(name, batch, 0), np.random.default_rng(0)
        env.step(legal(env, rng))
        before = rtsys.get_allocation_stats().alloc
        for _ in range(150):
            env.step(legal(env, rng))
        return int(rtsys.get_allocation_stats().alloc - before)

    _nrt_python.memsys_enable_stats()
    try:
        assert headers(1) == headers(64) > 0
    finally:
        _nrt_python.memsys_disable_stats()

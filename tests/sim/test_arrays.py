"""Arrays are made once: whoever holds one sees every step in it, and compiled steps make none."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import sim
from sim.batched import BatchedEnv

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
#: Worlds whose episodes end within a few steps.
WORLDS: dict[str, dict[str, Any]] = {
    "toy": {"episode_steps": 3},
    "lbf-6x6-3p-2f": {"episode_limit": 3},
    "smac-2s3z": {"episode_limit": 3},
    "mpe-simple_spread": {"episode_steps": 3},
    "mpe-simple_tag": {"episode_steps": 3, "workers": 1},
    "mpe-simple_reference": {"episode_steps": 3, "continuous": True},
    "swarm-coverage": {"episode_decisions": 3},
    "swarm-rendezvous": {"episode_decisions": 3},
    "swarm-pursuit": {"episode_decisions": 3},
    "swarm-transport": {"episode_decisions": 3, "world": {"body": "wheels"}},
    "meeting:MeetingEnv": {"episode_steps": 3},
}
COMPILED = ("toy", "lbf-6x6-3p-2f", "smac-2s3z", "meeting:MeetingEnv")


@pytest.fixture(autouse=True)
def _examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


def make(name: str, batch: int) -> BatchedEnv:
    if name.startswith("mpe"):
        pytest.importorskip("mpe2")
    return sim.make(name, batch, 0, **WORLDS[name])


def legal(env: BatchedEnv) -> np.ndarray:
    if env.action_size:
        return np.zeros((env.batch, env.num_agents, env.action_size), np.float32)
    return env.available_actions.argmax(-1)


def handed_out(env: BatchedEnv) -> dict[str, np.ndarray]:
    names = "observation", "state", "available_actions", "reward", "terminated", "truncated"
    found = {name: getattr(env, name) for name in names}
    if hasattr(env, "team_state"):
        found["team_state"] = env.team_state
    return {**found, **env.info}


def place(array: np.ndarray) -> tuple[int, int]:
    return id(array), array.__array_interface__["data"][0]


@pytest.mark.parametrize("name", WORLDS)
def test_an_array_that_is_kept_goes_stale(name: str) -> None:
    env = make(name, 2)
    places = {key: place(array) for key, array in handed_out(env).items()}
    assert all(isinstance(array, np.ndarray) for array in handed_out(env).values())
    ends = 0
    for _ in range(7):
        result = env.step(legal(env))
        ends += int((result.terminated | result.truncated).sum())
        found = {**handed_out(env), **result._asdict(), **result.info}
        del found["info"]
        assert {key: place(array) for key, array in found.items()} == places
    assert ends, "an episode's end is part of the promise"
    assert place(env.reset()) == place(env.reset(1)) == places["observation"]
    assert {key: place(array) for key, array in handed_out(env).items()} == places
    env.close()


LIMITED = {"range_m": 1.5, "occlusion": True, "dropout": 0.1}
BROKEN = {
    "kinds": dict.fromkeys(("stop", "stuck", "drift", "random_walk", "wear", "mute"), 1),
    "probability": 1.0,
}


@pytest.mark.parametrize("body", ["planar", "wheels"])
@pytest.mark.parametrize("task", ["coverage", "rendezvous", "pursuit", "transport"])
def test_a_step_of_the_swarm_makes_arrays(task: str, body: str) -> None:
    """The peak of a step is some numbers of Python, however many arenas there are."""
    world = {"sensing": LIMITED, "body": body}

    def peak(batch: int) -> int:
        env = sim.make(f"swarm-{task}", batch, 0, world=world, faults=BROKEN, episode_decisions=4)
        rng, most = np.random.default_rng(0), 0
        for step in range(20):
            actions = rng.integers(0, env.num_actions, (batch, env.num_agents))
            if step == 8:  # two episodes have ended
                tracemalloc.start()
            if step >= 8:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                env.step(actions)
                most = max(most, tracemalloc.get_traced_memory()[1] - before)
            else:
                env.step(actions)
        tracemalloc.stop()
        env.close()
        return most

    few, many = (2, 40) if body == "planar" else (1, 4)
    least, most = peak(few), peak(many)
    # the smallest array of them would have a byte for each robot: 4 more for each arena
    assert most < 8000
    assert most - least < (500 if body == "planar" else 800)


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_step_makes_arrays_for_each_environment(name: str) -> None:
    def costs(batch: int) -> tuple[int, int]:
        """Allocations of compiled code, and the peak of NumPy's and Python's [bytes]."""
        env = make(name, batch)
        for _ in range(4):
            env.step(legal(env))
        actions = legal(env)
        before = rtsys.get_allocation_stats().alloc
        tracemalloc.start()
        env.step(actions)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return rtsys.get_allocation_stats().alloc - before, peak

    _nrt_python.memsys_enable_stats()
    few, many = costs(2), costs(400)
    _nrt_python.memsys_disable_stats()
    assert few[0] == many[0]
    # not a byte for each environment
    assert abs(many[1] - few[1]) < 400

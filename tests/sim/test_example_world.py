"""The world of docs/environments.md does what the page says a world must do."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import sim
from eir_ros.contract.errors import EirError

ROOT = Path(__file__).resolve().parents[2]
NAME = "meeting:MeetingEnv"


@pytest.fixture(autouse=True)
def _example_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples"))


def roll(batch: int, seed: int = 3, steps: int = 80) -> list[tuple[np.ndarray, ...]]:
    """The first two environments of a batch, step by step."""
    env = sim.make(NAME, batch=batch, seed=seed, cells=5)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(steps):
        actions = np.resize(rng.integers(0, 3, (2, 3)), (batch, 3))
        step = env.step(actions)
        found.append(tuple(part[:2].copy() for part in step[:4]))
    return found


def test_an_environment_does_not_depend_on_its_batch():
    for a, b in zip(roll(2), roll(64), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert any((a[0] != b[0]).any() for a, b in zip(roll(2), roll(2, seed=4), strict=True))


def test_agents_that_meet_end_the_episode_and_the_next_one_starts_at_once():
    env = sim.make(NAME, num_agents=2, cells=4)
    env._place[:] = (1, 2)
    step = env.step(np.array([[1, 0]]))
    assert step.terminated[0]
    assert not step.truncated[0]
    assert step.reward[0] == 0
    assert (step.info["final_observation"] == 0).all()
    assert env._steps[0] == 0


def test_time_truncates_and_never_terminates():
    env = sim.make(NAME, num_agents=2, cells=4, episode_steps=3)
    env._place[:] = (0, 2)
    for k in range(3):
        step = env.step(np.zeros((1, 2), int))
        assert step.truncated[0] == (k == 2)
    assert not step.terminated[0]
    assert step.reward[0] == -1


def test_it_is_in_every_other_face_at_once():
    parallel_api_test(sim.parallel_env(NAME), num_cycles=40)
    parallel_seed_test(lambda: sim.parallel_env(NAME), num_cycles=40)
    assert sim.options_of(NAME) == {"num_agents": 3, "cells": 12, "episode_steps": 30}
    with pytest.raises(EirError, match="cells is 1; expected at least 2"):
        sim.make(NAME, cells=1)


PAGE = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_code_of_the_page_runs(code, tmp_path):
    pytest.importorskip("mpe2")
    script = tmp_path / "script.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_knows_every_name():
    for name in sim.names():
        kind, _, rest = name.partition("-")
        assert name in PAGE or (kind in PAGE and f"`-{rest}`" in PAGE), name


def test_the_commands_of_the_page_run(tmp_path):
    command = next(line for line in PAGE.splitlines() if "eir play meeting:MeetingEnv" in line)
    words = command.split()
    assert words[0] == "PYTHONPATH=docs/examples"
    out = tmp_path / "meeting.gif"
    arguments = [str(out) if word.endswith(".gif") else word for word in words[2:]]
    places = f"{ROOT}:{ROOT / 'docs' / 'examples'}"
    done = subprocess.run(
        [sys.executable, "-m", "eir_ros.cli.main", *arguments],
        env={"PYTHONPATH": places, "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 1000

"""Pictures of an episode: the last one shows its end, and looking at it changes nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import odd_worlds
import pytest

import sim
from sim.batched import BatchedEnv
from sim.episode import random_decisions, record
from sim.scene import Disc, Scene

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
#: Worlds with short episodes.
WORLDS: dict[str, dict[str, Any]] = {
    "toy": {"episode_steps": 5},
    "lbf-6x6-3p-2f": {"episode_limit": 6},
    "smac-4m_vs_3m": {"episode_limit": 7},
    "mpe-simple_spread": {"episode_steps": 5},
    "mpe-simple_tag": {"episode_steps": 5, "workers": 1},
    "mpe-simple_reference": {"episode_steps": 5},
    "swarm-coverage": {"episode_decisions": 4},
    "swarm-rendezvous": {"episode_decisions": 4},
    "swarm-pursuit": {"episode_decisions": 4},
    "swarm-transport": {"episode_decisions": 4},
    "meeting:MeetingEnv": {"episode_steps": 6, "cells": 5},
}


@pytest.fixture(autouse=True)
def _examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)


def play(env: BatchedEnv, seed: int) -> tuple[float, int]:
    """Play at random until the first environment ends; its return and its steps."""
    observation, total, steps = env.reset(seed), 0.0, 0
    decide = random_decisions(env, seed)
    while True:
        actions, _ = decide(observation[0], env.available_actions[0])
        observation, reward, terminated, truncated, _ = env.step(actions[None])
        total, steps = total + float(reward[0]), steps + 1
        if terminated[0] or truncated[0]:
            return total, steps


@pytest.mark.parametrize("name", WORLDS)
def test_an_end_that_is_held_is_the_one_that_would_have_been_left(name: str) -> None:
    if name.startswith("mpe"):
        pytest.importorskip("mpe2")
    held, left = (sim.make(name, 1, 3, **WORLDS[name]) for _ in range(2))
    held.hold = True
    assert play(held, 5) == play(left, 5)
    for key in ("final_observation", "final_state"):
        np.testing.assert_array_equal(held.info[key], left.info[key])
    end, start = held.scene(0), left.scene(0)
    assert end != start
    held.reset()
    assert held.scene(0).items == start.items, "what was held must not change what follows"
    np.testing.assert_array_equal(held.observation, left.observation)
    held.close()
    left.close()


@pytest.mark.parametrize("name", WORLDS)
def test_the_last_frame_is_the_end_and_says_what_the_episode_paid(name: str) -> None:
    if name.startswith("mpe"):
        pytest.importorskip("mpe2")
    env = sim.make(name, 1, 3, **WORLDS[name])
    total, steps = play(env, 5)
    frames = record(env, env.reset(5), random_decisions(env, 5))
    assert len(frames) == steps + 1
    assert frames[0].scene.captions[-1] == "return 0.0"
    assert frames[-1].scene.captions[-1].endswith(f"after {steps} steps, return {total:.1f}")
    assert frames[-1].scene.items == env.scene(0).items
    env.close()


def test_the_swarm_s_last_frame_tells_the_last_moment_and_reward() -> None:
    env = sim.make("swarm-coverage", 1, 3, episode_decisions=4)
    frames = record(env, env.reset(5), random_decisions(env, 5))
    assert [frame.scene.captions[0] for frame in frames] == [
        "0.0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s"
    ]  # fmt: skip
    assert frames[0].scene.captions[1] == "reward 0.00"
    assert frames[-1].scene.captions[1] == f"reward {env.reward[0]:.2f}"
    # not that of the episode before
    env.reset()
    assert env.scene(0).captions[1] == "reward 0.00"


def test_so_many_steps_are_so_many_frames_after_the_start() -> None:
    env = sim.make("swarm-coverage", 1, 3)
    frames = record(env, env.reset(5), random_decisions(env, 5), steps=3)
    assert len(frames) == 4
    assert frames[-1].scene.captions[0] == "0.6 s"
    assert frames[-1].scene.captions[-1].startswith("return")


def test_a_world_that_cannot_hold_shows_what_is_known_and_says_so() -> None:
    class Countdown(BatchedEnv):
        """Terminates after two steps, and knows nothing of `hold`."""

        name = "countdown"

        def __init__(self) -> None:
            super().__init__(1, 1, 1, 1, num_actions=1)
            self.left = 2

        def _reset(self, seed: Any) -> None:
            self.left = 2

        def _advance(self, actions: Any) -> None:
            self.left -= 1
            self.reward[:] = 1.0
            self.terminated[:] = self.left == 0
            self.left = self.left or 2

        def scene(self, index: int = 0) -> Scene:
            return Scene((0, 0, 1, 1), [Disc((0.5, 0.5), 0.1, label=str(self.left))])

    env = Countdown()
    frames = record(env, env.reset(), random_decisions(env, 0))
    assert [frame.scene.items[0].label for frame in frames] == ["2", "1", "1"]
    assert frames[1].scene.captions[-1] == "return 1.0"
    assert frames[2].scene.captions == ("one step later: ended after 2 steps, return 2.0",)


@pytest.mark.parametrize("workers", [0, 1])
def test_anybody_s_world_is_seen_at_its_end(workers: int) -> None:
    def draw(env: odd_worlds.Relay) -> Scene:
        return Scene((0, 0, 1, 1), [Disc((0, 0), 0.1, label=str(env._step))])

    env = sim.wrap(odd_worlds.Relay, workers=workers, scene=draw)
    frames = record(env, env.reset(0), random_decisions(env, 0))
    assert [frame.scene.items[0].label for frame in frames] == [str(k) for k in range(len(frames))]
    assert len(frames) > 2
    env.close()

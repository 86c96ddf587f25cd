"""PettingZoo's view of any world, by PettingZoo's own checks and against the batch it shows."""

import numpy as np
import odd_worlds
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import sim
from eir_ros.contract.errors import EirError
from sim.parallel import ParallelView

MPE = ["mpe-simple_spread", "mpe-simple_tag", "mpe-simple_reference"]


@pytest.mark.parametrize("name", MPE)
@pytest.mark.parametrize("continuous", [False, True])
def test_pettingzoo_accepts_the_view_and_finds_the_seed_respected(name, continuous):
    pytest.importorskip("mpe2")
    parallel_api_test(sim.parallel_env(name, continuous=continuous), num_cycles=40)
    parallel_seed_test(lambda: sim.parallel_env(name, continuous=continuous), num_cycles=30)


def view_of(world: type, illegal: str = "refuse") -> ParallelView:
    return ParallelView(sim.wrap(world, workers=0), illegal)


@pytest.mark.parametrize("world", [odd_worlds.Relay, odd_worlds.Noisy])
def test_tools_that_know_no_masks_can_have_illegal_actions_replaced(world):
    parallel_api_test(view_of(world, "replace"), num_cycles=30)
    parallel_seed_test(lambda: view_of(world, "replace"), num_cycles=30)


def test_the_view_shows_the_batched_environment_of_the_same_seed():
    pytest.importorskip("mpe2")
    view, batch = sim.parallel_env("mpe-simple_spread"), sim.make("mpe-simple_spread")
    seen, _ = view.reset(seed=5)
    observation = batch.reset(5)
    for action in range(5):
        assert np.array_equal(np.stack(list(seen.values())), observation[0])
        assert np.array_equal(view.state(), batch.state[0])
        seen, rewards, *_ = view.step(dict.fromkeys(view.agents, action))
        observation, reward, *_ = batch.step(np.full((1, 3), action))
        assert set(rewards.values()) == {float(reward[0])}


def test_masks_are_in_the_infos_as_spaces_sample_them():
    view = view_of(odd_worlds.Relay)
    _, infos = view.reset(seed=0)
    assert infos["short"]["action_mask"].tolist() == [1, 1, 0]
    assert view.action_space("short").sample(infos["short"]["action_mask"]) < 2


def test_an_illegal_action_is_refused_or_replaced_and_told_never_passed_on():
    view = view_of(odd_worlds.Relay)
    view.reset(seed=0)
    with pytest.raises(ValueError, match="action 2 of agent 0"):
        view.step({"short": 2, "long": 0})
    assert view.step({"short": 1, "long": 0})[0]["long"][0] == 1  # nothing had moved

    view = view_of(odd_worlds.Relay, "replace")
    view.reset(seed=0)
    seen, *_, infos = view.step({"short": 2, "long": 0})
    assert infos["short"]["replaced_action"] == 2
    assert "replaced_action" not in infos["long"]
    assert seen["short"].tolist()[:2] == [1, 0]
    with pytest.raises(ValueError, match="action 3"):
        view.step({"short": 0, "long": 3})


@pytest.mark.parametrize(
    ("actions", "sentence"),
    [
        ({"short": 0}, "actions are for short; expected one for each of short, long"),
        ({"short": 0, "long": 0, "tall": 0}, "for short, long, tall; expected one"),
        ({}, "actions are for nobody; expected one"),
        (None, "actions are for None; expected one"),
        ([0, 0], "actions are for .*; expected one"),
        ({"short": "up", "long": 0}, "expected integers"),
        ({"short": float("nan"), "long": 0}, "expected integers"),
    ],
)
def test_actions_of_the_wrong_agents_or_kind_move_something(actions, sentence):
    view = view_of(odd_worlds.Relay)
    with pytest.raises(ValueError, match="expected reset to be called first"):
        view.step({"short": 0, "long": 0})
    view.reset(seed=0)
    with pytest.raises(ValueError, match=sentence):
        view.step(actions)
    assert view.step({"short": 1, "long": 0})[0]["long"][0] == 1


def test_the_end_shows_what_the_episode_ended_with_not_the_next_ones_start():
    view = view_of(odd_worlds.Relay, "replace")
    view.reset(seed=0)
    for _ in range(3):
        view.step({"short": 0, "long": 1})
    seen, _, terminated, truncated, infos = view.step({"short": 0, "long": 1})
    assert seen["long"].tolist() == [4, 1, 1, 1]
    assert truncated == {"short": True, "long": True}
    assert not any(terminated.values())
    assert view.agents == []
    assert infos["long"]["action_mask"].tolist() == [0, 0, 0]
    assert view.state()[0].tolist() == [0, 0, 0, 0, 4, 1, 1, 1]
    assert view.reset()[0]["long"].tolist() == [0, 1, 1, 1]
    assert view.state()[0].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_observations_outlive_the_next_step():
    view = view_of(odd_worlds.Relay)
    seen, _ = view.reset(seed=0)
    view.step({"short": 0, "long": 0})
    assert seen["long"][0] == 0


def test_the_view_renders_pixels():
    pytest.importorskip("mpe2")
    picture = sim.parallel_env("mpe-simple_tag").render()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.std() > 10


def test_a_batch_or_a_word_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="batch is 2; expected 1"):
        ParallelView(sim.wrap(odd_worlds.Relay, batch=2, workers=0))
    with pytest.raises(ValueError, match="one of refuse, replace"):
        view_of(odd_worlds.Relay, "ignore")
    with pytest.raises(EirError, match="one of refuse, replace"):
        sim.parallel_env("mpe-simple_tag", illegal="ignore")
    for name in ("mpe-simple_tag", "swarm-coverage"):
        with pytest.raises(EirError, match="leave out 'batch'"):
            sim.parallel_env(name, batch=2)

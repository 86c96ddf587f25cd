"""The toy matrix game: its pay-offs, its clock, and what must not depend on the batch."""

import numpy as np
import pytest

from sim.scene import Disc, Line
from sim.toy.env import ToyEnv

FEATURES = ["state", "own index", "last state", "last action 0", "last action 1"]


def play(env: ToyEnv, first: int, second: int) -> float:
    return float(env.step(np.array([[first, second]])).reward[0])


@pytest.mark.parametrize(
    ("state", "actions", "reward", "after"),
    [
        (0, (0, 0), 1, 1),
        (0, (1, 1), 1, 1),
        (0, (0, 1), 0, 0),
        (0, (1, 0), 0, 0),
        (1, (0, 1), 1, 1),
        (1, (1, 0), 1, 1),
        (1, (0, 0), 0, 0),
        (1, (1, 1), 0, 0),
    ],
)
def test_each_cell_pays_and_leads_where_the_rules_say(state, actions, reward, after):
    env = ToyEnv(start_state=state)
    assert env.observation[0, 0, 0] == state
    assert play(env, *actions) == reward
    assert env.observation[0].tolist() == [[after, i, state, *actions] for i in (0, 1)]
    assert env.state[0].tolist() == env.observation[0].tolist()


def test_the_first_step_shows_that_nothing_was_played_yet():
    env = ToyEnv(start_state=1)
    assert env.observation[0].tolist() == [[1, 0, -1, -1, -1], [1, 1, -1, -1, -1]]


def test_time_running_out_is_not_taken_for_an_end():
    env = ToyEnv(batch=3, episode_steps=4)
    ends = []
    for _ in range(8):
        step = env.step(np.zeros((3, 2), int))
        assert not step.terminated.any()
        ends.append(step.truncated.copy())
    assert np.array_equal(ends, np.tile([[False], [False], [False], [True]] * 2, (1, 3)))


def test_the_last_observation_survives_the_automatic_reset():
    env = ToyEnv(episode_steps=2, start_state=0)
    play(env, 0, 0)
    step = env.step(np.array([[1, 0]]))
    assert step.truncated[0]
    assert step.info["final_observation"][0].tolist() == [[1, 0, 1, 1, 0], [1, 1, 1, 1, 0]]
    assert step.info["final_state"][0].tolist() == step.info["final_observation"][0].tolist()
    assert step.observation[0].tolist() == [[0, 0, -1, -1, -1], [0, 1, -1, -1, -1]]


def test_start_states_are_uniform_and_new_in_each_episode():
    env = ToyEnv(batch=4096, seed=3, episode_steps=1)
    first = env.observation[:, 0, 0].copy()
    second = env.step(np.zeros((4096, 2), int)).observation[:, 0, 0]
    assert abs(first.mean() - 0.5) < 0.03
    assert abs((first == second).mean() - 0.5) < 0.03


@pytest.mark.parametrize("batch", [1, 64, 1024])
def test_a_game_does_not_depend_on_its_neighbours(batch):
    actions = np.random.default_rng(0).integers(0, 2, (250, 1024, 2))
    few, many = ToyEnv(batch, seed=7), ToyEnv(1024, seed=7)
    for joint in actions:
        small, large = few.step(joint[:batch]), many.step(joint)
        assert np.array_equal(small.observation, large.observation[:batch])
        assert np.array_equal(small.reward, large.reward[:batch])
        assert np.array_equal(small.truncated, large.truncated[:batch])


def test_a_seed_repeats_the_start_states_and_another_does_not():
    env = ToyEnv(64, seed=1)
    first = env.observation.copy()
    assert np.array_equal(env.reset(1), first)
    assert not np.array_equal(env.reset(2), first)


def test_nothing_is_allocated_anew_by_a_step():
    env = ToyEnv(8)
    before = env.step(np.zeros((8, 2), int))
    after = env.step(np.ones((8, 2), int))
    assert all(x is y for x, y in zip(before, after, strict=True))
    assert after.observation is env.observation


@pytest.mark.parametrize(
    "actions",
    [
        np.array([[0, 2]]),
        np.array([[-1, 0]]),
        np.array([[0.0, 1.0]]),
        np.array([[0.0, np.nan]]),
        np.array([0, 1]),
        np.zeros((2, 2), int),
    ],
)
def test_a_wrong_action_moves_nothing_and_the_game_goes_on(actions):
    env = ToyEnv(start_state=0)
    before = env.observation.copy()
    with pytest.raises(ValueError, match="expected"):
        env.step(actions)
    assert np.array_equal(env.observation, before)
    assert play(env, 1, 1) == 1


@pytest.mark.parametrize("options", [{"batch": 0}, {"episode_steps": 0}, {"start_state": 2}])
def test_an_option_out_of_range_is_named(options):
    (name, value) = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name} is {value}; expected"):
        ToyEnv(**options)


def test_belief_slots_stay_empty_and_change_nothing_else():
    plain, slots = ToyEnv(16, seed=5), ToyEnv(16, seed=5, belief_slots=True)
    for actions in np.random.default_rng(1).integers(0, 2, (120, 16, 2)):
        plain.step(actions)
        slots.step(actions)
        assert np.array_equal(slots.observation[..., : len(FEATURES)], plain.observation)
        assert not slots.observation[..., len(FEATURES) :].any()
    assert slots.state.shape == plain.state.shape == (16, 2, len(FEATURES))


def test_the_scene_shows_the_state_and_the_last_actions():
    env = ToyEnv(start_state=0)
    assert not any(isinstance(item, Disc) for item in env.scene().items)
    play(env, 1, 1)
    scene = env.scene()
    discs = {item.label: item.centre for item in scene.items if isinstance(item, Disc)}
    assert discs == {"0": (-0.5, 0.5), "1": (1.5, 2.5)}
    frame = next(item for item in scene.items if isinstance(item, Line))
    assert min(x for x, _ in frame.points) == 4.0
    assert scene.captions == ("step 1 of 100", "state 1 (framed)", "last played 1, 1")

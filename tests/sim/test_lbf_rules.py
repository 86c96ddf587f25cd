"""Foraging: contested cells, shared food, masks, ends, and what must not depend on the batch."""

import numpy as np
import pytest

import sim
from eir_ros.contract.errors import EirError
from sim.lbf.env import LbfEnv
from sim.scene import Box, Disc

NONE, NORTH, SOUTH, WEST, EAST, LOAD = range(6)


def field(*foods: tuple[int, int, int]) -> np.ndarray:
    """A 12 x 12 grid with foods (row, column, level)."""
    grid = np.zeros((12, 12), int)
    for row, col, level in foods:
        grid[row, col] = level
    return grid


def forage(positions, levels, foods, variant="upstream", step=0, **options) -> LbfEnv:
    """One environment in the given state."""
    env = LbfEnv(players=len(positions), variant=variant, **options)
    env.set_state(0, positions, levels, field(*foods), step)
    return env


def places(env: LbfEnv) -> list[list[int]]:
    """Where the agents are, by their own states."""
    return env.state[0, :, 9:11].astype(int).tolist()


def random_actions(env: LbfEnv, rng: np.random.Generator) -> np.ndarray:
    """Available actions drawn uniformly, environment by environment."""
    return np.where(env.available_actions, rng.random(env.available_actions.shape), -1).argmax(-1)


@pytest.mark.parametrize(
    ("variant", "positions", "actions", "expected"),
    [
        # one cell, two comers
        ("upstream", [[2, 2], [2, 4]], [EAST, WEST], [[2, 2], [2, 4]]),
        ("paper", [[2, 2], [2, 4]], [EAST, WEST], [[2, 3], [2, 4]]),
        # somebody stays there
        ("upstream", [[2, 2], [2, 3]], [EAST, NONE], [[2, 2], [2, 3]]),
        ("paper", [[2, 2], [2, 3]], [EAST, NONE], [[2, 3], [2, 3]]),
        ("paper", [[2, 3], [2, 2]], [NONE, EAST], [[2, 3], [2, 2]]),
        # a swap, and a cell just being left
        ("upstream", [[2, 2], [2, 3]], [EAST, WEST], [[2, 3], [2, 2]]),
        ("upstream", [[2, 2], [2, 3]], [EAST, SOUTH], [[2, 3], [3, 3]]),
        # its owner fails to leave
        (
            "upstream",
            [[2, 2], [2, 3], [4, 3]],
            [EAST, SOUTH, NORTH],
            [[2, 3], [2, 3], [4, 3]],
        ),
    ],
)
def test_contested_cells(variant, positions, actions, expected):
    env = forage(positions, [1] * len(positions), [(9, 9, 2)], variant)
    env.step(np.array([actions]))
    assert places(env) == expected


def test_a_food_too_heavy_stays_and_costs_the_penalty():
    env = forage([[4, 5], [6, 5], [0, 0]], [1, 1, 2], [(5, 5, 3)], penalty=0.25)
    step = env.step(np.array([[LOAD, LOAD, NONE]]))
    assert step.reward[0] == -0.5
    assert step.info["agent_reward"][0].tolist() == [-0.25, -0.25, 0.0]
    assert env.state[0, 0, :3].tolist() == [5, 5, 3]
    assert not step.terminated[0]


def test_who_stands_by_without_loading_neither_helps_nor_earns():
    env = forage([[4, 5], [6, 5], [5, 6]], [2, 1, 1], [(5, 5, 3), (9, 9, 3)])
    step = env.step(np.array([[LOAD, NONE, NONE]]))
    assert step.reward[0] == 0
    step = env.step(np.array([[LOAD, LOAD, NONE]]))
    assert step.reward[0] == pytest.approx(0.5)
    assert step.info["agent_reward"][0] == pytest.approx([1 / 3, 1 / 6, 0])
    assert env.state[0, 0, :3].tolist() == [-1, -1, 0]
    assert env.state[0, 0, -4] == pytest.approx(0.5)  # share of the food that is left


def test_loading_everything_terminates_and_pays_one_in_all():
    env = forage([[4, 5], [8, 9]], [2, 2], [(5, 5, 2), (9, 9, 2)])
    step = env.step(np.array([[LOAD, LOAD]]))
    assert step.reward[0] == 1
    assert step.terminated[0]
    assert not step.truncated[0]
    assert step.info["final_observation"][0, 0, :9].tolist() == [-1, -1, 0] * 3
    assert (env.observation[0, 0, :9] > 0).all()  # the next episode has begun


def test_the_time_limit_truncates_and_keeps_what_the_episode_ended_with():
    env = forage([[4, 5], [0, 0]], [1, 1], [(5, 5, 2)], step=48)
    assert not env.step(np.array([[NONE, EAST]])).truncated[0]
    step = env.step(np.array([[NONE, EAST]]))
    assert step.truncated[0]
    assert not step.terminated[0]
    assert step.info["final_state"][0, 1, 9:12].tolist() == [0, 2, 1]
    assert step.info["final_state"][0, 0, -4:-2].tolist() == [1, 1]
    assert env.state[0, 0, -4] == 0  # time starts again


def test_the_last_food_at_the_last_step_terminates_only():
    env = forage([[4, 5], [0, 0]], [2, 1], [(5, 5, 2)], step=49)
    step = env.step(np.array([[LOAD, NONE]]))
    assert (step.terminated[0], step.truncated[0]) == (True, False)


def test_masks_forbid_walls_and_foods_and_loading_nothing():
    env = forage([[0, 0], [4, 5], [11, 11]], [1, 1, 1], [(5, 5, 2)])
    assert env.available_actions[0].tolist() == [
        [True, False, True, False, True, False],
        [True, True, False, True, True, True],
        [True, True, False, True, False, False],
    ]


def test_the_state_knows_what_lies_out_of_sight():
    env = forage([[0, 0], [9, 8]], [1, 3], [(9, 9, 2)], sight=2)
    assert env.observation[0, 0].tolist() == [-1, -1, 0] * 3 + [0, 0, 1, -1, -1, 0]
    assert env.observation[0, 1].tolist() == [2, 3, 2] + [-1, -1, 0] * 2 + [2, 2, 3, -1, -1, 0]
    expected = [9, 9, 2, *[-1, -1, 0] * 2, 9, 8, 3, 0, 0, 1, 0, 1, 0, 1]
    assert env.state[0, 1].tolist() == expected


def test_an_environment_does_not_depend_on_its_place_in_the_batch():
    def play(batch: int) -> np.ndarray:
        env = LbfEnv(batch, 11, rows=6, cols=6, sight=2, episode_limit=9)
        rng = np.random.default_rng(0)
        rows = []
        for _ in range(60):
            draws = rng.random((1, 4, 6))  # the same for all environments
            step = env.step(np.where(env.available_actions, draws, -1).argmax(-1))
            both = (step.observation[:1], env.state[:1], step.info["final_state"][:1])
            rows.append(np.concatenate([part.ravel() for part in (*both, step.reward[:1])]))
        return np.stack(rows)

    alone = play(1)
    assert np.array_equal(alone, play(64))
    assert np.array_equal(alone, play(1024))


def test_the_same_seed_gives_the_same_run_and_another_does_not():
    env = LbfEnv(8, 1)
    first = env.observation.copy()
    assert not np.array_equal(env.reset(), first)
    assert np.array_equal(env.reset(1), first)
    assert not np.array_equal(env.reset(2), first)


@pytest.mark.parametrize(("variant", "top"), [("upstream", 2), ("paper", 3)])
def test_any_three_agents_can_lift_any_food(variant, top):
    env = LbfEnv(500, 0, variant=variant)
    levels = np.sort(env.state[:, 0, 11:21:3], axis=-1)
    assert (levels.min(), levels.max()) == (1, top)
    assert np.array_equal(env.state[:, 0, 2:9:3], levels[:, :3].sum(-1, keepdims=True).repeat(3, 1))


@pytest.mark.parametrize(("variant", "top"), [("upstream", 6), ("paper", 5)])
def test_random_food_levels_reach_the_highest_upstream_only(variant, top):
    env = LbfEnv(500, 0, variant=variant, min_player_level=2, max_player_level=2, force_coop=False)
    assert set(np.unique(env.state[:, 0, 2:9:3])) == set(range(1, top + 1))


def test_foods_start_apart_off_the_border_and_off_the_agents():
    env = LbfEnv(500, 0, rows=7, cols=5, foods=3, players=6)
    foods, agents = env.state[:, 0, :9].reshape(-1, 3, 3), env.state[:, 0, 9:27].reshape(-1, 6, 3)
    for some_foods, some_agents in zip(foods[..., :2], agents[..., :2], strict=True):
        some_foods = some_foods[some_foods[:, 0] >= 0]
        assert len(some_foods) > 0
        assert ((some_foods >= 1) & (some_foods <= (5, 3))).all()
        gaps = np.abs(some_foods[:, None] - some_foods).sum(-1) + 9 * np.eye(len(some_foods))
        assert gaps.min() >= 3
        everything = np.concatenate([some_foods, some_agents])
        assert len(np.unique(everything, axis=0)) == len(everything)


def test_an_episode_never_starts_without_food_however_small_the_grid():
    env = LbfEnv(200, 0, rows=3, cols=3, foods=1, players=4)
    assert (env.state[:, 0, 2] > 0).all()


def test_nothing_is_allocated_by_a_step():
    env = LbfEnv(4, 0, episode_limit=3)
    rng = np.random.default_rng(0)
    arrays = (env.observation, env.state, env.available_actions, env.reward, env.info)
    for _ in range(7):
        step = env.step(random_actions(env, rng))
        assert step.observation is arrays[0]
    assert all(
        now is then
        for now, then in zip(
            (env.observation, env.state, env.available_actions, env.reward, env.info),
            arrays,
            strict=True,
        )
    )


def test_an_unavailable_action_is_refused_and_nothing_moves():
    env = forage([[0, 0], [4, 5]], [1, 1], [(9, 9, 2)])
    before = env.state.copy()
    with pytest.raises(ValueError, match="action 5 of agent 1 in environment 0 is not available"):
        env.step(np.array([[EAST, LOAD]]))
    assert np.array_equal(env.state, before)
    env.step(np.array([[EAST, EAST]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "papers"}, "variant is 'papers'; expected one of upstream, paper"),
        ({"rows": 2}, "rows is 2; expected an integer from 3 to 256"),
        ({"cols": 4.0}, "cols is 4.0; expected an integer"),
        ({"foods": 21}, "foods is 21; expected an integer from 1 to 20"),
        ({"players": 130}, "players is 130; expected an integer from 1 to 129"),
        ({"sight": 0}, "sight is 0"),
        ({"episode_limit": 0}, "episode_limit is 0"),
        ({"penalty": float("nan")}, "penalty is nan"),
        ({"min_player_level": 3}, "min_player_level is .* expected at most max_player_level"),
        ({"max_player_level": [1, 2]}, "max_player_level has 2 entries; expected one or 4"),
        ({"min_food_level": 4, "force_coop": False}, "min_food_level is 4; expected at most 3"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LbfEnv(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": 1}, "index is 1"),
        ({"step": 50}, "step is 50"),
        ({"positions": [[0, 0], [5, 5]]}, "expected cells without food"),
        ({"positions": [[0, 0], [0, 12]]}, "expected cells without food"),
        ({"positions": [[0.5, 0], [0, 1]]}, "expected integers"),
        ({"levels": [1, 0]}, "expected 1 or more"),
        ({"field": field((0, 3, 1))}, "on the border"),
        ({"field": field((5, 5, 1), (6, 6, 1))}, "2 steps apart"),
        ({"field": field()}, "0 foods; expected 1 to 3"),
        ({"food_spawned": 1}, "food_spawned is 1; expected an integer from 2 on"),
    ],
)
def test_a_state_that_cannot_be_is_refused_and_changes_nothing(change, message):
    env = LbfEnv(players=2)
    before = env.state.copy()
    state = {
        "index": 0,
        "positions": [[0, 0], [4, 5]],
        "levels": [1, 1],
        "field": field((5, 5, 2)),
    }
    with pytest.raises(ValueError, match=message):
        env.set_state(**{**state, **change})
    assert np.array_equal(env.state, before)
    env.set_state(**state)
    assert env.available_actions[0, 1, LOAD]


def test_a_name_says_the_options():
    expected = {"rows": 12, "cols": 12, "players": 4, "foods": 3, "force_coop": True}
    assert LbfEnv.options_of(LbfEnv.name) == expected
    small = LbfEnv.options_of("lbf-8x9-2p-1f-2s")
    assert small == {
        "rows": 8,
        "cols": 9,
        "players": 2,
        "foods": 1,
        "force_coop": False,
        "sight": 2,
    }
    assert LbfEnv(**small).observation.shape == (1, 2, 9)


def test_sight_is_an_option_unless_the_name_says_it():
    assert sim.options_of(LbfEnv.name)["sight"] is None
    near, far = (sim.make(LbfEnv.name, seed=3, **option) for option in ({"sight": 1}, {}))
    assert (near.observation != far.observation).any()
    with pytest.raises(EirError, match="said by the name already: 2"):
        sim.make("lbf-12x12-4p-3f-c-2s", sight=3)


@pytest.mark.parametrize("name", ["lbf", "lbf-12x12-4p", "lbf-12x12-4p-3f-coop", "lbf-axb-4p-3f"])
def test_a_name_off_the_pattern_is_refused(name):
    with pytest.raises(ValueError, match=r"expected lbf-ROWSxCOLS.*as in lbf-12x12-4p-3f-c"):
        LbfEnv.options_of(name)


def test_the_picture_shows_agents_that_share_a_cell_apart():
    env = forage([[0, 1], [0, 1], [11, 11]], [1, 2, 2], [(5, 5, 2)])
    scene = env.scene()
    discs = [item for item in scene.items if isinstance(item, Disc)]
    assert [disc.label for disc in discs] == ["1", "2", "2"]
    assert discs[0].centre == (1.25, 11.5)
    assert discs[1].centre == (1.75, 11.5)
    assert discs[2].centre == (11.5, 0.5)
    boxes = [item for item in scene.items if isinstance(item, Box)]
    assert [(box.centre, box.label) for box in boxes] == [((5.5, 6.5), "2")]

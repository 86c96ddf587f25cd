"""Foraging against the package `lbforaging`: same states and actions, same answers.

`LBF_STEPS` asks for more steps per configuration than continuous integration takes.
"""

import os
from typing import Any

import numpy as np
import pytest

from sim.lbf.env import LbfEnv

ForagingEnv = pytest.importorskip("lbforaging.foraging").ForagingEnv

STEPS = int(os.environ.get("LBF_STEPS", "1500"))
#: In upstream's words; rows and columns as `field_size`
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "12x12-4p-3f-coop": {},
    "8x8-3p-3f, sight 2, penalty": {
        "players": 3,
        "field_size": (8, 8),
        "sight": 2,
        "force_coop": False,
        "penalty": 0.1,
    },
    # upstream refuses to observe oblong grids as a whole
    "6x9-5p-2f, sight 2, raw reward, short": {
        "players": 5,
        "field_size": (6, 9),
        "max_num_food": 2,
        "sight": 2,
        "normalize_reward": False,
        "max_episode_steps": 17,
        "penalty": 0.3,
    },
    "5x5-6p-2f, crowded, mixed levels": {
        "players": 6,
        "field_size": (5, 5),
        "max_num_food": 2,
        "sight": 1,
        "min_player_level": [1, 1, 1, 2, 2, 3],
        "max_player_level": [1, 2, 2, 2, 3, 3],
        "min_food_level": [1, 2],
        "max_food_level": [2, 5],
        "force_coop": False,
    },
}
UPSTREAM = {
    "players": 4,
    "min_player_level": 1,
    "max_player_level": 2,
    "min_food_level": 1,
    "max_food_level": None,
    "field_size": (12, 12),
    "max_num_food": 3,
    "sight": 12,
    "max_episode_steps": 50,
    "force_coop": True,
}


def pair(changes: dict[str, Any]) -> tuple[Any, LbfEnv]:
    """The same world twice: upstream's and ours."""
    theirs = {**UPSTREAM, **changes}
    ours = dict(theirs)
    ours["rows"], ours["cols"] = ours.pop("field_size")
    ours["foods"] = ours.pop("max_num_food")
    ours["episode_limit"] = ours.pop("max_episode_steps")
    return ForagingEnv(**theirs), LbfEnv(**ours)


def copy_state(theirs: Any, ours: LbfEnv) -> None:
    ours.set_state(
        0,
        np.array([player.position for player in theirs.players]),
        np.array([player.level for player in theirs.players]),
        theirs.field,
        theirs.current_step,
    )


def masks(theirs: Any) -> np.ndarray:
    """Upstream's valid actions as a mask (N, 6)."""
    valid = theirs._valid_actions
    return np.array(
        [[a in [v.value for v in valid[player]] for a in range(6)] for player in theirs.players]
    )


def draw(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Available actions (N,), loading three times as likely as each other one."""
    weight = mask * np.array([1, 1, 1, 1, 1, 3])
    return (rng.random((len(mask), 1)) * weight.sum(-1, keepdims=True) < weight.cumsum(-1)).argmax(
        -1
    )


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_step_is_that_of_upstream(configuration):
    theirs, ours = pair(CONFIGURATIONS[configuration])
    rng = np.random.default_rng(5)
    theirs.reset(seed=5)
    copy_state(theirs, ours)
    events = {"terminated": 0, "truncated": 0, "loaded": 0, "shared cell": 0}
    for _ in range(STEPS):
        assert np.array_equal(ours.observation[0], theirs.test_make_gym_obs())
        assert np.array_equal(ours.available_actions[0], masks(theirs))
        actions = draw(ours.available_actions[0], rng)
        observation, rewards, over, _, _ = theirs.step(actions.tolist())
        step = ours.step(actions[None])
        assert step.info["agent_reward"][0] == pytest.approx(np.array(rewards), abs=1e-6)
        assert step.reward[0] == pytest.approx(sum(rewards), abs=1e-5)
        assert bool(step.terminated[0] | step.truncated[0]) == over
        assert bool(step.terminated[0]) == (theirs.field.sum() == 0)
        events["loaded"] += max(rewards) > 0
        events["shared cell"] += len({p.position for p in theirs.players}) < len(theirs.players)
        events["terminated"] += int(step.terminated[0])
        events["truncated"] += int(step.truncated[0])
        if over:
            assert np.array_equal(step.info["final_observation"][0], observation)
            theirs.reset()
            copy_state(theirs, ours)
    # the walk has been where the rules are intricate
    if "12x12" not in configuration:
        assert min(events["loaded"], events["shared cell"]) > 0, events
        assert events["truncated"] + events["terminated"] > 1, events


def test_the_comparison_would_notice_the_other_variant():
    """Two agents step into one cell: upstream neither, in the paper's variant the first."""
    field = np.zeros((12, 12), int)
    field[9, 9] = 4
    after = {}
    for variant in ("upstream", "paper"):
        env = LbfEnv(players=2, variant=variant)
        env.set_state(0, [[2, 2], [2, 4]], [1, 1], field)
        env.step(np.array([[4, 3]]))
        after[variant] = env.state[0, 0, 9:11].tolist()
    assert after == {"upstream": [2, 2], "paper": [2, 3]}


def test_starts_are_spread_like_those_of_upstream():
    """Levels and places of agents and foods, by mean and mean square over many episodes."""
    theirs, _ = pair({"force_coop": False, "field_size": (6, 6), "sight": 6})
    ours = LbfEnv(4000, 3, rows=6, cols=6, force_coop=False)
    theirs.reset(seed=3)
    starts = np.array([theirs.reset()[0][0] for _ in range(600)])
    for power in (1, 2):
        mine, upstream = ours.observation[:, 0] ** power, starts**power
        error = np.hypot(mine.std(0) / len(mine) ** 0.5, upstream.std(0) / len(upstream) ** 0.5)
        assert (np.abs(mine.mean(0) - upstream.mean(0)) <= 4 * error).all()

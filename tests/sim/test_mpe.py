"""The particle worlds: mpe2 as it is, and one team's reward."""

import numpy as np
import pytest

import sim
from eir_ros.contract.errors import EirError
from sim.mpe.particles import Hunters, make_tag

mpe2 = pytest.importorskip("mpe2")


def episode_seed(seed: int, b: int = 0) -> int:
    """What the first episode of environment `b` is seeded with."""
    stream = np.random.SeedSequence(seed).generate_state(b + 1, np.uint64)[b]
    return int(np.random.default_rng(stream).integers(1 << 31))


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize(
    ("name", "raw"),
    [
        (
            "mpe-simple_spread",
            lambda c: mpe2.simple_spread_v3.parallel_env(max_cycles=25, continuous_actions=c),
        ),
        (
            "mpe-simple_reference",
            lambda c: mpe2.simple_reference_v3.parallel_env(max_cycles=25, continuous_actions=c),
        ),
    ],
)
def test_a_step_is_mpe2s_own_step(name, raw, continuous):
    env, theirs = sim.make(name, batch=2, seed=7, continuous=continuous), raw(continuous)
    seen, _ = theirs.reset(seed=episode_seed(7, 1))
    rng = np.random.default_rng(0)
    for step in range(25):
        assert np.array_equal(env.observation[1], np.stack(list(seen.values())))
        assert np.array_equal(env.state[1, 0], theirs.state())
        if continuous:
            actions = rng.uniform(-1, 1, (2, env.num_agents, env.action_size)).astype(np.float32)
            pushes = 0.5 * (actions[1] + 1)
        else:
            actions = rng.integers(0, env.num_actions, (2, env.num_agents))
            pushes = actions[1]
        seen, rewards, *_ = theirs.step(dict(zip(theirs.agents, pushes, strict=True)))
        result = env.step(actions)
        assert result.reward[1] == pytest.approx(np.mean(list(rewards.values())), rel=1e-6)
        assert result.truncated[1] == (step == 24)
    assert np.array_equal(result.info["final_observation"][1], np.stack(list(seen.values())))


def test_the_sum_of_rewards_is_n_times_their_mean():
    mean, total = (sim.make("mpe-simple_spread", reward=how) for how in ("mean", "sum"))
    stay = np.zeros((1, 3), int)
    assert total.step(stay).reward[0] == pytest.approx(3 * mean.step(stay).reward[0])


def test_in_tag_the_hunters_are_the_team_and_a_touch_pays_each_of_them_10():
    env = sim.make("mpe-simple_tag")
    assert env.agents == ("adversary_0", "adversary_1", "adversary_2")
    world = env._rows[0].env.world
    prey = world.agents[-1]
    world.agents[0].state.p_pos = prey.state.p_pos + 0.01
    assert env.step(np.zeros((1, 3), int)).reward[0] == 10
    world.agents[0].state.p_pos = prey.state.p_pos + 1.0
    assert env.step(np.zeros((1, 3), int)).reward[0] == 0


def chase(prey: str, continuous: bool = False) -> tuple[float, float]:
    """Hunters run at the prey: touches per episode, and how far out the prey gets."""
    env = sim.make(
        "mpe-simple_tag", batch=8, seed=1, prey=prey, num_obstacles=0, continuous=continuous
    )
    touches, out = 0.0, 0.0
    for _ in range(50):
        actions = np.zeros((8, 3, 5), np.float32) - 1
        for b, row in enumerate(env._rows):
            *hunters, target = row.env.world.agents
            out = max(out, float(np.abs(target.state.p_pos).max()))
            for i, hunter in enumerate(hunters):
                dx, dy = target.state.p_pos - hunter.state.p_pos
                way = (1 + (dx > 0)) if abs(dx) > abs(dy) else (3 + (dy > 0))
                actions[b, i, way] = 1
        joint = actions if continuous else actions.argmax(-1)
        touches += float(env.step(joint).reward.sum()) / 10
    return touches / 16, out


def test_a_prey_that_flees_is_caught_less_and_does_not_run_to_infinity():
    (fled, out), (random, _) = chase("flee"), chase("random")
    assert fled < 0.5 * random
    assert out < 1.6
    assert chase("flee", continuous=True)[0] < 0.5 * random


def test_the_prey_depends_on_the_seed_alone():
    def path(seed: int) -> list[float]:
        env = make_tag(3, 2, "random", 25, False)
        env.reset(seed=seed)
        for _ in range(10):
            env.step(dict.fromkeys(env.agents, 0))
        assert isinstance(env, Hunters)
        return env.world.agents[-1].state.p_pos.tolist()

    assert path(3) == path(3)
    assert path(3) != path(4)


def test_workers_play_the_same_episodes():
    def roll(workers: int) -> np.ndarray:
        env = sim.make("mpe-simple_tag", batch=3, seed=2, workers=workers)
        steps = [env.step(np.full((3, 3), k % 5)).observation.copy() for k in range(30)]
        assert len(env.scene(2).items) == 6
        env.close()
        return np.stack(steps)

    assert np.array_equal(roll(0), roll(2))


def test_pictures_tell_what_is_covered_caught_and_said():
    spread = sim.make("mpe-simple_spread")
    world = spread._rows[0].env.unwrapped.world
    world.agents[0].state.p_pos = world.landmarks[1].state.p_pos.copy()
    scene = spread.scene()
    assert [item.role for item in scene.items].count("done") >= 1
    assert "landmarks covered" in scene.captions[1]
    reference = sim.make("mpe-simple_reference")
    assert "0 says nothing" in reference.scene().captions
    reference.step(np.array([[5 * 7, 0]]))
    assert "0 says word 7" in reference.scene().captions


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mpe-simple_spread", {"num_agents": 0}, "num_agents is 0; expected at least 1"),
        ("mpe-simple_spread", {"local_ratio": 1.5}, "local_ratio is 1.5; expected 0 to 1"),
        ("mpe-simple_tag", {"prey": "hide"}, "prey is 'hide'; expected one of flee, random"),
        ("mpe-simple_tag", {"num_obstacles": -1}, "num_obstacles is -1"),
        ("mpe-simple_reference", {"episode_steps": 0}, "episode_steps is 0"),
        ("mpe-simple_reference", {"reward": "max"}, "expected one of mean, sum"),
        ("mpe-simple_reference", {"reward": 3}, "'reward' of .* is 3; expected a word"),
        ("mpe-simple_spread", {"num_agents": "three"}, "is 'three'; expected an integer"),
        ("mpe-simple_spread", {"num_agents": True}, "is True; expected an integer"),
        ("mpe-simple_spread", {"local_ratio": float("nan")}, "is nan; expected a number"),
        ("mpe-simple_spread", {"continuous": 1}, "is 1; expected true or false"),
        ("mpe-simple_spread", {"batch": 2.0}, "is 2.0; expected an integer"),
    ],
)
def test_malformed_options_are_refused(name, options, message):
    with pytest.raises(EirError, match=message):
        sim.make(name, **options)

"""The skirmish engine: its numbers over time, its walls and masks, and what must not matter."""

import numpy as np
import pytest

from sim.smac.env import SmacEnv
from sim.smac.maps import BAND, MAP_SIZE
from sim.smac.scripted import focus_fire, idle, random_play
from sim.smac.units import MARINE, STALKER, ZEALOT


def alone(unit: int, target: int, distance: float, **options) -> SmacEnv:
    """A game in which only one ally and one enemy are left, so far apart."""
    env = SmacEnv(1, 0, episode_limit=10_000, **options)
    units = env.units[0]
    keep = (unit, env.num_agents + target)
    for u in range(len(units)):
        if u not in keep:
            units[u]["health"] = 0
    units["x"][keep[0]], units["y"][keep[0]] = 4.0, 12.0
    units["x"][keep[1]], units["y"][keep[1]] = 4.0 + distance, 12.0
    return env


def act(env: SmacEnv, unit: int, action: int) -> None:
    """One step in which only `unit` does something; the masks follow the units just placed."""
    actions = np.where(env.units["health"][:, : env.num_agents] > 0, 1, 0)
    actions[0, unit] = action
    env.available_actions[:] = True
    env.step(actions)


@pytest.mark.parametrize(
    ("unit", "map", "kind"), [(0, "4m_vs_3m", MARINE), (0, "2s3z", STALKER), (2, "2s3z", ZEALOT)]
)
def test_speed_is_that_of_the_table(unit, map, kind):
    env = alone(unit, 0, 25.0, map=map)
    for _ in range(4):
        act(env, unit, 4)
    assert env.units[0, unit]["x"] - 4.0 == pytest.approx(4 * kind.speed / 2)


def test_damage_and_period_are_those_of_the_table():
    env = alone(0, 0, 5.5)
    env.units["health"][0, [0, 4]] = 1e6
    steps = 4000
    for _ in range(steps):
        act(env, 0, 6)
    shots = (1e6 - env.units["health"][0, [0, 4]]) / MARINE.damage
    # The delay of -1 to +2 loops adds half a loop on average.
    expected = steps * 8 / (MARINE.period * 16 + 0.5)
    assert shots == pytest.approx([expected, expected], rel=0.02)


@pytest.mark.parametrize(
    ("unit", "target", "distance", "kind", "each"),
    [
        (0, 2, 5.0, STALKER, 13 - 1),  # a zealot's armour
        (0, 0, 5.0, STALKER, 13 + 5 - 1),  # the bonus against armoured ones
        (2, 2, 1.05, ZEALOT, 2 * (8 - 1)),  # both hits meet the armour
    ],
)
def test_stalkers_and_zealots_do_other_damage_over_time_than_the_table_says(
    unit, target, distance, kind, each
):
    env = alone(unit, target, distance, map="2s3z")
    fighters = [unit, 5 + target]
    env.units["shield"][0, fighters], env.units["health"][0, fighters] = 0.0, 1e6
    steps = 2000
    for _ in range(steps):
        act(env, unit, 6 + target)
    expected = each * steps * 8 / (kind.period * 16 + 0.5)
    assert 1e6 - env.units["health"][0, 5 + target] == pytest.approx(expected, rel=0.02)


def test_armour_weakens_health_only_and_shields_go_first():
    env = alone(0, 2, 6.0, map="2s3z")
    zealot = env.units[0, 5 + 2]
    left = []
    for _ in range(60):
        act(env, 0, 6 + 2)
        left.append(float(zealot["shield"] + zealot["health"]))
        if zealot["health"] < 60:
            break
    losses = [a - b for a, b in zip([150.0, *left], left, strict=False) if a > b]
    # 13 a hit on 50 points of shield; the fourth breaks through by 2, less 1 for the armour
    assert losses[:5] == pytest.approx([13, 13, 13, 12, 12])


def test_a_stalker_hurts_a_stalker_more():
    env = alone(0, 0, 6.0, map="2s3z")
    act(env, 0, 6)
    assert env.units[0, 5]["shield"] == 80 - 18


def test_shields_come_back_ten_seconds_after_the_last_damage():
    env = alone(0, 0, 25.0, map="2s3z")
    env.units["shield"][0, 0] = 10
    for _ in range(20):
        act(env, 0, 1)
    assert env.units[0, 0]["shield"] == pytest.approx(10, abs=0.2)
    for _ in range(10):
        act(env, 0, 1)
    assert env.units[0, 0]["shield"] == pytest.approx(20, abs=0.2)


def test_an_order_from_out_of_range_walks_up_first():
    env = alone(0, 0, 5.95)
    act(env, 0, 6)
    assert env.units[0, 0]["x"] > 4.1
    assert env.units[0, 4]["health"] < 45


# Each map is compiled on its own, which takes seconds: one of one kind and one of mixed sizes.
@pytest.mark.parametrize("map", ["4m_vs_3m", "2s3z"])
def test_units_keep_inside_the_walls_and_out_of_each_other(map):
    env, rng = SmacEnv(16, 1, map=map), np.random.default_rng(1)
    radius = np.array([unit.radius for unit in env.scenario.units])
    touch = radius[:, None] + radius
    for t in range(150):
        actions = random_play(env, rng)
        # press against the upper wall half of the time
        env.step(np.where(env.available_actions[:, :, 2] & (t % 50 < 25), 2, actions))
        x, y, alive = env.units["x"], env.units["y"], env.units["health"] > 0
        assert (x >= radius - 1e-9).all()
        assert (x <= MAP_SIZE - radius + 1e-9).all()
        assert (y >= BAND[0] + radius - 1e-9).all()
        assert (y <= BAND[1] - radius + 1e-9).all()
        gap = np.hypot(x[:, :, None] - x[:, None], y[:, :, None] - y[:, None]) - touch
        both = alive[:, :, None] & alive[:, None] & ~np.eye(len(radius), dtype=bool)
        assert gap[both].min() > -1e-6


@pytest.mark.parametrize("layout", ["paper", "smac"])
def test_masks_offer_just_what_is_legal_and_the_dead_see_nothing(layout):
    env, rng = SmacEnv(32, 2, layout=layout), np.random.default_rng(2)
    seen_dead = 0
    for _ in range(120):
        env.step(random_play(env, rng))
        own, theirs = env.units[:, :4, None], env.units[:, None, 4:]
        alive, mask = env.units["health"][:, :4] > 0, env.available_actions
        assert (mask[:, :, 0] == ~alive).all()
        assert (mask[:, :, 1] == alive).all()
        distance = np.hypot(own["x"] - theirs["x"], own["y"] - theirs["y"])
        near = (distance <= 6) & (theirs["health"] > 0) & alive[:, :, None]
        assert (mask[:, :, 6:] == near).all()
        for action, dx, dy in ((2, 0, 1), (3, 0, -1), (4, 1, 0), (5, -1, 0)):
            x, y = env.units["x"][:, :4] + dx, env.units["y"][:, :4] + dy
            free = (x >= 0) & (x < 32) & (y >= 8) & (y < 24)
            assert (mask[:, :, action] == (free & alive)).all()
        dead = env.observation[~alive]
        seen_dead += len(dead)
        if layout == "paper":  # which leaves its index
            assert (dead[:, :-8] == 0).all()
            assert (dead.sum(-1) == 1).all()
        else:
            assert (dead == 0).all()
    assert seen_dead > 100


@pytest.mark.parametrize(("ally", "enemy"), [(0, 0), (1, 1), (3, 2)])
def test_no_unit_acts_before_another_more_often_than_after_it(ally, enemy):
    """A duel of two that die of one hit, while the others are far away."""
    env = SmacEnv(4096, 0)
    env.units["x"][:, :4], env.units["x"][:, 4:] = 2.0, 30.0
    duel = [ally, 4 + enemy]
    env.units["x"][:, duel], env.units["y"][:, duel] = [14.0, 18.0], 20.0
    env.units["health"][:, duel] = 1.0
    env.available_actions[:] = True
    actions = np.ones((4096, 4), np.int64)
    actions[:, ally] = 6 + enemy
    env.step(actions)
    alive = env.units["health"][:, duel] > 0
    assert (alive.sum(1) == 1).all()
    assert alive.mean(0) == pytest.approx([0.5, 0.5], abs=0.03)


def test_results_depend_on_neither_batch_size_nor_index():
    def run(batch, seed=9):
        env, trace = SmacEnv(batch, seed), []
        for t in range(90):
            actions = focus_fire(env) if t % 3 else idle(env)
            step = env.step(actions)
            ends = step.terminated | step.truncated
            parts = [step.observation, env.state, env.available_actions, step.reward, ends]
            trace.append([part[:7].copy() for part in parts])
        return [np.stack(part, 1) for part in zip(*trace, strict=True)]

    large, small, single = run(64), run(7), run(1)
    assert large[-1].any()  # games end and start again
    for whole, seven, one in zip(large, small, single, strict=True):
        assert np.array_equal(seven, whole)
        assert np.array_equal(one, whole[:1])
    assert not np.array_equal(run(7, 10)[0], small[0])


def test_the_limit_truncates_and_the_end_terminates():
    env = SmacEnv(2, 0, episode_limit=3)
    for _ in range(2):
        step = env.step(idle(env))
        assert not (step.truncated | step.terminated).any()
    step = env.step(idle(env))
    assert step.truncated.all()
    assert not step.terminated.any()
    assert not np.array_equal(step.observation, step.info["final_observation"])
    env = SmacEnv(2, 0)
    ends = [env.step(focus_fire(env)) and env.terminated.copy() for _ in range(50)]
    assert np.any(ends)
    assert not env.truncated.any()


@pytest.mark.parametrize(("layout", "observed", "state"), [("paper", 83, 99), ("smac", 35, 61)])
def test_layouts_have_the_sizes_of_their_originals(layout, observed, state):
    env = SmacEnv(1, 0, layout=layout)
    assert env.observation.shape == (1, 4, observed)
    assert env.state.shape == (1, 4, state)
    assert env.num_actions == 9


def test_features_of_the_start_are_those_of_the_formation():
    env = SmacEnv(1, 0, layout="smac")
    assert env.observation[0, 0, :4].tolist() == [1, 1, 1, 1]
    assert not env.observation[0, 0, 4:19].any()  # the enemies are out of sight
    assert env.observation[0, 0, 19:24] == pytest.approx([1, 1.5 / 9, 0, 1.5 / 9, 1])
    assert env.state[0, 0, :4] == pytest.approx([1, 0, (8.25 - 16) / 32, (15.25 - 16) / 32])
    paper = SmacEnv(1, 0)
    assert paper.observation[0, 2, paper.belief_slots].tolist() == [0, 0, 0, 0]
    assert paper.observation[0, 2, -8:-4].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"map": "4m_vs_4m"}, "map is '4m_vs_4m'; expected one of 3m, 4m_vs_3m"),
        ({"layout": "flat"}, "expected one of paper, smac"),
        ({"backend": "brood war"}, "expected one of builtin, starcraft"),
        ({"episode_limit": 0}, "expected at least 1"),
        ({"negative_scale": -1.0}, "expected 0 or more"),
        ({"batch": 0}, "expected at least 1"),
    ],
)
def test_malformed_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SmacEnv(**options)


def test_an_illegal_action_moves_nothing():
    env = SmacEnv(1, 0)
    before = env.units.copy()
    with pytest.raises(ValueError, match="not available"):
        env.step(np.full((1, 4), 6))
    assert np.array_equal(env.units, before)
    env.step(idle(env))


def test_a_scene_shows_the_living_the_walls_and_who_attacks_whom():
    env = SmacEnv(1, 0)
    for _ in range(16):
        env.step(focus_fire(env))
    items = env.scene(0).items
    roles = [getattr(item, "role", "") for item in items]
    assert roles.count("wall") == 2
    assert roles.count("agent") == (env.units["health"][0, :4] > 0).sum()
    assert roles.count("faint") > 0

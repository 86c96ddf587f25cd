"""The swarm behind the face of all worlds."""

from typing import Any

import numpy as np
import pytest

import sim
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import FaultMixture, Schedule
from sim.scene import Disc
from sim.swarm.bullet import pybullet
from sim.swarm.env import CoverageEnv, PursuitEnv, RendezvousEnv, SwarmEnv, TransportEnv


@pytest.fixture(
    params=[CoverageEnv, RendezvousEnv, PursuitEnv, TransportEnv], ids=lambda kind: kind.name
)
def env(request):
    env: SwarmEnv = request.param(2, 0, episode_decisions=4)
    yield env
    env.close()


def actions(env: SwarmEnv, seed: int = 0, steps: int = 20) -> np.ndarray:
    shape = (steps, env.batch, env.num_agents)
    return np.random.default_rng(seed).integers(0, env.num_actions, shape)


def test_arrays_are_made_again_at_every_step(env):
    step = env.step(actions(env)[0])
    again = env.step(actions(env)[1])
    assert all(a is b for a, b in zip(step, again, strict=True))
    assert step.observation is env.observation
    assert step.observation.dtype == step.reward.dtype == env.state.dtype == np.float32
    assert np.isfinite(step.observation).all()
    assert np.isfinite(env.state).all()


def test_the_state_of_an_agent_does_not_start_with_itself(env):
    env.step(actions(env)[0])
    for i in range(4):
        assert np.array_equal(env.state[:, i, :2], env.observation[:, i, :2])
    assert np.array_equal(env.state[:, 0], env.team_state)
    assert np.array_equal(np.sort(env.state[:, 2]), np.sort(env.team_state))


def test_the_end_of_an_episode_is_lost(env):
    rows = actions(env)
    for row in rows[:3]:
        assert not env.step(row).truncated.any()
    last = env.step(rows[3])
    assert last.truncated.all()
    assert not last.terminated.any()
    for name, now in (("observation", env.observation), ("state", env.state)):
        assert not np.array_equal(last.info[f"final_{name}"], now)
    assert np.array_equal(last.info["final_state"][:, 0], last.info["final_team_state"])
    assert env.decisions == 0


def test_types_of_the_last_decision_are_those_of_the_next_episode():
    env = CoverageEnv(64, 0, faults=FaultMixture(kinds={"stop": 1}), episode_decisions=1)
    before = env.schedule.kind.copy()
    env.step(np.zeros((64, 4), int))
    assert np.isin(env.info["final_kinds"], (0, FaultKind.STOP)).all()
    assert not (env.info["final_kinds"] & ~before.astype(bool)).any()
    env.close()


def test_a_given_schedule_is_forgotten_after_one_episode():
    env = CoverageEnv(2, 0, episode_decisions=3)
    env.reset(0, Schedule.single(2, 4, FaultKind.STOP, robot=1))
    for _ in range(4):
        env.step(np.zeros((2, 4), int))
    assert (env.kinds[:, 1] == FaultKind.STOP).all()
    env.reset(0)
    assert not env.kinds.any()
    env.close()


def test_the_same_seed_gives_another_run(env):
    def play() -> np.ndarray:
        env.reset(3)
        return np.stack([env.step(row).observation.copy() for row in actions(env)])

    assert np.array_equal(play(), play())


def test_a_wrong_schedule_leaves_the_environment_unusable(env):
    env.step(actions(env)[0])
    before = env.observation.copy()
    with pytest.raises(ValueError, match=r"schedule is for \(3, 4\)"):
        env.reset(0, Schedule.healthy(3, 4))
    assert np.array_equal(env.observation, before)
    env.step(actions(env)[1])


EVERYTHING: dict[str, Any] = {
    "world": {"sensing": {"range_m": 1.5, "occlusion": True, "dropout": 0.2}},
    "faults": {
        "kinds": dict.fromkeys(("stuck", "slow", "drift", "reverse", "random_walk", "wear"), 1),
        "probability": 1.0,
        "max_faulty": 3,
    },
    "episode_decisions": 40,
}


@pytest.mark.parametrize("body", ["planar", "wheels"])
@pytest.mark.parametrize("kind", [CoverageEnv, RendezvousEnv, PursuitEnv, TransportEnv])
def test_an_arena_depends_on_the_batch_or_on_its_neighbours(kind, body):
    """Its luck is its own: places, noise, drop-outs, faults, and what it redraws on the way."""
    world = {**EVERYTHING["world"], "body": body}
    batches, decisions = ((5, 2), 90) if body == "planar" else ((2, 1), 45)
    draw = np.random.default_rng(1).integers(0, 12, (decisions, max(batches), 4))

    def play(batch: int) -> list[np.ndarray]:
        env = kind(batch, 7, **{**EVERYTHING, "world": world})
        rows = []
        for row in draw:
            env.step(row[:batch])
            parts = (env.observation, env.state, env.reward, env.kinds)
            rows.append([part[: min(batches)].copy() for part in parts])
        env.close()
        return [np.stack(part) for part in zip(*rows, strict=True)]

    for one, other in zip(*map(play, batches), strict=True):
        assert np.array_equal(one, other)


def test_a_batch_on_wheels_takes_a_physics_client_for_each_arena():
    def clients() -> int:
        return sum(pybullet.getConnectionInfo(k)["isConnected"] for k in range(64))

    before = clients()
    env = CoverageEnv(12, 0, world={"body": "wheels"})
    assert clients() == before + 1
    env.step(np.zeros((12, 4), int))
    env.close()
    assert clients() == before


@pytest.mark.parametrize("seed", [[3, 1], np.random.SeedSequence(5)])
def test_a_seed_that_is_used_twice_gives_two_runs(env, seed):
    first = env.reset(seed).copy()
    assert np.array_equal(env.reset(seed), first)


FITS = "do not fit an arena of"


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        (CoverageEnv, {"world": {"arena": 0.3}}, f"4 robots of radius 0.12 m {FITS} 0.3 m"),
        (CoverageEnv, {"world": {"arena": 0.1}}, "at most 0 robots"),
        (RendezvousEnv, {"world": {"arena": 1.0}, "task": {"num_robots": 16}}, "to be 1.07 or"),
        (PursuitEnv, {"world": {"robot_radius": 1.0}}, FITS),
        (TransportEnv, {"world": {"arena": float("inf")}}, "arena.*finite"),
        (CoverageEnv, {"task": {"num_robots": 17}}, "num_robots.* 17"),
        (CoverageEnv, {"task": {"tick_s": 100.0}}, "tick_s.* 100"),
        (CoverageEnv, {"world": {"site_range": 5.0}}, "site_range is 5 m; expected at most arena"),
        (CoverageEnv, {"world": {"site_spacing": 5.0}}, "site_spacing is 5 m; expected less than"),
        (CoverageEnv, {"world": {"site_clearance": 9.0}}, "site_clearance is 9 m"),
        (CoverageEnv, {"world": {"site_period_s": 0.01}}, "expected at least a tick, 0.1 s"),
        (PursuitEnv, {"task": {"needed": 9}}, "expected at most num_robots, 4"),
        (PursuitEnv, {"world": {"evader_clearance": 30.0}}, "expected less than 5.66 m"),
        (PursuitEnv, {"world": {"wall_margin": 1.5}}, "less than half of arena"),
        (TransportEnv, {"world": {"goal_distance": 30.0}}, "expected less than 1.56 m"),
        (TransportEnv, {"world": {"goal_range": 1.9}}, "expected a sum of at most 2 m"),
        (CoverageEnv, {"faults": {"kinds": {"stpo": 1}}}, "unknown fault kind"),
        (CoverageEnv, {"faults": {"kinds": {"stop": 1}, "max_faulty": 9}}, "at most the 4 robots"),
        (CoverageEnv, {"faults": 3}, "faults"),
    ],
)  # fmt: skip
def test_numbers_that_no_world_can_have_are_taken(kind, options, sentence):
    with pytest.raises(EirError, match=sentence):
        sim.make(kind.name, **options)


def test_robots_of_a_crowded_arena_start_inside_each_other():
    env = RendezvousEnv(64, 0, task={"num_robots": 16}, world={"arena": 1.1})
    places = env.sense().pose[..., :2]
    gaps = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1) + 9 * np.eye(16)
    assert gaps.min() >= 0.36
    assert np.abs(places).max() <= 1.1 - 0.24
    env.close()


def test_an_episode_of_no_decisions_is_begun():
    with pytest.raises(ValueError, match="at least 1"):
        CoverageEnv(1, episode_decisions=0)


def test_a_picture_hides_who_is_broken(env):
    env.reset(0, Schedule.single(2, 4, FaultKind.MUTE, robot=1))
    scene = env.scene(1)
    robots = [item for item in scene.items if isinstance(item, Disc) and item.label]
    assert [robot.role for robot in robots] == ["agent", "faulty", "agent", "agent"]
    assert [robot.label for robot in robots] == list(env.agents)
    assert "r1: mute" in scene.captions
    x0, y0, x1, y1 = scene.bounds
    assert all(x0 < x < x1 and y0 < y < y1 for x, y in (robot.centre for robot in robots))

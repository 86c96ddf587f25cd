"""The swarm behind the face of all worlds."""

import numpy as np
import pytest

from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import FaultMixture, Schedule
from sim.scene import Disc
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

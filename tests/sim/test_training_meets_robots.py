"""The batched environment that trains and the loop that flies must be one and the same world."""

import numpy as np
import pytest
from plain_loop import run_plain

from eir_ros.contract.faults import Fault, FaultKind
from eir_ros.contract.paths import share
from eir_ros.faults.schedule import Schedule
from eir_ros.policy.bundle import load_bundle
from eir_ros.safety.limits import GateLimits, Track
from eir_ros.safety.rules import apart
from sim.swarm.brakes import Brakes, keep_apart
from sim.swarm.coverage import CoverageWorld
from sim.swarm.env import CoverageEnv

TEAM = ["r0", "r1", "r2", "r3"]
#: Limits that a healthy command never meets.
GATE = {
    "max_speed": 5.0,
    "max_yaw_rate": 5.0,
    "max_acceleration": 1e3,
    "max_yaw_acceleration": 1e3,
    "command_timeout_s": 10.0,
}


def side_by_side(kind, poses, gate, world=None):
    """An episode with a fault of r1 from 2 s on, in the loop that flies and in the environment.

    Yields, for each decision, what the environment shows and what robots saw, and both rewards.
    """
    bundle = load_bundle(share() / "policies" / "coverage")
    task = bundle.manifest.task
    fault = Fault(robot="r1", kind=kind, start_s=2.0)
    episode = run_plain(bundle, TEAM, poses, gate, (fault,), seed=3, ticks=80, warm=True)
    env = CoverageEnv(batch=1, task=task, world=world)
    env.reset(0, Schedule.single(1, 4, kind, robot=1, start_s=2.0))
    env._sim.reset(3, poses)  # the loop seeds the world alone
    env._look()
    for tick in range(0, 78, task.decision_ticks):
        decided = [episode.decisions[tick, name] for name in TEAM]
        step = env.step(np.array([[d.step.action for d in decided]]))
        after = [episode.decisions[tick + task.decision_ticks, name] for name in TEAM]
        expected = np.stack([d.observation for d in after])
        reward = episode.rewards[tick // task.decision_ticks]
        yield step.observation[0], expected, step.reward[0], reward


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.STOP,
        FaultKind.MUTE,
        FaultKind.STUCK,
        FaultKind.SLOW,
        FaultKind.DRIFT,
        FaultKind.REVERSE,
        FaultKind.WEAR,
        FaultKind.FROZEN,
        FaultKind.OFFSET,
    ],
)
def test_training_sees_another_world_than_robots_do(kind: FaultKind) -> None:
    """Same seed, poses, faults and actions: the same observations and rewards, bit for bit."""
    poses = np.zeros((1, 4, 3))
    poses[0, :, :2] = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    for found, expected, reward, expected_reward in side_by_side(kind, poses, GATE):
        np.testing.assert_array_equal(found, expected)
        assert reward == np.float32(expected_reward)


def test_brakes_of_training_are_others_than_those_of_the_gate() -> None:
    rng, batch, team, radius, room = np.random.default_rng(0), 500, 4, 0.12, 0.05
    env = CoverageEnv(batch=batch)
    env.reset(0)
    sensed = env.sense()
    # crowded, so that there is something to brake for, and in every direction
    sensed.pose[...] = rng.uniform(-0.4, 0.4, sensed.pose.shape)
    sensed.pose[..., 2] *= 8
    sensed.tracks[...] = rng.uniform(-0.5, 0.5, sensed.tracks.shape)
    asked = rng.uniform(-1, 1, (batch, team, 2)) * (0.5, 3.0)
    left, limits = asked.copy(), GateLimits(max_deceleration=5.0)
    keep_apart(Brakes(room=room, max_deceleration=5.0), room, radius, sensed, left)
    for b, i in np.ndindex(batch, team):
        tracks = [Track(*track, keep=2 * radius + room) for track in sensed.tracks[b, i].tolist()]
        expected = apart(limits, tuple(sensed.pose[b, i]), *asked[b, i].tolist(), tracks)
        np.testing.assert_allclose(left[b, i], (expected, asked[b, i, 1]), 0, 1e-9)
    slower = np.abs(left[..., 0]) < np.abs(asked[..., 0])
    assert 0.2 < slower.mean() < 0.8


def test_who_is_not_seen_is_braked_for() -> None:
    env = CoverageEnv()
    env.reset(0)
    sensed, asked = env.sense(), np.full((1, 4, 2), 0.5)
    # straight ahead, and nearer than may be
    yaw = sensed.pose[..., None, 2]
    ahead = 0.1 * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    sensed.tracks[..., :2] = sensed.pose[..., None, :2] + ahead
    left = asked.copy()
    keep_apart(Brakes(), 0.05, 0.12, sensed, left)
    assert (left[..., 0] == 0).all()
    sensed.visible[...] = False
    left = asked.copy()
    keep_apart(Brakes(), 0.05, 0.12, sensed, left)
    assert (left == asked).all()


def test_training_with_brakes_sees_another_world_than_robots_with_gates_do() -> None:
    world = CoverageWorld(brakes=Brakes(room=0.05))
    poses = np.zeros((1, 4, 3))
    # so near that they have to make room for each other
    poses[0, :, :2] = [[-0.2, -0.2], [0.2, -0.2], [0.2, 0.2], [-0.2, 0.2]]
    gate = {**GATE, "separation_m": 2 * world.robot_radius + 0.05, "max_deceleration": 5.0}
    for found, expected, _, _ in side_by_side(FaultKind.STOP, poses, gate, world):
        np.testing.assert_allclose(found, expected, 0, 1e-5)

"""The coverage world: who serves what, what is noisy, and what must not depend on the batch."""

import numpy as np
import pytest

import sim
from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import FaultMixture, Schedule
from sim.swarm.coverage import CoverageSim, CoverageWorld
from sim.swarm.env import CoverageEnv

TASK = CoverageTask()
EVERYBODY = np.ones((1, 4), bool)
QUIET = CoverageWorld(actuation_noise=0, track_noise=0, track_velocity_noise=0, reading_flip=0)


def parked_at_sites(world: CoverageWorld = QUIET) -> CoverageSim:
    """Robots 0, 1 and 2 stand on the three sites, robot 3 far from all of them."""
    world_sim = CoverageSim(TASK, 1, 7, world)
    poses = np.zeros((1, 4, 3))
    poses[0, :3, :2] = world_sim.sites[0]
    poses[0, 3, :2] = 1.85
    world_sim.poses[...] = poses
    return world_sim


def test_a_faulty_robot_serves_nothing_though_it_stands_on_the_site():
    world = parked_at_sites()
    world.tick(np.zeros((1, 4, 2)), EVERYBODY)
    assert world.served_by.tolist() == [[0, 1, 2]]
    full = world.reward()[0]
    working = EVERYBODY.copy()
    working[0, 1] = False
    world.tick(np.zeros((1, 4, 2)), working)
    assert world.served_by.tolist() == [[0, -1, 2]]
    assert world.reward()[0] < full - 0.5


def test_all_sites_served_pays_the_bonus():
    world = parked_at_sites()
    world.tick(np.zeros((1, 4, 2)), EVERYBODY)
    assert world.reward()[0] == pytest.approx(1.5, abs=1e-6)


def test_sites_move_together_every_six_seconds_and_not_before():
    world = CoverageSim(TASK, 2, 3)
    first = world.sites.copy()
    for _ in range(59):
        world.tick(np.zeros((2, 4, 2)), np.ones((2, 4), bool))
    assert np.array_equal(world.sites, first)
    world.tick(np.zeros((2, 4, 2)), np.ones((2, 4), bool))
    assert (world.sites != first).any(-1).all()


def test_new_sites_keep_apart_from_each_other_and_from_robots():
    world = CoverageSim(TASK, 256, 5)
    gaps = np.linalg.norm(world.sites[:, :, None] - world.sites[:, None], axis=-1)
    gaps[:, np.arange(3), np.arange(3)] = np.inf
    assert gaps.min() >= 0.8
    to_robots = np.linalg.norm(world.sites[:, :, None] - world.poses[:, None, :, :2], axis=-1)
    assert to_robots.min() >= 0.4
    assert np.abs(world.sites).max() <= 1.4


def test_readings_are_wrong_as_often_as_said_and_independently():
    world = CoverageSim(TASK, 512, 11)
    wrong = world.sense().served != (world.served_by >= 0)[:, None]
    assert wrong.mean() == pytest.approx(0.3, abs=0.02)
    pair = (wrong[:, 0] & wrong[:, 1]).mean()
    assert pair == pytest.approx(0.09, abs=0.02)


def test_readings_change_only_at_decisions():
    world = CoverageSim(TASK, 64, 2)
    before = world.sense().served.copy()
    world.tick(np.zeros((64, 4, 2)), np.ones((64, 4), bool))
    assert not world.decision_due
    assert np.array_equal(world.sense().served, before)
    world.tick(np.zeros((64, 4, 2)), np.ones((64, 4), bool))
    assert not np.array_equal(world.sense().served, before)


def test_walls_and_robots_stop_robots():
    world = CoverageSim(TASK, 1, 0, QUIET)
    head_on = np.array([[[0.0, 0, 0], [0.5, 0, np.pi], [0, 1.7, np.pi / 2], [0, -1.0, 0]]])
    world.reset(0, poses=head_on)
    for _ in range(30):
        world.tick(np.full((1, 4, 2), (0.5, 0.0)), EVERYBODY)
    gap = np.linalg.norm(world.poses[0, 0, :2] - world.poses[0, 1, :2])
    assert gap > 0.22
    assert world.poses[0, 2, 1] == pytest.approx(1.88, abs=0.02)


def test_an_arena_does_not_depend_on_its_place_in_the_batch():
    """Contacts included: the physics client must forget one arena before the next."""
    rng = np.random.default_rng(4)
    poses = np.zeros((3, 4, 3))
    poses[..., :2] = rng.uniform(-0.3, 0.3, (3, 4, 2))  # crowded: many contacts
    poses[2] = poses[0]
    world = CoverageSim(TASK, 3, 0, QUIET)
    world.reset(0, poses=poses)
    for _ in range(40):
        commands = np.repeat(rng.uniform(-0.5, 0.5, (1, 4, 2)), 3, axis=0)
        world.tick(commands, np.ones((3, 4), bool))
    assert np.array_equal(world.poses[0], world.poses[2])
    assert not np.array_equal(world.poses[0], world.poses[1])


def test_the_same_seed_gives_the_same_run():
    def play(seed: int) -> np.ndarray:
        mixture = FaultMixture(kinds={"random_walk": 1, "mute": 1}, probability=1.0)
        env = CoverageEnv(4, seed, faults=mixture)
        rng = np.random.default_rng(0)
        return np.stack(
            [env.step(rng.integers(0, 12, (4, 4))).observation.copy() for _ in range(30)]
        )

    assert np.array_equal(play(3), play(3))
    assert not np.array_equal(play(3), play(4))


def test_a_fault_acts_from_its_onset_and_not_before():
    env = CoverageEnv(1, 0)
    env.reset(0, Schedule.single(1, 4, FaultKind.STOP, robot=2, start_s=2.0))
    go_to = np.full((1, 4), 9)
    speeds = []
    for _ in range(20):
        env.step(go_to)
        speeds.append(np.linalg.norm(env.sense().velocity[0, 2]))
        env.step(np.full((1, 4), 1 + len(speeds) % 8))
    stopped = env.kinds[0, 2] == FaultKind.STOP
    assert stopped
    assert max(speeds[:5]) > 0.1
    assert max(speeds[6:]) < 0.1  # only pushed by others, if at all
    assert env.types.tolist() == [[0, 0, 1, 0]]


def test_a_mute_robot_moves_exactly_like_a_healthy_one():
    def path(kind: FaultKind) -> np.ndarray:
        env = CoverageEnv(1, 0)
        env.reset(5, Schedule.single(1, 4, kind, robot=1))
        rng = np.random.default_rng(1)
        poses = []
        for _ in range(40):
            env.step(rng.integers(0, 12, (1, 4)))
            poses.append(env.sense().pose.copy())
        return np.stack(poses)

    assert np.array_equal(path(FaultKind.MUTE), path(FaultKind.NONE))


def test_types_are_drawn_for_each_environment_and_each_episode():
    mixture = FaultMixture(kinds={"mute": 1}, probability=0.5)
    env = CoverageEnv(512, 0, faults=mixture, episode_decisions=1)
    first = env.schedule.kind.copy()
    env.step(np.zeros((512, 4), int))
    second = env.schedule.kind
    for kinds in (first, second):
        assert (kinds > 0).any(-1).mean() == pytest.approx(0.5, abs=0.08)
        assert (kinds > 0).sum(-1).max() == 1
        assert (kinds > 0).mean(0) == pytest.approx(np.full(4, 0.125), abs=0.05)
    assert (first != second).any(-1).mean() > 0.5


def test_a_robot_is_mended_and_the_next_episode_draws_its_own_end():
    mixture = FaultMixture(kinds={"mute": 1}, probability=1.0, from_start=1.0, ends=1.0)
    env = CoverageEnv(64, 0, faults=mixture, episode_decisions=10)
    ends = []
    for _ in range(2):
        assert env.schedule.end_s is not None
        ends.append(env.schedule.end_s.copy())
        faulty = []
        for _ in range(10):
            faulty.append(env.types.sum(-1))
            env.step(np.zeros((64, 4), int))
        assert (np.diff(faulty, axis=0) <= 0).all()
        assert (faulty[0] == 1).all()
        assert 0 < faulty[-1].mean() < 0.3
    assert (ends[0] != ends[1]).all()


def test_the_time_limit_truncates_and_keeps_the_final_observation():
    env = CoverageEnv(2, 0, episode_decisions=3)
    for _ in range(2):
        assert not env.step(np.zeros((2, 4), int)).truncated.any()
    last = env.step(np.zeros((2, 4), int))
    assert last.truncated.all()
    assert not last.terminated.any()
    assert not np.array_equal(last.observation, last.info["final_observation"])
    assert not env.step(np.zeros((2, 4), int)).truncated.any()


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 3), int), "expected integers of shape"),
        (np.full((2, 4), 12), "action (12|-1) of agent 0 .* not available"),
        (np.full((2, 4), -1), "action (12|-1) of agent 0 .* not available"),
        (np.full((2, 4), np.nan), "expected integers"),
    ],
)
def test_illegal_actions_are_refused_and_leave_the_environment_usable(actions, message):
    env = CoverageEnv(2, 0)
    before = env.sense().pose.copy()
    with pytest.raises(ValueError, match=message):
        env.step(actions)
    assert np.array_equal(env.sense().pose, before)
    env.step(np.zeros((2, 4), int))


def test_an_unknown_environment_is_refused_with_the_nearest_name():
    with pytest.raises(EirError, match="swarm-coverage"):
        sim.make("swarm-coverge")


@pytest.mark.parametrize("batch", [0, -1])
def test_an_empty_batch_is_refused(batch):
    with pytest.raises(ValueError, match="at least 1"):
        CoverageEnv(batch=batch)

"""Rendezvous, pursuit and transport: what pays, what a broken robot costs, what is refused."""

import numpy as np
import pytest

from eir_ros.contract import pursuit, rendezvous, transport
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from sim.scene import Box
from sim.swarm.arena import SwarmWorld
from sim.swarm.env import CoverageEnv, PursuitEnv, RendezvousEnv, SwarmEnv, TransportEnv
from sim.swarm.pursuit import PursuitSim, PursuitWorld
from sim.swarm.rendezvous import RendezvousSim
from sim.swarm.sensing import Sensing
from sim.swarm.transport import TransportSim, TransportWorld

QUIET = {"actuation_noise": 0, "track_noise": 0, "track_velocity_noise": 0, "reading_flip": 0}
STAND = np.zeros((1, 4, 2))
ALL = np.ones((1, 4), bool)
TASKS = (CoverageEnv, RendezvousEnv, PursuitEnv, TransportEnv)


def places(*xy: tuple[float, float]) -> np.ndarray:
    poses = np.zeros((1, len(xy), 3))
    poses[0, :, :2] = xy
    return poses


def returns(env: SwarmEnv, action: int, kind: FaultKind = FaultKind.NONE) -> float:
    env.reset(0, Schedule.single(env.batch, env.num_agents, kind, 0))
    joint = np.full((env.batch, env.num_agents), action)
    return float(sum(env.step(joint).reward.mean() for _ in range(env.episode_decisions)))


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("count", [3, 16])
@pytest.mark.parametrize("body", ["planar", "wheels"])
def test_a_team_of_another_size_does_not_fit(kind, count, body):
    extra = {"num_sites": 2} if kind is CoverageEnv else {}
    task = {"num_robots": count, **extra}
    env = kind(2, 0, task=task, world={"body": body})
    rng = np.random.default_rng(0)
    for _ in range(5):
        step = env.step(rng.integers(0, env.num_actions, (2, count)))
    assert step.observation.shape == (2, count, env.task.layout.size)
    assert np.isfinite(step.observation).all()
    assert np.isfinite(env.state).all()
    env.close()


@pytest.mark.parametrize("kind", TASKS)
def test_wheels_or_limited_sight_are_for_coverage_alone(kind):
    world = {"body": "wheels", "sensing": Sensing(range_m=1.5, occlusion=True, dropout=0.1)}
    worlds = {PursuitEnv: PursuitWorld, TransportEnv: TransportWorld, RendezvousEnv: SwarmWorld}
    if kind is CoverageEnv:
        return
    env = kind(1, 0, world=worlds[kind](**world))
    rng = np.random.default_rng(0)
    unseen = False
    for _ in range(10):
        env.step(rng.integers(0, env.num_actions, (1, 4)))
        unseen |= not env.sense().visible.all()
    assert unseen
    assert np.isfinite(env.observation).all()
    env.close()


# Rendezvous


def test_groups_do_not_pass_through_robots_that_do_not_work():
    task = rendezvous.RendezvousTask()
    world = RendezvousSim(task, 1, 0, SwarmWorld(**QUIET))
    world.reset(0, places((0, 0), (0.4, 0), (0.8, 0), (-1.5, 0)))
    world.tick(STAND, ALL)
    assert world.groups.tolist() == [[3, 3, 3, 1]]
    linked = world.reward()[0]
    broken = ALL.copy()
    broken[0, 1] = False
    world.tick(STAND, broken)
    assert world.groups.tolist() == [[1, 0, 1, 1]]
    assert world.reward()[0] < linked - 0.3


def test_readings_of_links_are_wrong_without_noise():
    world = RendezvousSim(rendezvous.RendezvousTask(), 1, 0, SwarmWorld(**QUIET))
    world.reset(0, places((0, 0), (0.4, 0), (1.5, 0), (-1.5, 0)))
    for _ in range(2):
        world.tick(STAND, np.array([[True, False, True, True]]))
    # the broken robot has company, its neighbour has none that works
    assert world.sense().linked.tolist() == [[False, True, False, False]]


def test_gathering_pays_no_more_than_standing_and_a_mute_robot_costs_nothing():
    env = RendezvousEnv(8, 0, episode_decisions=45)
    centre = env.task.actions.index("go_to_centre")
    gathered = returns(env, centre)
    assert gathered > returns(env, 0) + 10
    assert returns(env, centre, FaultKind.MUTE) < gathered - 5
    env.close()


def test_a_robot_goes_to_a_teammate_that_it_does_not_see():
    task = rendezvous.RendezvousTask()
    sim = RendezvousSim(task, 1, 0, SwarmWorld(**QUIET, sensing=Sensing(range_m=1.0)))
    sim.reset(0, places((0, 0), (0.9, 0), (1.8, 0), (-1.8, 0)))
    sensed = sim.sense()
    goals = [rendezvous.decode(task, np.full((1, 4), a), sensed).goal[0, 0] for a in (9, 10, 12)]
    assert goals[0] == pytest.approx([0.9, 0])
    assert goals[1] == pytest.approx([0, 0])
    assert goals[2] == pytest.approx([0.45, 0])


# Pursuit


def hunted(robots: np.ndarray, evader: tuple[float, float]) -> PursuitSim:
    # an evader that sees nobody stays where it is
    world = PursuitWorld(**QUIET, alert_radius=0.01)
    sim = PursuitSim(pursuit.PursuitTask(), 1, 0, world)
    sim.reset(0, robots)
    sim.evader[0] = evader
    return sim


RING = [(0.4, 0.0), (-0.25, 0.35), (-0.25, -0.35), (1.5, 1.5)]


def test_a_ring_of_three_does_not_catch():
    sim = hunted(places(*RING), (0, 0))
    sim.tick(STAND, ALL)
    assert sim.caught.tolist() == [1]
    assert sim.reward()[0] > 5
    # it has appeared elsewhere
    gap = np.linalg.norm(sim.evader[0] - sim.poses[0, :, :2], axis=-1).min()
    assert gap > 0.9
    sim.tick(STAND, ALL)
    assert sim.caught.tolist() == [1], "counts until the next decision"
    sim.tick(STAND, ALL)
    assert sim.caught.tolist() == [0]


@pytest.mark.parametrize(
    ("robots", "working"),
    [
        (RING, [True, True, False, True]),  # a hole: one of the ring does not work
        ([(0.4, 0.0), (0.3, 0.3), (0.3, -0.3), (1.5, 1.5)], [True] * 4),  # all on one side
        ([(0.4, 0.0), (-0.4, 0.1), (1.0, -1.0), (1.5, 1.5)], [True] * 4),  # two are not enough
    ],
)
def test_a_ring_with_a_hole_catches(robots, working):
    sim = hunted(places(*robots), (0, 0))
    sim.tick(STAND, np.array([working]))
    assert sim.caught.tolist() == [0]


def test_walls_do_not_help_to_surround():
    robots = places((1.4, 1.4), (1.25, 1.75), (1.75, 1.25), (-1, -1))
    sim = hunted(robots, (1.8, 1.8))
    sim.tick(STAND, ALL)
    assert sim.caught.tolist() == [1]


def test_an_evader_runs_into_its_pursuer_or_flees_from_a_broken_robot():
    sim = PursuitSim(pursuit.PursuitTask(), 1, 0, PursuitWorld(**QUIET))
    for works, expected in ((True, 0.6), (False, 0.0)):
        sim.reset(0, places((0.5, 0), (-1.8, 1.8), (-1.8, -1.8), (1.8, 1.8)))
        sim.evader[0] = 0.0
        sim.tick(STAND, np.array([[works, True, True, True]]))
        assert np.linalg.norm(sim.evader_velocity[0]) == pytest.approx(expected)
        assert sim.evader[0, 0] <= 0.0


def test_a_robot_sees_the_evader_through_a_teammate():
    sim = PursuitSim(
        pursuit.PursuitTask(), 1, 0, PursuitWorld(**QUIET, sensing=Sensing(occlusion=True))
    )
    sim.reset(0, places((-1, 0), (-0.5, 0), (0, 1), (1, 0)))
    sim.evader[0] = 0.0
    sensed = sim.sense()
    assert sensed.evader_visible.tolist() == [[False, True, True, True]]
    part = sim.task.layout.slices()
    observation = pursuit.observe(sim.task, sensed)
    assert not observation[0, 0, part["evader_position"]].any()
    assert pursuit.decode(sim.task, np.full((1, 4), 9), sensed).goal[0, 0].tolist() == [-1, 0]


# Transport


def boxed(*xy: tuple[float, float], yaw: float = 0.0) -> TransportSim:
    """A box in the middle that shall go east; robots look east."""
    sim = TransportSim(transport.TransportTask(), 1, 0, TransportWorld(**QUIET))
    sim.reset(0, places(*xy))
    sim.box[0] = (0, 0, yaw)
    sim.goal[0] = (1.1, 0)
    return sim


WEST = [(-0.48, 0.15), (-0.48, -0.15)]
AWAY = [(1.7, 1.7), (1.7, -1.7)]
FORWARD = np.array([[[0.5, 0]] * 2 + [[0, 0]] * 2])


def test_one_robot_moves_the_box_or_two_do_not():
    alone = boxed(*WEST, *AWAY)
    for _ in range(10):
        alone.tick(FORWARD * [[[1], [0], [1], [1]]], ALL)
    assert not alone.box.any()
    assert np.abs(alone.poses[0, 0, 0] + 0.47) < 0.02, "it does not give way"
    both = boxed(*WEST, *AWAY)
    paid = 0.0
    for tick in range(10):
        both.tick(FORWARD, ALL)
        paid += both.reward()[0] if tick % 2 else 0.0
    assert both.box[0, 0] > 0.2
    assert paid == pytest.approx(10 * both.box[0, 0], rel=0.01)
    assert both.poses[0, :2, 0] == pytest.approx(both.box[0, 0] - 0.47, abs=0.03)


def test_the_push_of_a_broken_robot_helps():
    sim = boxed(*WEST, *AWAY)
    for _ in range(5):
        sim.tick(FORWARD, np.array([[True, False, True, True]]))
    assert not sim.box.any()
    # but it can push back
    sim = boxed(*WEST, (0.48, 0.0), AWAY[0])
    sim.poses[0, 2, 2] = np.pi
    commands = np.array([[[0.5, 0]] * 3 + [[0, 0]]])
    for _ in range(5):
        sim.tick(commands, np.array([[True, True, False, True]]))
    assert not sim.box.any()


def test_a_box_turns_when_it_is_pushed_through_its_middle_alone():
    sim = boxed((-0.48, 0.25), (0.48, -0.25), *AWAY)
    sim.poses[0, 1, 2] = np.pi
    for _ in range(5):
        sim.tick(FORWARD, ALL)
    assert sim.box[0, :2] == pytest.approx([0, 0], abs=1e-6)
    assert sim.box[0, 2] < -0.01  # clockwise


def test_a_delivered_box_keeps_its_goal():
    sim = boxed(*WEST, *AWAY)
    sim.goal[0] = (0.3, 0)
    for _ in range(10):
        sim.tick(FORWARD, ALL)
        if sim.delivered[0]:
            break
    assert sim.delivered[0] == 1
    assert sim.reward()[0] > 3
    assert np.linalg.norm(sim.goal[0] - sim.box[0, :2]) >= 1.0


def test_robots_see_through_the_box():
    world = TransportWorld(**QUIET, sensing=Sensing(occlusion=True))
    sim = TransportSim(transport.TransportTask(), 1, 0, world)
    sim.reset(0, places((-1, 0), (1, 0), (-1, 1), (1, 1.5)))
    sim.box[0] = 0.0
    sim.tick(STAND, ALL)
    assert sim.sense().visible[0].tolist()[0] == [False, True, True]


def test_a_robot_on_the_wrong_side_pushes_where_it_is():
    task = transport.TransportTask()
    sim = boxed((0.6, 0.0), (-0.6, 0.1), (0.0, 0.7), (-0.8, 0.8))
    goal = transport.decode(task, np.full((1, 4), 9), sim.sense()).goal[0]
    assert goal[0] == pytest.approx([0.6, -0.65], abs=1e-6) or goal[0, 1] == pytest.approx(0.65)
    assert goal[1] == pytest.approx([-0.05, 0.1], abs=1e-6)  # presses
    assert goal[2] == pytest.approx([-0.65, 0.65], abs=1e-6)  # past the corner
    assert goal[3] == pytest.approx([-0.65, 0.0], abs=1e-6)  # before the face


def test_pushing_together_pays_nothing():
    env = TransportEnv(8, 0)
    assert returns(env, env.task.actions.index("push_face_1")) > 4
    assert any(isinstance(item, Box) for item in env.scene(3).items)
    env.close()


def test_a_box_that_does_not_fit_the_arena_is_accepted():
    with pytest.raises(ValueError, match="walls"):
        TransportSim(transport.TransportTask(), 1, 0, TransportWorld(goal_range=1.9))

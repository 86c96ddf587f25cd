"""Observations, actions and commands: what the policy meets on a robot is what it met before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eir_ros.contract.coverage import (
    CoverageTask,
    Sensed,
    command,
    decode,
    nearest_sites,
    observe,
)
from eir_ros.contract.types import p_adversary, teammates

TASK = CoverageTask()


def sensed(rng: np.random.Generator, *lead: int, task: CoverageTask = TASK) -> Sensed:
    """A plausible random scene with leading dimensions `lead`."""
    n, m = task.num_robots, task.num_sites
    return Sensed(
        pose=rng.uniform(-2, 2, (*lead, 3)),
        velocity=rng.uniform(-0.5, 0.5, (*lead, 2)),
        tracks=rng.uniform(-2, 2, (*lead, n - 1, 4)),
        visible=rng.random((*lead, n - 1)) < 0.7,
        sites=rng.uniform(-1.4, 1.4, (*lead, m, 2)),
        served=rng.random((*lead, m)) < 0.5,
        index=rng.integers(0, n, lead),
    )


def at(pose: tuple[float, float, float], sites: list[list[float]] | None = None) -> Sensed:
    """One robot, r0, at that pose; teammates stand invisible at the origin."""
    return Sensed(
        pose=np.array(pose),
        velocity=np.zeros(2),
        tracks=np.zeros((3, 4)),
        visible=np.zeros(3, bool),
        sites=np.array(sites or [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]),
        served=np.zeros(3, bool),
        index=np.array(0),
    )


def fields(scene: Sensed, task: CoverageTask = TASK) -> dict[str, np.ndarray]:
    """The observation of one robot by the names of its layout."""
    vector = observe(task, scene)
    return {name: vector[part] for name, part in task.layout.slices().items()}


@pytest.mark.parametrize(("robots", "sites"), [(3, 1), (4, 3), (7, 6)])
def test_the_vector_is_as_long_as_its_layout(robots: int, sites: int):
    task = CoverageTask(num_robots=robots, num_sites=sites)
    vector = observe(task, sensed(np.random.default_rng(0), 5, robots, task=task))
    assert vector.shape == (5, robots, task.layout.size)
    assert vector.dtype == np.float32


def test_a_batch_observes_what_each_robot_alone_observes():
    scene = sensed(np.random.default_rng(1), 6, 4)
    together = observe(TASK, scene)
    for b, i in np.ndindex(6, 4):
        alone = Sensed(**{name: value[b, i] for name, value in vars(scene).items()})
        np.testing.assert_array_equal(together[b, i], observe(TASK, alone))


def test_numbers_that_went_over_the_wire_observe_the_same():
    scene = sensed(np.random.default_rng(2), 8, 4)
    carried = Sensed(**vars(scene))
    for name in ("tracks", "sites"):
        setattr(carried, name, getattr(scene, name).astype(np.float32).astype(np.float64))
    np.testing.assert_array_equal(observe(TASK, carried), observe(TASK, scene))


def test_positions_are_relative_but_keep_the_axes_of_the_map():
    scene = at((0.5, -0.5, np.pi / 2))
    scene.tracks[1] = [1.5, -0.5, 0.1, 0.2]
    scene.visible[1] = True
    seen = fields(scene)
    np.testing.assert_allclose(seen["position"], [0.5, -0.5])
    np.testing.assert_allclose(seen["heading"], [0.0, 1.0], atol=1e-7)
    np.testing.assert_allclose(seen["teammate_position"].reshape(3, 2)[1], [1.0, 0.0])
    np.testing.assert_allclose(seen["teammate_velocity"].reshape(3, 2)[1], [0.1, 0.2])
    np.testing.assert_allclose(seen["sites"].reshape(3, 2)[0], [0.5, 0.5])


def test_a_teammate_out_of_sight_leaks_nothing():
    scene = sensed(np.random.default_rng(3), 4)
    scene.visible[:] = False
    hidden = observe(TASK, scene)
    scene.tracks = scene.tracks + 1.0
    np.testing.assert_array_equal(observe(TASK, scene), hidden)


def test_the_heading_does_not_jump_where_the_angle_does():
    before, after = (observe(TASK, at((0.0, 0.0, yaw))) for yaw in (np.pi - 1e-4, -np.pi + 1e-4))
    np.testing.assert_allclose(before, after, atol=1e-3)


def test_sites_come_nearest_first_with_their_own_reading():
    scene = at((0.9, 0.0, 0.0), sites=[[-1.0, 0.0], [1.0, 0.0], [0.0, 0.5]])
    scene.served[:] = [False, True, False]
    assert nearest_sites(scene).tolist() == [1, 2, 0]
    np.testing.assert_array_equal(fields(scene)["served"], [1.0, 0.0, 0.0])


def test_equally_near_sites_keep_their_order():
    scene = at((0.0, 0.0, 0.0), sites=[[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]])
    assert nearest_sites(scene).tolist() == [0, 1, 2]


def test_actions_are_named_as_they_are_decoded():
    assert TASK.actions[0] == "stop"
    assert TASK.actions[1:9:2] == ("east", "north", "west", "south")
    assert TASK.actions[9:] == tuple(f"go_to_nearest_site_{k}" for k in (1, 2, 3))
    scene = at((0.0, 0.0, 0.0))
    compass = {"east": (1, 0), "north": (0, 1), "west": (-1, 0), "south": (0, -1)}
    for name, direction in compass.items():
        decision = decode(TASK, np.array(TASK.actions.index(name)), scene)
        np.testing.assert_allclose(decision.velocity, np.array(direction) * 0.5, atol=1e-12)
        assert not decision.homing


def test_a_goal_is_the_site_of_that_rank():
    scene = at((0.9, 0.0, 0.0), sites=[[-1.0, 0.0], [1.0, 0.0], [0.0, 0.5]])
    for rank, site in enumerate([[1.0, 0.0], [0.0, 0.5], [-1.0, 0.0]]):
        decision = decode(TASK, np.array(9 + rank), scene)
        assert decision.homing
        np.testing.assert_array_equal(decision.goal, site)


def test_an_action_that_does_not_exist_is_not_taken_for_another():
    with pytest.raises(IndexError):
        decode(TASK, np.array(len(TASK.actions)), at((0.0, 0.0, 0.0)))


def test_stop_commands_nothing():
    scene = at((0.3, -0.2, 1.0))
    stop = decode(TASK, np.array(0), scene)
    np.testing.assert_array_equal(command(TASK, stop, scene.pose), [0.0, 0.0])


@pytest.mark.parametrize(("yaw", "forward", "turns"), [(0.0, 0.5, 0), (np.pi, -0.5, 0)])
def test_a_robot_drives_along_its_axis(yaw: float, forward: float, turns: int):
    scene = at((0.0, 0.0, yaw))
    east = decode(TASK, np.array(TASK.actions.index("east")), scene)
    np.testing.assert_allclose(command(TASK, east, scene.pose), [forward, turns], atol=1e-6)


@pytest.mark.parametrize(("name", "sign"), [("north", 1), ("south", -1)])
def test_a_robot_turns_towards_what_lies_beside_it(name: str, sign: int):
    scene = at((0.0, 0.0, 0.0))
    aside = decode(TASK, np.array(TASK.actions.index(name)), scene)
    forward, yaw_rate = command(TASK, aside, scene.pose)
    assert abs(forward) < 1e-9
    assert yaw_rate == sign * TASK.max_yaw_rate


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_no_command_exceeds_the_limits(seed: int):
    rng = np.random.default_rng(seed)
    scene = sensed(rng, 16, 4)
    decision = decode(TASK, rng.integers(0, len(TASK.actions), (16, 4)), scene)
    twist = command(TASK, decision, scene.pose)
    assert np.isfinite(twist).all()
    assert (np.abs(twist[..., 0]) <= TASK.max_speed + 1e-9).all()
    assert (np.abs(twist[..., 1]) <= TASK.max_yaw_rate + 1e-9).all()


@pytest.mark.parametrize("yaw", [0.0, 1.0, 2.5, np.pi, -2.0])
def test_a_robot_that_goes_to_a_site_comes_to_serve_it(yaw: float):
    scene = at((-1.0, 0.3, yaw), sites=[[1.0, -0.5], [1.9, 1.9], [1.9, -1.9]])
    goal = decode(TASK, np.array(9), scene)
    pose = scene.pose.copy()
    for _ in range(70):
        forward, yaw_rate = command(TASK, goal, pose)
        middle = pose[2] + 0.5 * TASK.tick_s * yaw_rate
        pose += TASK.tick_s * np.array(
            [forward * np.cos(middle), forward * np.sin(middle), yaw_rate]
        )
    assert np.hypot(*(pose[:2] - scene.sites[0])) < TASK.serve_radius


def test_nobody_watches_himself():
    watched = teammates(4)
    assert watched.shape == (4, 3)
    assert [sorted({*row.tolist(), i}) for i, row in enumerate(watched)] == [[0, 1, 2, 3]] * 4
    assert watched[2].tolist() == [0, 1, 3]


def test_every_type_but_the_first_is_an_adversary():
    belief = np.array([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5]])
    np.testing.assert_allclose(p_adversary(belief), [0.3, 0.8])

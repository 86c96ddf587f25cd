"""Bodies: the shortcut of planar ones, the mechanics of wheeled ones, and what must not leak."""

import numpy as np
import psutil
import pytest
from pydantic import ValidationError

from sim.swarm.body import PlanarBodies
from sim.swarm.coverage import CoverageWorld
from sim.swarm.env import CoverageEnv
from sim.swarm.wheels import WheelBodies, WheelDrive

WHEELS = CoverageWorld(body="wheels")


def one(**drive: float) -> WheelBodies:
    return WheelBodies(1, 1, 2.0, 0.1, WheelDrive(**drive))


def drive(bodies: WheelBodies, pose: list[float], commands: list[list[float]]) -> np.ndarray:
    """Poses after each tick, (T, 3)."""
    poses, found = np.array([[pose]], float), []
    for command in commands:
        bodies.tick(poses, np.array([[command]]))
        found.append(poses[0, 0].copy())
    bodies.close()
    return np.stack(found)


def test_coasting_differs_from_the_engine_by_a_bit():
    """Robots that touch nobody must be where the engine would have put them."""
    rng = np.random.default_rng(0)
    free = PlanarBodies(4, 0.12, 2.0, 0.1)
    poses = np.zeros((300, 4, 3))
    poses[..., :2] = rng.uniform(-1.9, 1.9, (300, 4, 2))
    poses[..., 2] = rng.uniform(-4, 4, (300, 4))
    commands = rng.normal(0, 0.5, (300, 4, 2))
    by_engine, start = poses.copy(), poses.copy()
    free.tick(poses, commands)
    turn = commands[..., 1] * 0.1
    course = start[..., 2] + 0.5 * turn
    for b in range(300):
        speeds = commands[b, :, :1] * np.stack([np.cos(course[b]), np.sin(course[b])], -1)
        by_engine[b, :, :2] = free._arena(start[b, :, :2].tolist(), speeds.tolist())
    free.close()
    assert np.array_equal(poses[..., :2], by_engine[..., :2])


def test_a_wheeled_robot_drives_as_told_after_it_has_sped_up():
    path = drive(one(), [0, 0, 0], [[0.4, 0.0]] * 20)
    assert (path[-1, 0] - path[-6, 0]) / 0.5 == pytest.approx(0.4, rel=0.02)
    assert path[0, 0] < 0.8 * 0.04  # its mass is felt
    assert abs(path[-1, 1]) < 0.01
    turned = drive(one(), [0, 0, 0], [[0.0, 1.5]] * 10)
    assert (turned[-1, 2] - turned[-6, 2]) / 0.5 == pytest.approx(1.5, rel=0.02)
    assert np.abs(turned[:, :2]).max() < 0.01


def test_torque_and_friction_limit_nothing():
    weak = drive(one(torque=0.02), [0, 0, 0], [[0.5, 0.0]] * 4)
    strong = drive(one(torque=0.08), [0, 0, 0], [[0.5, 0.0]] * 4)
    assert weak[-1, 0] < 0.6 * strong[-1, 0]
    ice = drive(one(friction=0.05), [0, 0, 0], [[0.5, 0.0]] * 4)
    assert ice[-1, 0] < 0.5 * strong[-1, 0]  # the wheels slip


def test_wheeled_robots_pass_through_walls_and_each_other():
    bodies = WheelBodies(1, 2, 2.0, 0.1, WheelDrive())
    poses = np.array([[[-0.4, 0, 0], [0.4, 0, np.pi]]])
    for _ in range(30):
        bodies.tick(poses, np.full((1, 2, 2), (0.5, 0.0)))
        assert np.linalg.norm(poses[0, 0, :2] - poses[0, 1, :2]) > 0.225
    bodies.close()
    assert drive(one(), [1.5, 0, 0], [[0.5, 0.0]] * 20)[:, 0].max() < 1.89


@pytest.mark.parametrize(("robots", "boxed"), [(4, False), (4, True), (16, True)])
def test_an_arena_on_wheels_depends_on_its_batch(robots: int, boxed: bool):
    """All arenas take turns in one client, which must remember nothing of the one before."""
    rng = np.random.default_rng(2)
    poses = np.zeros((3, robots, 3))
    poses[..., :2] = rng.uniform(-0.1 * robots, 0.1 * robots, (3, robots, 2))  # many contacts
    commands = rng.uniform(-0.5, 0.5, (40, 3, robots, 2))
    box, slide = np.zeros((3, 3)), rng.uniform(-0.1, 0.1, (3, 3))

    def play(batch: int) -> np.ndarray:
        bodies, there = WheelBodies(batch, robots, 2.0, 0.1, WheelDrive()), poses[:batch].copy()
        if boxed:
            bodies.add_box(0.3)
        for tick, row in enumerate(commands):
            where = (box[:batch] + 0.1 * tick * slide[:batch], slide[:batch])
            bodies.tick(there, row[:batch], where if boxed else None)
        bodies.close()
        return there

    alone, beside = play(1), play(3)
    assert np.array_equal(alone[0], beside[0])


def test_a_robot_feels_others_that_it_does_not_touch():
    """The engine solves all of them together, and is told so by ties that bear no force."""
    path = drive(one(), [0, 0, 0], [[0.4, 1.0], [0.5, -2.0], [-0.3, 0.5]] * 10)
    bodies, poses = WheelBodies(1, 3, 9.0, 0.1, WheelDrive()), np.zeros((1, 3, 3))
    poses[0, 1:, 0] = 3.0, 6.0
    for row in ([0.4, 1.0], [0.5, -2.0], [-0.3, 0.5]) * 10:
        bodies.tick(poses, np.array([[row, [0.3, 0.0], [0.0, 1.0]]]))
    bodies.close()
    assert np.array_equal(path[-1], poses[0, 0])


def test_what_happened_before_a_reset_is_felt_after_it():
    env = CoverageEnv(2, 0, world=WHEELS)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 12, (30, 2, 4))

    def play() -> np.ndarray:
        env.reset(5)
        return np.stack([env.step(row).observation.copy() for row in actions])

    first = play()
    for row in rng.integers(0, 12, (7, 2, 4)):
        env.step(row)
    assert np.array_equal(first, play())
    env.close()


@pytest.mark.parametrize("world", [CoverageWorld(), WHEELS], ids=["planar", "wheels"])
def test_resets_leave_physics_objects_behind(world):
    """A short form of 10,000 resets."""
    env = CoverageEnv(1, 0, world=world)
    stand = np.zeros((1, 4), int)
    memory = []
    for count in range(601):
        env.reset()
        env.step(stand) if count % 20 == 0 else None
        if count % 300 == 0:
            memory.append(psutil.Process().memory_info().rss)
    env.close()
    assert memory[2] - memory[1] < 2**20


def test_wheels_are_fitted_to_a_body_of_another_size():
    with pytest.raises(ValidationError, match=r"0\.12"):
        CoverageWorld(body="wheels", robot_radius=0.2)
    with pytest.raises(ValidationError):
        WheelDrive(torque=0)

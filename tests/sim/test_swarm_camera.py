"""PyBullet's camera: what it shows is where it is, and looking changes nothing."""

from collections.abc import Iterator

import numpy as np
import pytest

import sim
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from sim.pen import FILL, Pen, channels
from sim.scene import Box, Disc, Line, Scene
from sim.swarm.camera import Camera

SIDE = 2.0
WORLDS = ("swarm-coverage", "swarm-rendezvous", "swarm-pursuit", "swarm-transport")


@pytest.fixture(params=[False, True], ids=["planar", "wheels"])
def camera(request: pytest.FixtureRequest) -> Iterator[Camera]:
    camera = Camera(SIDE, wheels=request.param)
    yield camera
    camera.close()


def photo(camera: Camera, *items: Disc | Box | Line) -> np.ndarray:
    """A picture (H, W, 3) of some items."""
    scene = Scene((-SIDE, -SIDE, SIDE, SIDE), list(items))
    pen = Pen(400, round(400 / camera.aspect(scene)))
    camera.paint(scene, pen)
    return np.asarray(pen.finished()).astype(int)


def seen(picture: np.ndarray, role: str) -> np.ndarray:
    """Pixels (K, 2), row and column, of about the colour of a role."""
    return np.argwhere(np.abs(picture - channels(FILL[role])).max(-1) < 30)


def robot(x: float, y: float, role: str = "agent", yaw: float = 0.0) -> Disc:
    return Disc((x, y), 0.12, role, "r0", yaw)


def test_left_is_left_and_what_is_near_is_low_and_large(camera):
    middle, left, near, far = (
        seen(photo(camera, robot(x, y)), "agent") for x, y in ((0, 0), (-1, 0), (0, -1.5), (0, 1.5))
    )
    assert left[:, 1].mean() < middle[:, 1].mean() - 40
    assert near[:, 0].mean() > middle[:, 0].mean() + 40
    assert far[:, 0].mean() < middle[:, 0].mean() - 40
    assert len(near) > len(far) > 20


def test_robots_in_all_corners_are_in_the_picture(camera):
    whole = len(seen(photo(camera, robot(0, 1.8)), "agent"))
    for x in (-1.8, 1.8):
        for y in (-1.8, 1.8):
            assert len(seen(photo(camera, robot(x, y)), "agent")) > 0.8 * whole


def dark(camera: Camera, item: Disc) -> np.ndarray:
    """Pixels (K, 2), row and column, that become dark by an item."""
    now, before = photo(camera, item), photo(camera)
    return np.argwhere((now.max(-1) < 60) & (before.max(-1) > 60))


def test_a_faulty_robot_is_told_apart_without_its_colour(camera):
    assert len(dark(camera, robot(0, 0, "faulty"))) > 1.5 * len(dark(camera, robot(0, 0)))
    assert len(seen(photo(camera, robot(0, 0, "faulty")), "faulty")) > 20
    assert not len(seen(photo(camera, robot(0, 0)), "faulty"))


def test_it_is_seen_where_a_robot_heads(camera):
    # the name, dark too, stands in the middle
    right, left = (dark(camera, robot(0, 0, yaw=yaw))[:, 1].mean() for yaw in (0.0, np.pi))
    assert right > left + 5


@pytest.mark.parametrize("role", ["goal", "done", "faint", "opponent", "wall"])
def test_every_thing_of_the_tasks_is_seen(camera, role):
    item = Box((0, 0), (0.4, 0.4)) if role == "wall" else Disc((0, 0), 0.3, role)
    without = photo(camera)
    with_it = photo(camera, item)
    change = np.argwhere(np.abs(with_it - without).max(-1) > 8)
    assert len(change) > 100
    assert abs(change[:, 1].mean() - without.shape[1] / 2) < 2


def test_a_link_is_seen(camera):
    assert len(seen(photo(camera, Line(((-1, 0), (1, 0)), "agent")), "agent")) > 100


def test_what_is_outside_the_walls_is_not_shown(camera):
    assert np.array_equal(photo(camera, Disc((3.2, 0), 0.4, "goal")), photo(camera))


@pytest.mark.parametrize("body", ["planar", "wheels"])
@pytest.mark.parametrize("name", WORLDS)
def test_looking_changes_nothing(name, body):
    def states(look: bool) -> list[np.ndarray]:
        env = sim.make(name, 2, 3, world={"body": body})
        schedule = Schedule.healthy(2, env.num_agents)
        schedule.kind[0, 1] = FaultKind.STOP
        env.reset(3, schedule)
        camera = env.camera()
        rng, found = np.random.default_rng(0), []
        for _ in range(6):
            env.step(rng.integers(0, env.num_actions, (2, env.num_agents)))
            found.append(env.state.copy())
            if look:
                pen = Pen(120, 90)
                camera.paint(env.scene(0), pen)
                assert len(np.unique(np.asarray(pen.finished()))) > 10
        camera.close()
        env.close()
        return found

    np.testing.assert_array_equal(states(look=True), states(look=False))


def test_settings_may_be_a_mapping_and_a_wrong_one_is_refused():
    env = sim.make("swarm-pursuit", world={"body": "wheels"}, task={"num_robots": 5})
    assert env.num_agents == 5
    with pytest.raises(EirError, match="did you mean 'arena'"):
        sim.make("swarm-pursuit", world={"arina": 3})
    with pytest.raises(EirError, match="world"):
        sim.make("swarm-pursuit", world={"site_period_s": 3})  # that of another task

"""Who sees whom: what must be hidden, what must not, and how often tracks are lost."""

import numpy as np
import pytest
from pydantic import ValidationError

from eir_ros.contract.coverage import CoverageTask, observe
from eir_ros.contract.scratch import Scratch
from eir_ros.contract.streams import generators
from sim.swarm.coverage import CoverageSim, CoverageWorld
from sim.swarm.sensing import Sensing, Sight, behind_box

RNG = np.random.default_rng(0)


def sight(places: list[list[float]], **settings) -> np.ndarray:
    """`visible` (N, N-1) of robots at these places."""
    eyes = Sight(Sensing(**settings), 1, len(places), 0.12, 0.1)
    eyes.look(np.array([places]), generators(0, 1))
    return eyes.visible[0]


def test_a_teammate_out_of_range_is_seen():
    seen = sight([[0, 0], [0.9, 0], [1.1, 0]], range_m=1.0)
    assert seen.tolist() == [[True, False], [True, True], [False, True]]


def test_a_robot_in_between_hides_nobody():
    # 0 and 2 look through 1; 3 stands aside and sees all
    seen = sight([[0, 0], [1, 0.05], [2, 0], [1, 1]], occlusion=True)
    assert seen.tolist() == [[True, False, True], [True] * 3, [False, True, True], [True] * 3]


@pytest.mark.parametrize(("offset", "free"), [(0.119, False), (0.121, True)])
def test_the_edge_of_a_body_is_where_it_is_not(offset, free):
    assert sight([[0, 0], [1, offset], [2, 0]], occlusion=True)[0, 1] == free


def test_a_robot_behind_the_observer_or_the_teammate_hides_them():
    assert sight([[0, 0], [1, 0], [-0.3, 0], [1.3, 0]], occlusion=True)[0, 0]


def test_the_analytic_test_disagrees_with_points_along_the_line():
    places = RNG.uniform(-2, 2, (64, 5, 2))
    eyes = Sight(Sensing(occlusion=True), 64, 5, 0.12, 0.1)
    eyes.look(places, [])
    for b, i, slot in np.ndindex(eyes.visible.shape):
        j = [k for k in range(5) if k != i][slot]
        line = places[b, i] + np.linspace(0, 1, 4001)[:, None] * (places[b, j] - places[b, i])
        gaps = [
            np.linalg.norm(line - places[b, k], axis=-1).min() for k in range(5) if k not in (i, j)
        ]
        if abs(min(gaps) - 0.12) > 1e-3:
            assert eyes.visible[b, i, slot] == (min(gaps) > 0.12)


def test_a_box_hides_what_is_beside_it_or_shows_what_is_behind_it():
    pose, half = np.array([[1.0, 0.0, np.pi / 4]]), np.array([0.3, 0.1])
    start = np.zeros((1, 1, 2))
    ends = np.array([[[2.0, 0.0], [2.0, 1.2], [0.5, 0.0]]])
    behind = behind_box(start, ends, pose, half, Scratch())
    assert behind.tolist() == [[True, False, False]]


def test_tracks_are_lost_as_often_and_for_as_long_as_said():
    eyes = Sight(Sensing(dropout=0.2, dropout_s=0.8), 64, 4, 0.12, 0.1)
    rngs = generators(1, 64)
    seen = []
    for _ in range(1000):
        eyes.look(np.zeros((64, 4, 2)), rngs)
        seen.append(eyes.visible.copy())
    lost = ~np.stack(seen)
    assert lost.mean() == pytest.approx(0.2, abs=0.01)
    assert lost[0].mean() == pytest.approx(0.2, abs=0.05)
    starts = (lost[1:] & ~lost[:-1]).sum()
    assert lost[1:].sum() / starts * 0.1 == pytest.approx(0.8, abs=0.05)
    # independent between observers of the same teammate
    assert (lost[:, :, 0, 2] & lost[:, :, 1, 2]).mean() == pytest.approx(0.04, abs=0.01)


def test_what_is_out_of_sight_reaches_the_observation():
    task = CoverageTask()
    world = CoverageSim(task, 8, 0, CoverageWorld(sensing=Sensing(range_m=1.0)))
    sensed = world.sense()
    assert not sensed.visible.all()
    part = task.layout.slices()
    observation = observe(task, sensed)
    for name, size in (("teammate_position", 2), ("teammate_velocity", 2), ("teammate_visible", 1)):
        block = observation[..., part[name]].reshape(8, 4, 3, size)
        assert not block[~sensed.visible].any()
    assert observation[..., part["teammate_visible"]].any()


def test_sight_without_drop_outs_moves_the_other_random_numbers():
    def run(sensing: Sensing) -> np.ndarray:
        world = CoverageSim(CoverageTask(), 2, 5, CoverageWorld(sensing=sensing))
        for _ in range(30):
            world.tick(np.full((2, 4, 2), 0.3), np.ones((2, 4), bool))
        return world.poses.copy()

    assert np.array_equal(run(Sensing()), run(Sensing(range_m=0.8, occlusion=True)))


@pytest.mark.parametrize(
    "wrong", [{"range_m": 0}, {"dropout": 1.0}, {"dropout": 0.1, "dropout_s": 0.01}, {"fog": 1}]
)
def test_impossible_sensing_is_accepted(wrong):
    with pytest.raises(ValidationError):
        Sensing(**wrong)

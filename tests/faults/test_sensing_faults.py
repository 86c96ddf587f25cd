"""A faulty sense must lie as its name says, and tell the truth before and after."""

import numpy as np
import pytest

from eir_ros.contract.coverage import Sensed
from eir_ros.contract.fault_parameters import columns
from eir_ros.contract.faults import SENSING, FaultKind, parse_fault
from eir_ros.faults.senses import Senses
from eir_ros.faults.sensing import SensingFaults
from eir_ros.faults.timeline import Timeline

MATES, TICK_S = 3, 0.1


def truth(tick: int) -> Sensed:
    """Of two robots; the first one stays healthy."""
    return Sensed(
        pose=np.full((2, 3), 0.01 * tick),
        velocity=np.full((2, 2), 0.1),
        tracks=np.full((2, MATES, 4), 0.02 * tick, np.float32),
        visible=np.ones((2, MATES), bool),
        sites=np.zeros((2, 3, 2)),
        served=np.zeros((2, 3), bool),
        index=np.arange(2),
    )


def run(kind: FaultKind, ticks: int = 60, onset: int = 20, end: int = 40, seed: int = 0, **given):
    """What is sensed, by tick; the second robot is faulty in between."""
    faults = SensingFaults((2,), MATES, TICK_S, seed)
    values = np.array([columns("none", {}), columns(kind.word, given)])
    found = []
    for tick in range(ticks):
        kinds = np.array([FaultKind.NONE, kind if onset <= tick < end else FaultKind.NONE], np.int8)
        found.append(faults.apply(kinds, truth(tick), values))
    return found


def own(found, robot=1):
    return np.array([sensed.pose[robot] for sensed in found])


def others(found, robot=1):
    return np.array([sensed.tracks[robot] for sensed in found])


TRUE = np.array([truth(tick).pose[1] for tick in range(60)])


@pytest.mark.parametrize("kind", sorted(SENSING))
def test_a_healthy_robot_or_another_time_is_lied_to(kind: FaultKind):
    found = run(kind)
    assert (own(found, 0) == TRUE).all()
    for tick in (*range(20), *range(40, 60)):
        assert (found[tick].pose == truth(tick).pose).all()
        assert (found[tick].tracks == truth(tick).tracks).all()
        assert found[tick].visible.all()
    changed = [
        not (found[tick].pose[1] == TRUE[tick]).all() or not found[tick].visible[1].all()
        for tick in range(21, 40)
    ]
    assert any(changed)


def test_frozen_senses_go_on_and_come_back():
    found = run(FaultKind.FROZEN)
    assert (own(found)[20:40] == TRUE[20]).all()
    assert (others(found)[20:40] == truth(20).tracks[1]).all()


def test_an_offset_is_another_than_was_asked_for():
    found = run(FaultKind.OFFSET, x=1.0, y=-2.0, yaw=0.5)
    assert own(found)[20:40] - TRUE[20:40] == pytest.approx(np.tile([1.0, -2.0, 0.5], (20, 1)))
    assert (others(found)[30] == truth(30).tracks[1]).all()


def test_a_drifting_odometry_walks_another_way_than_straight():
    off = own(run(FaultKind.ODOM_DRIFT, speed=0.2, turn=0.1))[20:40] - TRUE[20:40]
    steps = np.diff(off, axis=0)
    assert np.hypot(steps[:, 0], steps[:, 1]) == pytest.approx(0.02)
    assert steps == pytest.approx(np.tile(steps[0], (19, 1)))
    assert steps[:, 2] == pytest.approx(0.01)


def test_noise_is_of_another_size_than_was_asked_for():
    found = run(FaultKind.NOISE, ticks=2000, end=2000, sigma=0.3)
    true = np.array([truth(tick).pose[1] for tick in range(2000)])
    noise = own(found)[20:] - true[20:]
    assert noise[:, :2].std(0) == pytest.approx([0.3, 0.3], rel=0.1)
    assert (noise[:, 2] == 0).all()
    theirs = others(found)[20:] - np.array([truth(t).tracks[1] for t in range(20, 2000)])
    assert theirs[..., :2].std() == pytest.approx(0.3, rel=0.1)


def test_tracks_drop_out_for_another_share_or_length_than_was_asked_for():
    found = run(FaultKind.DROPOUT, ticks=8000, end=8000, share=0.3, length_s=0.5)
    lost = ~np.array([sensed.visible[1] for sensed in found])[20:]
    assert lost.mean() == pytest.approx(0.3, abs=0.03)
    ends = (lost[:-1] & ~lost[1:]).sum()
    assert lost.sum() / ends * TICK_S == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("kind", [FaultKind.NOISE, FaultKind.ODOM_DRIFT])
def test_the_seed_reproduces_what_is_drawn_and_another_seed_does_not(kind: FaultKind):
    first, again, other = (own(run(kind, seed=seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def single(tick: int) -> Sensed:
    return Sensed(**{name: value[1] for name, value in vars(truth(tick)).items()})


def test_on_a_robot_senses_lie_otherwise_than_in_simulation():
    """Where nothing is drawn; what is drawn differs by its streams alone."""
    for kind in (FaultKind.FROZEN, FaultKind.OFFSET):
        senses = Senses(Timeline([parse_fault(f"r1:{kind.word}@2-4")]), MATES, TICK_S, (0, 1))
        batch = run(kind)
        for tick in range(60):
            found = senses.apply(0.1 * tick, single(tick))
            assert (found.pose == batch[tick].pose[1]).all()
            assert (found.tracks == batch[tick].tracks[1]).all()


def test_which_sense_comes_first_changes_what_is_told():
    def senses():
        return Senses(Timeline([parse_fault("r1:noise(seed=4)@0")]), MATES, TICK_S, (0, 1))

    one, other, sensed = senses(), senses(), single(3)
    pose = one.odometry(0.3, sensed.pose, sensed.velocity)[0]
    tracks = one.tracks(0.3, sensed.tracks, sensed.visible)[0]
    assert (other.tracks(0.3, sensed.tracks, sensed.visible)[0] == tracks).all()
    assert (other.odometry(0.3, sensed.pose, sensed.velocity)[0] == pose).all()


def test_a_healthy_robot_pays_for_faults_that_it_has_not():
    line = Timeline([parse_fault("r1:noise@5"), parse_fault("r1:stop@2")])
    senses = Senses(line, MATES, TICK_S, (0, 1))
    sensed = single(3)
    assert senses.apply(0.3, sensed) is sensed
    assert senses.apply(2.3, sensed) is sensed

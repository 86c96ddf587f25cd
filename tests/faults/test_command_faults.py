"""Actuator faults and the attack process, elementwise over batches."""

import numpy as np
import pytest

from eir_ros.contract.faults import FaultKind
from eir_ros.faults.attack_process import executed_actions
from eir_ros.faults.command import (
    DRIFT_GAIN,
    SLOW_GAIN,
    TRACK_M,
    WALK_LIMIT,
    WEAR_RATE,
    CommandFaults,
)
from eir_ros.faults.schedule import FaultMixture


def kinds(kind: FaultKind) -> np.ndarray:
    return np.array([FaultKind.NONE, kind])


def test_only_the_faulty_robot_is_touched():
    faults = CommandFaults((2,), 0)
    wanted = np.array([[0.5, 1.0], [0.5, 1.0]])
    kinds_of_actuators = (
        FaultKind.STOP,
        FaultKind.SLOW,
        FaultKind.RANDOM_WALK,
        FaultKind.DRIFT,
        FaultKind.REVERSE,
        FaultKind.WEAR,
    )
    for kind in kinds_of_actuators:
        out = faults.apply(kinds(kind), wanted)
        assert np.array_equal(out[0], wanted[0])
        assert not np.array_equal(out[1], wanted[1])


@pytest.mark.parametrize(
    "kind", [FaultKind.MUTE, FaultKind.ADVERSARY, FaultKind.RANDOM_ACTION, FaultKind.NONE]
)
def test_faults_of_work_and_of_decisions_leave_commands_alone(kind):
    wanted = np.array([[0.5, 1.0], [-0.2, 0.3]])
    assert np.array_equal(CommandFaults((2,), 0).apply(kinds(kind), wanted), wanted)


def test_stuck_repeats_the_last_command_before_its_onset_for_ever():
    faults = CommandFaults((2,), 0)
    faults.apply(kinds(FaultKind.NONE), np.array([[0.1, 0.1], [0.4, -0.2]]))
    for step in range(5):
        out = faults.apply(kinds(FaultKind.STUCK), np.full((2, 2), float(step)))
        assert out[1].tolist() == [0.4, -0.2]
        assert out[0].tolist() == [step, step]


def test_stop_and_slow_scale_the_command():
    faults = CommandFaults((2,), 0)
    wanted = np.full((2, 2), 0.5)
    assert not faults.apply(kinds(FaultKind.STOP), wanted)[1].any()
    slow = faults.apply(kinds(FaultKind.SLOW), wanted)[1]
    assert slow == pytest.approx(SLOW_GAIN * wanted[1])


def test_a_drifting_robot_turns_towards_its_weak_wheel():
    faults = CommandFaults((2,), 0)
    speed, turn = faults.apply(kinds(FaultKind.DRIFT), np.full((2, 2), (0.4, 0.0)))[1]
    assert turn == pytest.approx((1 - DRIFT_GAIN) * 0.4 / TRACK_M)  # to the left
    assert speed == pytest.approx((1 + DRIFT_GAIN) / 2 * 0.4)
    # the right wheel is as fast as it was told
    assert speed + turn * TRACK_M / 2 == pytest.approx(0.4)


def test_a_reversed_robot_does_the_opposite():
    out = CommandFaults((2,), 0).apply(kinds(FaultKind.REVERSE), np.full((2, 2), (0.4, -1.0)))
    assert out[1].tolist() == [-0.4, 1.0]


def test_wear_grows_from_the_onset_and_is_mended_at_the_end():
    faults = CommandFaults((2,), 0)
    wanted = np.full((2, 2), 0.5)
    for _ in range(10):
        faults.apply(kinds(FaultKind.NONE), wanted)
    worn = np.stack([faults.apply(kinds(FaultKind.WEAR), wanted)[1] for _ in range(100)])
    assert worn[0] == pytest.approx((1 - WEAR_RATE) * wanted[1])
    assert worn[-1] == pytest.approx((1 - WEAR_RATE) ** 100 * wanted[1])
    assert (np.diff(worn[:, 0]) < 0).all()
    assert np.array_equal(faults.apply(kinds(FaultKind.NONE), wanted)[1], wanted[1])
    assert faults.apply(kinds(FaultKind.WEAR), wanted)[1] == pytest.approx(worn[0])
    faults.reset(0)
    assert faults.apply(kinds(FaultKind.WEAR), wanted)[1] == pytest.approx(worn[0])


def test_a_wandering_robot_moves_but_stays_within_its_drive():
    faults = CommandFaults((2,), 0)
    walk = np.stack(
        [faults.apply(kinds(FaultKind.RANDOM_WALK), np.zeros((2, 2)))[1] for _ in range(500)]
    )
    assert (np.abs(walk) <= WALK_LIMIT).all()
    assert (walk.std(0) > 0.2 * WALK_LIMIT).all()


def test_the_walk_of_a_robot_depends_on_other_teams():
    def walk(teams: int, others: FaultKind) -> np.ndarray:
        faults, kind = CommandFaults((teams, 2), 5), np.full((teams, 2), others)
        kind[0, 1] = FaultKind.RANDOM_WALK
        rows = [faults.apply(kind, np.zeros((teams, 2, 2)))[0, 1] for _ in range(20)]
        return np.stack(rows)

    alone = walk(1, FaultKind.NONE)
    assert np.array_equal(walk(3, FaultKind.NONE), alone)
    assert np.array_equal(walk(3, FaultKind.RANDOM_WALK), alone)


def test_a_command_that_was_handed_out_changes_later():
    faults = CommandFaults((2,), 0)
    first = faults.apply(kinds(FaultKind.SLOW), np.ones((2, 2)))
    kept, out = first.copy(), np.empty((2, 2))
    assert faults.apply(kinds(FaultKind.STOP), np.full((2, 2), 9.0), out) is out
    assert np.array_equal(first, kept)


def test_the_attack_process_replaces_only_decisions_of_corrupted_robots():
    policy, adversary, uniform = np.full(4, 1), np.full(4, 2), np.full(4, 3)
    active = np.array(
        [FaultKind.NONE, FaultKind.ADVERSARY, FaultKind.RANDOM_ACTION, FaultKind.MUTE]
    )
    assert executed_actions(policy, adversary, uniform, active).tolist() == [1, 2, 3, 1]


def test_a_mixture_with_two_faulty_robots_draws_up_to_two():
    mixture = FaultMixture(kinds={"stop": 1}, probability=1.0, max_faulty=2)
    schedule = mixture.draw(np.random.default_rng(0), 400, 4, 18.0)
    assert set((schedule.kind > 0).sum(-1)) == {1, 2}


def test_a_mixture_of_unknown_kinds_is_refused():
    with pytest.raises(ValueError, match="sleepy"):
        FaultMixture(kinds={"sleepy": 1.0})

"""Beliefs against ground truth: who found out whom, and how good the beliefs were."""

import numpy as np
import pytest

from eir_ros.contract.detection import CONSECUTIVE
from eir_ros.contract.report import EStopSpan, FaultSpan
from eir_ros.monitor.detections import Judge, quality

TEAM = ("r0", "r1", "r2")
DECISION_S = 0.2


def fault(robot: str, start_s: float, end_s: float | None = None) -> FaultSpan:
    return FaultSpan(robot=robot, kind="stop", start_s=start_s, end_s=end_s)


def hold(judge: Judge, observer: str, suspect: str, p: float, start_s: float, decisions: int):
    """Let `observer` believe `p` of `suspect` for some decisions; the alarms on the way."""
    return [
        alarm
        for i in range(decisions)
        for alarm in judge.believe(start_s + i * DECISION_S, observer, {suspect: p})
    ]


def test_a_belief_held_for_long_enough_is_one_detection_with_its_delay():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [fault("r2", 5.0)])
    assert not hold(judge, "r0", "r2", 0.9, 6.0, CONSECUTIVE - 1)
    assert len(hold(judge, "r0", "r2", 0.9, 6.4, 5)) == 1
    (found,) = judge.detections()
    assert (found.observer, found.suspect) == ("r0", "r2")
    assert found.t_s == pytest.approx(6.4)
    assert found.delay_s == pytest.approx(1.4)
    assert judge.false_alarms() == []


def test_a_belief_that_drops_in_between_is_no_detection():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [fault("r2", 0.0)])
    for p in (0.9, 0.9, 0.5, 0.9, 0.9, float("nan"), 0.9, 0.9):
        assert judge.believe(1.0, "r0", {"r2": p}) == []


def test_an_alarm_before_or_after_the_fault_is_a_false_one():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [fault("r2", 5.0, 10.0)])
    hold(judge, "r0", "r2", 0.9, 1.0, 3)
    hold(judge, "r1", "r2", 0.9, 9.6, 3)  # completed at 10.0, when the fault has just ended
    assert judge.detections() == []
    assert [(alarm.observer, alarm.t_s) for alarm in judge.false_alarms()] == [
        ("r0", 1.4),
        ("r1", 10.0),
    ]


def test_a_fault_that_is_announced_late_still_counts():
    judge = Judge(TEAM, threshold=0.8)
    hold(judge, "r0", "r2", 0.9, 1.0, 3)
    assert len(judge.false_alarms()) == 1
    judge.set_faults("r2", [fault("r2", 0.9)])
    assert judge.false_alarms() == []
    assert judge.detections()[0].delay_s == pytest.approx(0.5)


def test_what_a_faulty_observer_says_counts_for_nothing():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r0", [fault("r0", 0.0)])
    hold(judge, "r0", "r1", 0.99, 1.0, 3)
    assert judge.detections() == []
    assert judge.false_alarms() == []
    assert judge.quality().brier is None


def test_a_belief_that_swings_round_the_threshold_is_found_out_again_and_again():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [fault("r2", 5.0, 40.0), fault("r2", 50.0)])
    for start_s in (6.0, 8.0, 10.0, 30.0, 51.0):
        hold(judge, "r0", "r2", 0.9, start_s, 3)
        hold(judge, "r0", "r2", 0.5, start_s + 1.0, 1)
    assert [verdict.word for verdict in judge.verdicts().values()] == [
        "detection",
        "swing",
        "swing",
        "again",
        "detection",
    ]
    assert [(found.t_s, found.delay_s) for found in judge.detections()] == [(6.4, 1.4), (51.4, 1.4)]
    assert judge.false_alarms() == []


def test_the_time_that_an_e_stop_held_is_time_to_find_out():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [fault("r2", 5.0)])
    judge.set_stops([EStopSpan(start_s=2.0, end_s=6.0), EStopSpan(start_s=7.0, end_s=107.0)])
    hold(judge, "r0", "r2", 0.9, 107.6, 3)
    assert judge.detections()[0].delay_s == pytest.approx(108.0 - 5.0 - 1.0 - 100.0)
    # one that begins later takes nothing away, one that still holds does
    judge.set_stops([EStopSpan(start_s=200.0)])
    assert judge.detections()[0].delay_s == pytest.approx(103.0)
    judge.set_stops([EStopSpan(start_s=8.0)])
    assert judge.detections()[0].delay_s == pytest.approx(3.0)


@pytest.mark.parametrize(("kind", "well_s"), [("hang", 14.0), ("crash", 14.0), ("stop", 12.0)])
def test_a_robot_is_well_again_before_it_has_an_agent(kind: str, well_s: float):
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [FaultSpan(robot="r2", kind=kind, start_s=10.0, end_s=12.0)])
    judge.hear("r2", 9.9)
    hold(judge, "r0", "r2", 0.9, 13.0, 3)
    assert bool(judge.detections()) == (kind != "stop")
    assert bool(judge.false_alarms()) == (kind == "stop")
    judge.hear("r2", 14.0)
    hold(judge, "r1", "r2", 0.9, 14.0, 3)
    assert judge.faults[0].end_s == well_s
    assert "r1" in {alarm.observer for alarm in judge.false_alarms()}


def test_a_hang_that_its_agent_survives_is_longer_than_it_was():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [FaultSpan(robot="r2", kind="hang", start_s=10.0, end_s=10.5)])
    assert judge.faults[0].end_s == 10.5  # as announced, and so for an agent that is never heard
    judge.hear("r0", 11.0)
    assert judge.faults[0].end_s == 10.5
    for t_s in (9.8, 10.6):
        judge.hear("r2", t_s)
    assert judge.faults[0].end_s == 10.5


def test_strangers_and_beliefs_about_oneself_are_ignored():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r9", [fault("r9", 0.0)])
    assert hold(judge, "r9", "r2", 0.9, 0.0, 3) == []
    assert hold(judge, "r0", "r9", 0.9, 0.0, 3) == []
    assert hold(judge, "r0", "r0", 0.9, 0.0, 3) == []
    assert judge.faults == []
    assert judge.quality().auroc is None


def test_quality_labels_each_belief_by_the_fault_at_its_time():
    judge = Judge(TEAM, threshold=0.8)
    judge.set_faults("r2", [fault("r2", 1.0, 2.0)])
    judge.believe(0.8, "r0", {"r2": 0.2})
    judge.believe(1.0, "r0", {"r2": 0.7})
    judge.believe(2.0, "r0", {"r2": 0.4})
    found = judge.quality()
    assert found.auroc == 1.0
    assert found.brier == pytest.approx((0.04 + 0.09 + 0.16) / 3, abs=1e-6)


@pytest.mark.parametrize("label", [True, False])
def test_quality_of_one_class_only_is_undefined_not_zero(label: bool):
    found = quality(np.array([0.1, 0.9]), np.array([label, label]))
    assert found.auroc is None
    assert found.brier is not None
    assert quality(np.empty(0), np.empty(0, bool)).brier is None

"""The report of a run, and what the terminal makes of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eir_ros.cli.swarm import exit_status, make_report, write_json
from eir_ros.cli.swarm_status import Status
from eir_ros.contract.report import (
    Detection,
    EStopSpan,
    FaultSpan,
    Intruder,
    MissionReport,
    ProcessExit,
    Score,
    SwarmReport,
)
from eir_ros.swarm.supervisor import Outcome

OUTCOME = Outcome(
    (ProcessExit(name="world", exit=0), ProcessExit(name="r2/agent", exit=-9)), 1, "-"
)
MISSION = MissionReport(
    duration_s=9.0,
    ticks=90,
    decisions=90,
    robots=("r0", "r2"),
    score=Score(mean_reward=0.5),
    faults=(FaultSpan(robot="r2", kind="stop", start_s=3.0),),
    estops=(EStopSpan(start_s=2.0, end_s=3.5), EStopSpan(start_s=8.5)),
    detections=(
        Detection(observer="r1", suspect="r2", t_s=5.0, delay_s=2.0),
        Detection(observer="r0", suspect="r2", t_s=4.0, delay_s=1.0),
        Detection(observer="r0", suspect="r2", t_s=8.0, delay_s=5.0),
    ),
)


def test_the_json_has_other_keys_than_documented(tmp_path: Path) -> None:
    (tmp_path / "mission.json").write_text(MISSION.model_dump_json())
    report = make_report(tmp_path / "mission.json", OUTCOME, ("r0", "r2"), "coverage", 4)
    write_json(tmp_path / "report.json", report)
    data = json.loads((tmp_path / "report.json").read_text())
    documented = (
        "schema task seed duration_s ticks decisions robots score faults detections false_alarms "
        "estops intruders trust_steps belief tick_ms inference_us overruns stale_inputs restarts "
        "processes"
    )
    assert list(data) == documented.split()
    assert data["schema"] == 1
    [fault] = data["faults"]
    assert fault == {
        "robot": "r2", "kind": "stop", "start_s": 3.0, "end_s": None, "parameters": "",
    }  # fmt: skip
    assert data["processes"][1] == {"name": "r2/agent", "exit": -9}
    assert SwarmReport.model_validate(data) == report
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("text", [None, "", "{", '{"ticks": "many"}'])
def test_a_lost_measurement_becomes_a_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    if text is not None:
        (tmp_path / "mission.json").write_text(text)
    report = make_report(tmp_path / "mission.json", OUTCOME, ("r0", "r2"), "coverage", 4)
    assert report.score.mean_reward is None
    assert report.robots == ("r0", "r2")
    assert "no measurements" in capsys.readouterr().err


def test_the_summary_hides_a_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mission.json").write_text(MISSION.model_dump_json())
    report = make_report(tmp_path / "mission.json", OUTCOME, ("r0", "r2"), "coverage", 4)
    Status().summary(report, OUTCOME)
    Status().unclean(OUTCOME, tmp_path)
    shown = capsys.readouterr()
    assert "r2 by r0, r1, first after 1.0 s" in shown.out
    assert "2.0 s to 3.5 s; from 8.5 s, not released" in shown.out
    assert "1 of 2 clean" in shown.out
    assert "r2/agent ended with -9" in shown.err


@pytest.mark.parametrize(
    ("change", "began", "simulation", "status"),
    [
        ({}, True, True, 0),
        ({}, False, True, 0),  # Ctrl-C in time is no failure
        ({}, False, False, 1),
        ({"exits": OUTCOME.exits}, True, True, 1),
        ({"exits": OUTCOME.exits, "refused": True}, False, True, 2),
        ({"exits": OUTCOME.exits, "refused": True}, True, True, 1),
    ],
)
def test_a_script_takes_a_run_for_another(
    change: dict[str, Any], began: bool, simulation: bool, status: int
) -> None:
    outcome = replace(Outcome((), 0, "-"), **change)
    report = SwarmReport(task="coverage", seed=0)
    assert exit_status(outcome, report, began=began, simulation=simulation) == status
    intruder = Intruder(topic="/clock", sender="/clock", t_s=1.0)
    spoilt = report.model_copy(update={"intruders": (intruder,)})
    assert exit_status(outcome, spoilt, began=began, simulation=simulation) == (status or 1)

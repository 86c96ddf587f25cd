"""The picture for the page and the report for scripts, from the same state."""

import json
import math
from pathlib import Path

import pytest

from eir_ros.contract.errors import EirError
from eir_ros.contract.report import FaultSpan, MissionReport
from eir_ros.monitor.counters import Counters
from eir_ros.monitor.detections import Judge
from eir_ros.monitor.news import News
from eir_ros.monitor.report import mission_report, write_report
from eir_ros.monitor.state import HISTORY_S, State

TEAM = ("r0", "r1", "r2")


@pytest.fixture
def state() -> State:
    return State(TEAM, Judge(TEAM, threshold=0.5), Counters(TEAM))


def test_an_empty_state_is_a_picture_and_a_report(state: State):
    picture = state.picture(now_s=0.0)
    json.dumps(picture, allow_nan=False)
    assert [robot["pose"] for robot in picture["robots"]] == [None] * 3
    assert [robot["age_s"] for robot in picture["robots"]] == [None] * 3
    report = mission_report(state)
    assert report.score.mean_reward is None
    assert report.tick_ms.p50 is None


def test_the_picture_tells_who_is_broken_who_noticed_and_who_serves(state: State):
    state.robots["r2"].pose, state.robots["r2"].heard_s = (1.0, 2.0, 0.5), 9.0
    state.sites = {0: (0.0, 0.0), 1: (1.0, 1.0)}
    state.judge.set_faults("r2", [FaultSpan(robot="r2", kind="mute", start_s=1.0)])
    for i in range(3):
        state.believe(2.0 + i, "r0", {"r2": (0.9, "tracked"), "r1": (0.1, "not_visible")})
    state.set_score({"served_by": "-,r1", "time_s": "4.2", "ticks": "42", "paused": "True"})
    picture = state.picture(now_s=10.0)
    robots = {robot["name"]: robot for robot in picture["robots"]}
    assert robots["r2"]["fault"] == "mute"
    assert robots["r1"]["fault"] is None
    assert robots["r2"]["age_s"] == 1.0
    assert robots["r0"]["beliefs"] == {"r2": [0.9, "tracked"], "r1": [0.1, "not_visible"]}
    assert [site["by"] for site in picture["sites"]] == [None, "r1"]
    assert picture["paused"] is True
    assert picture["alarms"] == [
        {
            "t_s": 4.0,
            "observer": "r0",
            "suspect": "r2",
            "word": "detection",
            "kind": "mute",
            "delay_s": 3.0,
        }
    ]


def test_a_robot_whose_agent_is_gone_looks_broken_on_purpose(state: State):
    state.set_score({"time_s": "4.0"})
    for now_s in (10.0, 12.0, 14.0):
        state.set_diagnostics("r0", "agent", {}, now_s)
        state.set_diagnostics("r2", "agent", {}, min(now_s, 10.0))
        state.look_for_absent(now_s)
    state.set_score({"time_s": "9.0"})
    state.set_diagnostics("r0", "agent", {}, 16.0)
    state.look_for_absent(16.0)
    told = {r["name"]: (r["absent"], r["fault"]) for r in state.picture(16.0)["robots"]}
    # r1 never reported
    assert told == {"r0": (False, None), "r1": (True, None), "r2": (True, None)}
    assert [(s.robot, s.kind, s.start_s) for s in mission_report(state).faults] == [
        ("r1", "absent", 0.0),
        ("r2", "absent", 4.0),
    ]


def test_who_starts_to_listen_late_takes_everybody_for_absent(state: State):
    state.set_score({"time_s": "100.0"})
    state.look_for_absent(50.0)
    assert not any(robot["absent"] for robot in state.picture(50.0)["robots"])
    state.look_for_absent(55.1)
    assert all(robot["absent"] for robot in state.picture(55.1)["robots"])


def test_a_malformed_score_keeps_what_was_known(state: State):
    state.set_score({"mean_reward": "0.7", "served_fraction": "0.5", "served_by": "r0,-"})
    state.set_score({"mean_reward": "nan", "served_fraction": "x", "served_by": "r9,-"})
    assert state.score == {"mean_reward": 0.7, "served_fraction": 0.5}
    assert state.served_by == {}


def test_a_share_beyond_one_cannot_spoil_the_report(state: State):
    state.set_score({"served_fraction": "1.0000001"})
    assert mission_report(state).score.served_fraction == 1.0


def test_a_fault_that_never_came_about_is_not_reported(state: State):
    state.judge.set_faults("r2", [FaultSpan(robot="r2", kind="stop", start_s=30.0)])
    state.set_score({"time_s": "20"})
    assert mission_report(state).faults == ()
    state.set_score({"time_s": "30"})
    assert len(mission_report(state).faults) == 1


@pytest.mark.parametrize(
    ("ordered", "gate", "stopped"),
    [(None, "False", False), (None, "True", True), (False, "True", False), (True, "False", True)],
)
def test_the_last_order_outweighs_what_the_gates_said(
    state: State, ordered: bool | None, gate: str, stopped: bool
):
    if ordered is not None:
        state.order_estop(ordered)
    state.set_diagnostics("r1", "gate", {"estop": gate})
    assert state.estop is stopped


def test_the_report_forgets_that_the_swarm_was_stopped(state: State):
    assert mission_report(state).estops == ()
    state.set_score({"time_s": "2.2"})
    for on in (True, True, False, False):
        state.order_estop(on)
        state.set_score({"time_s": str(state.time_s + 1.0)})
    state.order_estop(True)
    state.set_diagnostics("r1", "gate", {"estop": "True"})
    spans = [(span.start_s, span.end_s) for span in mission_report(state).estops]
    assert spans == [(2.2, 4.2), (6.2, None)]


def test_a_stop_that_only_the_gates_know_of_is_not_reported(state: State):
    for t_s, estop in ((1.0, "False"), (2.0, "True"), (3.0, "True"), (4.0, "False")):
        state.set_score({"time_s": str(t_s)})
        state.set_diagnostics("r1", "gate", {"estop": estop})
    assert [(s.start_s, s.end_s) for s in mission_report(state).estops] == [(2.0, 4.0)]


def test_a_recorder_that_ends_is_passed_over_in_silence(state: State):
    news = News()
    assert state.picture(0.0)["recorder"] == {}
    state.set_recorder(0, "recording", {"size_mb": "3.1"})
    assert state.picture(0.0)["recorder"] == {"level": 0, "said": "recording", "size_mb": 3.1}
    assert list(news.lines(state)) == []
    state.set_recorder(2, "records no more: the disk is nearly full", {})
    assert list(news.lines(state)) == ["recorder: records no more: the disk is nearly full"]
    assert list(news.lines(state)) == []


def test_history_forgets_and_does_not_grow_while_time_stands_still(state: State):
    for i in range(2000):
        state.believe(0.2 * i, "r0", {"r1": (0.5, "tracked")})
        state.remember()
        state.remember()
    rows = state.history()
    assert rows[-1] == [399.8, None, 0.5, None]
    assert len(rows) == pytest.approx(HISTORY_S / 0.2, abs=2)


def test_the_report_is_whole_and_leaves_no_scraps(state: State, tmp_path: Path):
    path = tmp_path / "new" / "report.json"
    write_report(mission_report(state), path)
    assert MissionReport.model_validate_json(path.read_text()).robots == TEAM
    assert list(path.parent.iterdir()) == [path]


def test_a_report_that_cannot_be_written_is_a_sentence(state: State, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(EirError, match="report cannot be written"):
        write_report(mission_report(state), tmp_path / "file" / "report.json")


def test_poses_in_the_picture_are_finite_numbers(state: State):
    state.robots["r0"].pose = (1 / 3, -math.pi, 0.1)
    assert state.picture(0.0)["robots"][0]["pose"] == [0.333, -3.142, 0.1]

"""The numbers of a report, against a recording whose numbers are known."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rosbags")

from tiny_recording import (
    ABOUT,
    TEAM,
    TYPES,
    Writer,
    beliefs,
    diagnostics,
    write_tiny_recording,
)
from typer.testing import CliRunner

from eir_ros.cli.main import app
from eir_ros.contract.errors import EirError
from eir_ros.contract.recording_report import RecordingReport
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.recording_report import analyse

_T = TYPES.types


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_recording(tmp_path_factory.mktemp("tiny") / "bag")


@pytest.fixture(scope="module")
def report(bag: Path) -> RecordingReport:
    return analyse(Bag(bag)).report


def test_delays_are_of_another_observer_or_onset(report: RecordingReport):
    (fault,) = report.delays
    assert (fault.robot, fault.kind, fault.start_s, fault.end_s) == ("r2", "stop", 5.0, 15.0)
    # the third belief above the threshold makes the detection
    assert {d.observer: d.delay_s for d in fault.observers} == {"r0": 2.4, "r1": 3.4}
    assert all(d.healthy for d in fault.observers)
    assert [(d.observer, d.suspect, d.t_s) for d in report.detections] == [
        ("r0", "r2", 7.4),
        ("r1", "r2", 8.4),
    ]


class Told:
    """A recording of what three agents said of each other and of themselves, every 0.2 s."""

    def __init__(self, folder: Path, **faults: tuple[str, str, str]) -> None:
        self.folder, self._step = folder, 0
        self._writer = Writer(folder, ABOUT, ())
        for robot, (kind, start_s, end_s) in faults.items():
            values = {"kind": kind, "start_s": start_s, "end_s": end_s, "source": "schedule"}
            self._write("/swarm/faults", diagnostics(0.0, robot, **values), 0.0)

    def _write(self, topic: str, message: Any, t_s: float) -> None:
        self._writer.write(topic, "diagnostic_msgs/msg/DiagnosticArray", message, t_s)

    def until(self, end_s: float, blamers: dict[str, float], gone: dict[str, float]) -> None:
        """Go on; `blamers` blame r2 from then on; who is `gone` says nothing from then on."""
        seconds = _T["builtin_interfaces/msg/Time"]
        steps = range(self._step, round(end_s / 0.2))
        self._step = steps.stop
        for step in steps:
            t_s = step / 5
            clock = _T["rosgraph_msgs/msg/Clock"](seconds(*divmod(step * 200_000_000, 10**9)))
            self._writer.write("/clock", "rosgraph_msgs/msg/Clock", clock, t_s)
            for place, robot in enumerate(TEAM):
                if t_s >= gone.get(robot, end_s):
                    continue
                p = 0.9 if t_s >= blamers.get(robot, end_s) else 0.1
                about = {other: (p if other == 2 else 0.1, 0) for other in range(3)}
                del about[place]
                kind = "sensor_msgs/msg/PointCloud2"
                self._writer.write(f"/{robot}/beliefs", kind, beliefs(t_s, about), t_s)
                if step % 5 == 0:
                    self._write("/diagnostics", diagnostics(t_s, f"{robot}/agent"), t_s)

    def estop(self, on: bool) -> None:
        """Order it now."""
        stop = _T["std_msgs/msg/Bool"](on)
        self._writer.write("/swarm/estop", "std_msgs/msg/Bool", stop, self._step / 5)

    def report(self) -> RecordingReport:
        """What is found in it."""
        self._writer.recording.close()
        return analyse(Bag(self.folder)).report


def test_a_delay_is_dropped_because_its_observer_was_faulty_at_another_time(tmp_path: Path):
    told = Told(tmp_path / "bag", r2=("stop", "2.0", ""), r0=("mute", "10.0", "12.0"))
    told.until(20.0, blamers={"r0": 5.0}, gone={})
    (found,) = (fault for fault in told.report().delays if fault.robot == "r2")
    assert {d.observer: (d.delay_s, d.healthy) for d in found.observers} == {
        "r0": (3.4, True),
        "r1": (None, True),
    }


def test_who_was_faulty_while_it_could_have_noticed_has_missed_it(tmp_path: Path):
    told = Told(tmp_path / "bag", r2=("stop", "2.0", ""), r0=("mute", "4.0", "12.0"))
    told.until(20.0, blamers={"r0": 5.0, "r1": 5.0}, gone={})
    report = told.report()
    (found,) = (fault for fault in report.delays if fault.robot == "r2")
    assert {d.observer: (d.delay_s, d.healthy) for d in found.observers} == {
        "r0": (None, False),
        "r1": (3.4, True),
    }
    assert [d.observer for d in report.detections] == ["r1"]


def test_who_blames_a_robot_that_was_taken_away_raises_a_false_alarm(tmp_path: Path):
    told = Told(tmp_path / "bag", r1=("stop", "1.0", "2.0"))
    told.until(20.0, blamers={"r0": 9.0}, gone={"r2": 7.0})
    report = told.report()
    assert [(f.kind, f.robot, f.end_s) for f in report.faults] == [
        ("stop", "r1", 2.0),
        ("absent", "r2", None),
    ]
    # nobody injected it, so nobody was to find it out
    assert [found.kind for found in report.delays] == ["stop"]
    # its agent's last word about itself was at 6 s
    assert report.faults[1].start_s == pytest.approx(6.0, abs=0.2)
    assert [(d.observer, d.suspect, d.t_s) for d in report.detections] == [("r0", "r2", 9.4)]
    assert report.false_alarms == ()


def test_the_time_of_a_recorded_e_stop_is_time_to_find_out(tmp_path: Path):
    told = Told(tmp_path / "bag", r2=("stop", "2.0", ""))
    told.until(4.0, blamers={}, gone={})
    told.estop(True)
    told.until(14.0, blamers={}, gone={})
    told.estop(False)
    told.until(20.0, blamers={"r0": 15.0}, gone={})
    report = told.report()
    (stop,) = report.estops
    (found,) = report.detections
    assert found.t_s == 15.4
    assert found.delay_s == pytest.approx(13.4 - 10.0, abs=0.4)
    assert found.delay_s == pytest.approx(13.4 - ((stop.end_s or 0.0) - stop.start_s))
    (delays,) = report.delays
    assert [d.delay_s for d in delays.observers] == [found.delay_s, None]


def test_false_alarms_are_counted_per_something_else(report: RecordingReport):
    rate = report.false_alarm_rate
    assert [(a.observer, a.suspect, a.t_s) for a in report.false_alarms] == [("r1", "r0", 17.4)]
    assert rate.count == 1
    assert rate.per_hour == pytest.approx(3600 / 20)
    # r0 and r1 watched each other all the time and r2 while it was well; r2 watched both then
    decisions = 2 * 101 + 4 * 51
    assert rate.pair_hours == pytest.approx(decisions * 0.2 / 3600, rel=1e-6)
    assert rate.per_pair_hour == pytest.approx(1 / rate.pair_hours)


def test_beliefs_are_calibrated_against_something_else(report: RecordingReport):
    # by hand: what r0 and r1 held of r2, and everybody of the healthy; r2 counts while it is well
    bins = {round(b.low, 1): b for b in report.calibration.bins if b.beliefs}
    loud_true, loud_false = 40 + 35, 5 + 5
    quiet_true = 10 + 15
    total = 2 * 101 + 2 * 101 + 2 * 51
    assert report.calibration.beliefs == total
    assert bins[0.9].beliefs == loud_true + loud_false
    assert bins[0.9].faulty_share == pytest.approx(loud_true / (loud_true + loud_false))
    assert bins[0.1].faulty_share == pytest.approx(quiet_true / (total - loud_true - loud_false))
    brier = ((loud_true + total - loud_true - loud_false - quiet_true) * 0.01
             + (loud_false + quiet_true) * 0.81) / total  # fmt: skip
    assert report.belief.brier == pytest.approx(brier, rel=1e-5)
    ece = sum(
        b.beliefs / total * abs((b.mean_p or 0.0) - (b.faulty_share or 0.0)) for b in bins.values()
    )
    assert report.calibration.ece == pytest.approx(ece)
    assert [o.observer for o in report.calibration.observers] == list(TEAM)
    assert report.calibration.observers[2].auroc is None


def test_latencies_are_of_the_recorder_not_of_the_senders(report: RecordingReport):
    for found in report.latencies_ms:
        assert found.sense_to_policy.p50 == pytest.approx(3.0, abs=0.01)
        assert found.policy_to_base.max == pytest.approx(2.0, abs=0.01)
        assert found.sense_to_base.p99 == pytest.approx(5.0, abs=0.01)
    # without odometry nobody knows what a command answered
    counts = [found.sense_to_policy.count for found in report.latencies_ms]
    assert counts == [201, 201 - 14, 201]


def test_clocks_that_disagree_make_robots_that_see_the_future(tmp_path: Path):
    bag = write_tiny_recording(tmp_path / "bag", commands_ahead_s=0.05)
    found = analyse(Bag(bag)).report
    assert any("clocks disagree" in sentence for sentence in found.missing)
    assert found.latencies_ms[0].sense_to_policy.count == 0
    assert found.latencies_ms[0].sense_to_policy.p50 is None


def test_an_input_that_was_missing_is_not_found(report: RecordingReport):
    gaps = {(i.robot, i.topic): i for i in report.inputs}
    gap = gaps["r1", "odom"]
    assert (gap.longest_gap_s, gap.gap_at_s) == (1.5, 12.0)
    assert gap.period_s == 0.1
    assert gaps["r0", "odom"].longest_gap_s == 0.1
    assert gaps["r0", "sites"].count == 0


def test_distances_and_limits_are_wrong(report: RecordingReport):
    motion = {m.robot: m for m in report.motion}
    assert motion["r0"].commanded_speed == pytest.approx(0.4)
    assert motion["r0"].measured_speed == pytest.approx(0.1)
    assert motion["r0"].max_speed == 0.5
    assert motion["r0"].beyond_limits == 0
    assert (motion["r0"].fence_margin_m, motion["r0"].fence_margin_at_s) == (0.1, 0.0)
    assert motion["r2"].fence_margin_m == pytest.approx(-0.1)
    assert motion["r0"].nearest == "r1"
    assert motion["r0"].nearest_m == pytest.approx(1.0, abs=1e-3)


def test_a_command_beyond_a_limit_is_not_noticed(tmp_path: Path):
    slow = ABOUT.limits["r0"].model_copy(update={"max_speed": 0.3})
    about = ABOUT.model_copy(update={"limits": {"r0": slow}})
    bag = write_tiny_recording(tmp_path / "bag", about=about)
    found = analyse(Bag(bag)).report.motion
    assert [m.beyond_limits for m in found] == [191, 0, 0]
    assert found[1].max_speed is None


def test_what_the_gate_changed_and_why_is_lost(report: RecordingReport):
    gate = {g.robot: g for g in report.gate}
    assert (gate["r0"].commands, gate["r0"].changed, gate["r0"].unasked) == (201, 10, 0)
    assert gate["r0"].reasons == {"fence": 10}
    assert gate["r0"].states == {"nominal": 0.95, "fence": 0.05}
    assert (gate["r1"].changed, gate["r1"].reasons) == (0, {})


def test_a_gate_that_counts_by_itself_is_not_believed(tmp_path: Path):
    writer = Writer(tmp_path / "bag", ABOUT, ())
    kind = "diagnostic_msgs/msg/DiagnosticArray"
    for t_s, (fence, estop, limit) in enumerate([(2, 0, 0), (5, 1, 0), (1, 0, 0), (1, 0, 4)]):
        counts = {"reduced_fence": fence, "reduced_estop": estop, "reduced_limit": limit}
        status = diagnostics(t_s, "r0/gate", state="nominal", **counts)
        writer.write("/diagnostics", kind, status, float(t_s))
        for reason in ("fence", "nominal"):
            event = diagnostics(t_s, "r0/gate_event", reason)
            writer.write("/r0/gate_events", kind, event, float(t_s))
    writer.recording.close()
    # the third is of a gate that was started again
    found = analyse(Bag(tmp_path / "bag")).report.gate[0]
    assert found.reasons == {"fence": 6, "limit": 4, "estop": 1}
    assert found.interventions == {"fence": 4}


@pytest.mark.parametrize("start_s", [0, 1_700_000_000])
def test_steps_of_trust_are_dated_by_the_time_of_the_day(tmp_path: Path, start_s: int) -> None:
    about = ABOUT.model_copy(update={"mission_start_ns": start_s * 10**9})
    writer = Writer(tmp_path / "bag", about, ())
    kind = "diagnostic_msgs/msg/DiagnosticArray"
    for subject, when in (("r2", f"{start_s + 7.6:.3f}"), ("r1", "soon")):
        line, levels = f"{subject}: cooperate -> discount", {"level_r2": "discount"}
        told = diagnostics(start_s + 7.6, "r0/trust", line, subject=subject, time_s=when, **levels)
        writer.write("/r0/trust", kind, told, 7.6)
    writer.recording.close()
    (step,) = analyse(Bag(tmp_path / "bag")).report.trust_steps
    assert (step.observer, step.subject, step.t_s) == ("r0", "r2", 7.6)


def test_steps_of_trust_and_stops_are_lost(report: RecordingReport):
    assert [(s.t_s, s.observer, s.suspect, s.status) for s in report.trust] == [
        (7.0, "r0", "r2", "detected"),
        (8.0, "r1", "r2", "detected"),
        (15.0, "r1", "r2", "tracked"),
        (16.0, "r0", "r2", "tracked"),
        (17.0, "r1", "r0", "detected"),
        (18.0, "r1", "r0", "tracked"),
    ]
    assert [(stop.start_s, stop.end_s) for stop in report.estops] == [(18.0, 19.0)]
    assert report.source.complete
    assert report.missing == ()


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (("/swarm/faults",), "No ground truth"),
        (("/beliefs",), "No beliefs"),
        (("/cmd_vel",), "No commands of gates"),
        (("/diagnostics",), "No /diagnostics"),
        (("/swarm/score",), "No /swarm/score"),
    ],
)
def test_what_is_missing_becomes_a_zero(tmp_path: Path, without: tuple[str, ...], said: str):
    bag = write_tiny_recording(tmp_path / "bag", without=without)
    found = analyse(Bag(bag)).report
    (sentence,) = found.missing
    assert said in sentence
    if without == ("/swarm/faults",):
        assert found.false_alarm_rate.per_hour is None
        assert found.calibration.ece is None
        assert found.belief.auroc is None
    if without == ("/beliefs",):
        assert found.belief.brier is None
        assert found.delays[0].observers[0].delay_s is None
    if without == ("/cmd_vel",):
        assert found.latencies_ms[0].sense_to_base.p50 is None
    if without == ("/swarm/score",):
        assert found.score.served_fraction is None
        assert found.duration_s == pytest.approx(20.0)


def test_a_recording_of_another_recorder_is_refused(tmp_path: Path):
    """It does not say the team, the threshold, or when the mission began."""
    bag = write_tiny_recording(tmp_path / "bag", about=None)
    found = analyse(Bag(bag)).report
    assert found.robots == TEAM
    assert found.source.simulated
    assert any("0.5 is assumed" in sentence for sentence in found.missing)
    assert {d.delay_s for d in found.delays[0].observers} == {2.4, 3.4}
    found = analyse(Bag(bag), threshold=0.95).report
    assert found.detections == ()
    assert found.threshold == 0.95


def test_real_robots_are_judged_on_the_axis_of_the_wall_clock(tmp_path: Path):
    """Faults count from the start of their node, which is when it first told them."""
    bag = write_tiny_recording(tmp_path / "bag", about=None, clock=False)
    found = analyse(Bag(bag)).report
    assert not found.source.simulated
    assert found.duration_s == pytest.approx(20.0, abs=0.01)
    assert {d.delay_s for d in found.delays[0].observers} == {2.4, 3.4}


def test_a_recorder_that_was_killed_leaves_nothing_to_report(tmp_path: Path):
    bag = write_tiny_recording(tmp_path / "bag", close=False)
    found = analyse(Bag(bag)).report
    assert not found.source.complete
    assert any("the recorder did not end the recording" in said for said in found.missing)
    assert {d.delay_s for d in found.delays[0].observers} == {2.4, 3.4}


def test_garbage_ends_the_report(tmp_path: Path):
    writer = Writer(tmp_path / "bag", ABOUT, ())
    writer.recording.add("/r0/odom", "nav_msgs/msg/Odometry", [])
    writer.recording.add("/r0/beliefs", "sensor_msgs/msg/PointCloud2", [])
    for data in (b"", b"\0" * 7, b"\0\1\0\0" + b"\xff" * 200):
        writer.recording.write("/r0/odom", 1, data)
        writer.recording.write("/r0/beliefs", 1, data)
    writer.recording.close()
    found = analyse(Bag(tmp_path / "bag")).report
    assert "3 messages of /r0/odom cannot be read; they are left out." in found.missing
    assert "3 messages of /r0/beliefs cannot be read; they are left out." in found.missing


def test_a_recording_without_robots_is_no_sentence(tmp_path: Path):
    writer = Writer(tmp_path / "bag", None, ())
    writer.recording.close()
    with pytest.raises(EirError, match="no robot is in this recording"):
        analyse(Bag(tmp_path / "bag"))


def test_the_command_writes_half_a_report_or_loads_something(bag: Path, tmp_path: Path):
    out = tmp_path / "report"
    result = CliRunner().invoke(app, ["report", str(bag), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]
    html = (out / "report.html").read_text()
    assert html.count("<svg") == html.count("</svg>") == 5
    assert "default-src 'none'" in html
    assert not re.search(r"<script|<link|<img|https?://|url\((?!#)", html)
    for number in ("2.4 s", "3.4 s", "180.0 / h", "10 fence"):
        assert number in html
    data = json.loads((out / "report.json").read_text())
    assert RecordingReport.model_validate(data) == analyse(Bag(bag)).report
    result = CliRunner().invoke(app, ["report", str(bag), "--json"])
    assert json.loads(result.stdout) == data


def test_names_from_a_recording_become_html(tmp_path: Path):
    about = ABOUT.model_copy(update={"bundle": "<script>alert(1)</script>", "task": "<b>"})
    bag = write_tiny_recording(tmp_path / "<i>bag", about=about, without=("/beliefs",))
    CliRunner().invoke(app, ["report", str(bag), "--out", str(tmp_path / "out")])
    html = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in html
    assert "<b>" not in html
    assert "<i>" not in html


def test_the_json_has_other_keys_than_documented():
    root = Path(__file__).parents[2]
    text = (root / "docs" / "recordings.md").read_text()
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    documented = {key for cell in cells for key in re.findall(r"`([a-z_]+)`", cell)}
    keys = {f.alias or name for name, f in RecordingReport.model_fields.items()}
    assert keys - documented == set()

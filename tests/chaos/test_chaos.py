"""A swarm under chaos; the judge must see what is broken, and the schedule must repeat itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.chaos import invariants
from benchmarks.chaos.invariants import Mark, Story
from benchmarks.chaos.schedule import OF_HOSTS, Kind, draw
from benchmarks.namespaces import ROOT
from eir_ros.contract.recording import About, RobotLimits
from eir_ros.monitor.bag_events import Command

TEAM = ("r0", "r1", "r2", "r3")
LIMITS = RobotLimits(max_speed=0.5, max_yaw_rate=3.0, max_deceleration=5.0, radius=0.12)


def test_a_seed_makes_another_schedule_each_time() -> None:
    assert draw(3, 120.0, TEAM) == draw(3, 120.0, TEAM)
    assert draw(3, 120.0, TEAM) != draw(4, 120.0, TEAM)
    assert {strike.kind for strike in draw(3, 120.0, TEAM)} == set(Kind)
    assert max(strike.at_s for strike in draw(3, 120.0, TEAM)) < 112.0


def test_one_computer_has_a_cable() -> None:
    kinds = {strike.kind for strike in draw(3, 600.0, TEAM, set(Kind) - OF_HOSTS)}
    assert kinds == set(Kind) - OF_HOSTS


@pytest.fixture
def story() -> Story:
    """Ten quiet seconds of four robots that drive."""
    made = object.__new__(Story)
    made.about = About(team=TEAM, fence=(-2.5, -2.5, 2.5, 2.5), limits=dict.fromkeys(TEAM, LIMITS))
    made.team = TEAM
    times = [0.1 * k for k in range(100)]
    made.commands = {robot: [(t, Command(0.3, 1.0)) for t in times] for robot in TEAM}
    made.asked = {robot: list(times) for robot in TEAM}
    made.decisions = {robot: list(times[::2]) for robot in TEAM}
    made.speeds = {robot: [(t, 0.3) for t in times] for robot in TEAM}
    made.places = {robot: [(0.0, 0.0)] for robot in TEAM}
    made.spoke = {f"{robot}/{part}": list(times) for robot in TEAM for part in ("agent", "gate")}
    made.heard = {robot: list(times) for robot in TEAM}
    made.wrong = {robot: [] for robot in TEAM}
    made.estops = []
    made.marks = [Mark(t, "beat", "", "", k + 1) for k, t in enumerate(times)]
    return made


def broken(story: Story, beats: int = 100) -> list[str]:
    """The judges' names that find something."""
    judges = (
        "limits", "estop", "stale", "silent_gate", "restarts", "unasked", "others", "cables",
        "clocks", "fence",
    )  # fmt: skip
    found = [name for name in judges if not getattr(invariants, f"_{name}")(story).holds]
    return found + ([] if invariants._recorder(story, beats).holds else ["recorder"])


def test_a_quiet_run_is_condemned(story: Story) -> None:
    assert broken(story) == []


def test_a_broken_limit_passes(story: Story) -> None:
    story.commands["r1"][50] = (5.0, Command(0.51, 0.0))
    assert broken(story) == ["limits"]


def test_a_number_that_is_none_passes_as_within_limits(story: Story) -> None:
    story.commands["r1"][50] = (5.0, Command(float("nan"), 0.0))
    assert broken(story) == ["limits"]


def test_motion_during_an_e_stop_passes(story: Story) -> None:
    story.estops = [(3.0, True), (4.0, False)]
    assert broken(story) == ["estop"]


def test_motion_without_an_agent_passes(story: Story) -> None:
    story.asked["r2"] = story.asked["r2"][:50]
    assert broken(story) == ["stale"]


def test_a_flood_that_is_not_recorded_whole_is_a_silence(story: Story) -> None:
    story.asked["r2"] = [t for t in story.asked["r2"] if not 5.0 < t < 6.0]
    story.marks += [Mark(4.5, "strike", "flood", "r2", 0), Mark(6.5, "over", "flood", "r2", 0)]
    assert broken(story) == []
    story.marks[-1] = Mark(4.8, "over", "flood", "r2", 0)
    assert broken(story) == ["stale"]


def test_motion_without_a_gate_passes(story: Story) -> None:
    del story.commands["r2"][40:70]
    assert broken(story) == ["silent_gate"]


def test_a_process_that_never_comes_back_passes(story: Story) -> None:
    story.marks.append(Mark(2.0, "strike", "kill", "r2/agent", 0))
    story.marks.append(Mark(2.2, "gone", "", "r2/agent", 0))
    assert broken(story) == ["restarts"]
    story.marks.append(Mark(3.0, "back", "", "r2/agent", 0))
    assert broken(story) == []
    story.marks[-1] = Mark(6.0, "back", "", "r2/agent", 0)
    assert broken(story) == ["restarts"]


def test_a_crash_that_nobody_asked_for_passes(story: Story) -> None:
    story.marks.append(Mark(2.2, "gone", "", "r3/gate", 0))
    assert broken(story) == ["unasked"]


def test_a_robot_that_stops_deciding_for_another_passes(story: Story) -> None:
    del story.decisions["r3"][10:30]
    story.marks.append(Mark(2.0, "strike", "invalid", "r2", 0))
    assert broken(story) == ["others"]
    story.marks[-1] = Mark(2.0, "strike", "invalid", "r3", 0)
    assert broken(story) == []


def test_a_robot_that_is_never_heard_again_passes(story: Story) -> None:
    story.marks += [Mark(2.0, "strike", "flap", "r3", 0), Mark(4.0, "over", "flap", "r3", 0)]
    # nothing was pulled out if everything goes through
    assert broken(story) == ["cables"]
    story.heard["r3"] = [t for t in story.heard["r3"] if not 2.0 < t < 4.0]
    assert broken(story) == []
    story.decisions["r3"] = [t for t in story.decisions["r3"] if not 2.0 < t < 9.5]
    assert broken(story) == ["cables"]
    story.decisions["r3"] = [t for t in story.decisions["r3"] if t < 4.0]
    assert broken(story) == ["cables"]


def test_a_computer_whose_clock_is_set_is_an_excuse(story: Story) -> None:
    story.marks.append(Mark(2.0, "strike", "time", "r3", 0))
    # no clock was set if nothing shows it
    assert broken(story) == ["clocks"]
    story.wrong["r3"] = [2.5, 2.6]
    assert broken(story) == []
    del story.decisions["r3"][10:30]
    assert broken(story) == ["others"]


def test_a_robot_outside_and_a_lost_end_pass(story: Story) -> None:
    story.places["r0"].append((2.45, 0.0))
    assert broken(story) == ["fence"]
    assert broken(story, beats=120) == ["fence", "recorder"]


@pytest.mark.ros
def test_chaos_breaks_an_invariant(tmp_path: Path) -> None:
    """A minute of robots that move, on a computer each where this machine can have them."""
    assert {strike.kind for strike in draw(3, 60.0, TEAM)} == set(Kind)
    words = ["--minutes", "1", "--seed", "3", "--out", str(tmp_path / "run")]
    chaos = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    print(chaos.stdout)
    assert "BROKEN" not in chaos.stdout
    assert chaos.returncode == 0

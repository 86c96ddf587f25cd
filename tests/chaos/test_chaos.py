"""A swarm under chaos; the judge must see what is broken, and the schedule must repeat itself."""

from pathlib import Path

import pytest

from benchmarks.chaos import invariants
from benchmarks.chaos.invariants import Mark, Story
from benchmarks.chaos.schedule import Kind, draw
from eir_ros.contract.recording import About, RobotLimits
from eir_ros.monitor.bag_events import Command

TEAM = ("r0", "r1", "r2", "r3")
LIMITS = RobotLimits(max_speed=0.5, max_yaw_rate=3.0, max_deceleration=5.0, radius=0.12)


def test_a_seed_makes_another_schedule_each_time() -> None:
    assert draw(3, 120.0, TEAM) == draw(3, 120.0, TEAM)
    assert draw(3, 120.0, TEAM) != draw(4, 120.0, TEAM)
    assert {strike.kind for strike in draw(3, 120.0, TEAM)} == set(Kind)
    assert max(strike.at_s for strike in draw(3, 120.0, TEAM)) < 112.0


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
    made.estops = []
    made.marks = [Mark(t, "beat", "", "", k + 1) for k, t in enumerate(times)]
    return made


def broken(story: Story, beats: int = 100) -> list[str]:
    """The judges' names that find something."""
    judges = ("limits", "estop", "stale", "silent_gate", "restarts", "unasked", "others", "fence")
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


def test_a_robot_outside_and_a_lost_end_pass(story: Story) -> None:
    story.places["r0"].append((2.45, 0.0))
    assert broken(story) == ["fence"]
    assert broken(story, beats=120) == ["fence", "recorder"]


@pytest.mark.ros
def test_chaos_breaks_an_invariant(tmp_path: Path) -> None:
    """Forty seconds of robots that move, in which each kind of strike comes once."""
    from benchmarks.chaos.__main__ import play

    assert {strike.kind for strike in draw(3, 40.0, TEAM)} == set(Kind)
    verdicts = play(3, 40.0, tmp_path)
    print(*verdicts, sep="\n")
    assert [str(verdict) for verdict in verdicts if not verdict.holds] == []

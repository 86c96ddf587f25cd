"""What a roster must refuse, and what a robot inherits from its type."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.paths import share
from eir_ros.swarm.roster import Roster, load_roster

DEFAULT = share() / "config" / "rosters" / "default.yaml"


@pytest.fixture
def data() -> dict[str, Any]:
    """The default roster as plain data, to be spoiled."""
    return dict(yaml.safe_load(DEFAULT.read_text(encoding="utf-8")))


def refusal(data: Any) -> str:
    with pytest.raises(EirError) as caught:
        validate(data, Roster, where="roster.yaml")
    return str(caught.value)


def test_the_default_roster_is_another_team() -> None:
    team = load_roster(DEFAULT).team()
    assert [robot.name for robot in team] == ["r0", "r1", "r2", "r3"]
    assert {robot.tracks for robot in team} == {"detection"}


def test_a_robot_ignores_its_type_or_its_own_settings(data: dict[str, Any]) -> None:
    data["robots"][1] |= {"max_speed": 0.2, "odom_in_map": [0, 0, 0]}
    r0, r1, *_ = validate(data, Roster, where="-").team()
    assert (r0.max_speed, r1.max_speed) == (0.5, 0.2)
    assert r1.max_yaw_rate == 3.0
    # odometry starts where the robot is switched on
    assert r0.odom_in_map == r0.pose
    assert r1.odom_in_map == (0.0, 0.0, 0.0)


def test_a_misspelt_key_is_ignored(data: dict[str, Any]) -> None:
    data["robots"][0]["max_sped"] = 0.1
    assert "did you mean 'max_speed'" in refusal(data)
    del data["robots"][0]["max_sped"]
    data["types"]["disc"]["radios"] = 0.1
    assert "did you mean 'radius'" in refusal(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "r1"}, ["'r1'", "2 times"]),
        ({"name": "no-such"}, ["ROS name"]),
        ({"name": "a__b"}, ["ROS name"]),
        ({"name": "swarm"}, ["the swarm itself"]),
        ({"type": "tank"}, ["'tank'", "disc"]),
        ({"pose": [2.45, 0, 0]}, ["'r0'", "2.45", "fence"]),
        ({"pose": [0.8, -0.8, 0]}, ["'r0' and 'r1'", "0.14 m", "0.24 m"]),
        ({"pose": [0, 0]}, ["robots.0.pose"]),
        ({"pose": [0, 0, float("nan")]}, ["robots.0.pose"]),
        ({"max_speed": -1}, ["robots.0.max_speed", "-1"]),
        ({"max_deceleration": 0.005}, ["robots.0.max_deceleration", "0.005", "0.01"]),
        ({"tracks": "hearsay"}, ["'hearsay'", "detection"]),
    ],
)
def test_a_wrong_robot_passes(data: dict[str, Any], change: Any, words: list[str]) -> None:
    data["robots"][0] |= change
    sentence = refusal(data)
    for word in words:
        assert word in sentence


def test_an_inverted_fence_passes(data: dict[str, Any]) -> None:
    data["fence"]["x"] = [1.0, -1.0]
    assert "[lowest, highest]" in refusal(data)


def test_an_empty_fleet_passes(data: dict[str, Any]) -> None:
    data["robots"] = []
    assert "robots" in refusal(data)


def test_a_selection_changes_the_order_of_the_team() -> None:
    roster = load_roster(DEFAULT)
    assert [robot.name for robot in roster.select("3").team()] == ["r0", "r1", "r2"]
    assert [robot.name for robot in roster.select("r3, r1").team()] == ["r1", "r3"]


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        ("9", r"^9 robots asked for, but the roster has 4 \(r0, r1, r2, r3\); ask for 1 to 4"),
        ("0", "^0 robots asked for.*1 to 4"),
        ("r0,r9", "robot 'r9' of 'r0,r9'"),
        ("²", "robot '²'"),
        ("r0,r0,r1,r2", "'r0,r0,r1,r2' asked for, which names 'r0' 2 times"),
    ],
)
def test_a_selection_of_strangers_passes(wanted: str, word: str) -> None:
    with pytest.raises(EirError, match=word):
        load_roster(DEFAULT).select(wanted)


def test_another_kind_of_file_passes_as_a_roster() -> None:
    with pytest.raises(EirError, match="this is not a roster: it has faults; expected fence"):
        load_roster(share() / "config" / "faults" / "demo.yaml")


def test_a_missing_roster_is_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(EirError, match="cannot be read"):
        load_roster(tmp_path / "none.yaml")

"""A schedule file: what cannot be meant is refused with file and line before anything moves."""

from pathlib import Path

import pytest

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import Fault, FaultKind, parse_fault
from eir_ros.contract.paths import share
from eir_ros.swarm.schedule import read_faults, split_faults

TEAM = ("r0", "r1", "r2", "r3")
WRITTEN_OUT = """# a tour
seed: 7
faults:
  - r2:stop@10-25
  - robot: r0
    kind: slow
    parameters: {gain: 0.2}
    start: 35
    end: until cleared
    seed: 3
  - {robot: r1, kind: mute}
"""


def written(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    return [str(path)]


def test_a_file_says_the_same_as_words(tmp_path: Path):
    words = written(tmp_path, WRITTEN_OUT)
    found = read_faults(words, TEAM)
    assert [fault.text for fault in found] == [
        "r2:stop(seed=7)@10-25",
        "r0:slow(gain=0.2,seed=3)@35",
        "r1:mute(seed=7)@0",
    ]
    assert [fault.where.rpartition(":")[2] for fault in found] == ["4", "5", "11"]
    assert found[1] == Fault(
        robot="r0",
        kind=FaultKind.SLOW,
        start_s=35.0,
        parameters={"gain": 0.2},
        seed=3,
        where=f"{words[0]}:5",
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("r2:stop", "r2:stopp", 4, "unknown fault kind 'stopp'"),
        ("r2:stop@10-25", "r9:stop@10-25", 4, "names 'r9'; the team is r0, r1, r2, r3"),
        ("r2:stop@10-25", "r2:stop@25-10", 4, "not after its start"),
        ("kind: slow", "kind: slowly", 6, "unknown fault kind 'slowly'"),
        ("gain: 0.2", "gian: 0.2", 7, "no parameter 'gian'; it has gain"),
        ("gain: 0.2", "gain: 7", 7, "expected a number from 0 to 1"),
        ("start: 35", "start: soon", 8, "'start' is 'soon'"),
        ("start: 35", "strat: 35", 8, "unknown key 'strat', did you mean 'start'"),
        ("end: until cleared", "end: 30", 5, "not after its start"),
        ("end: until cleared", "end: never", 9, "number, or input should be 'until cl"),
        ("seed: 3", "seed: -3", 10, "'seed' is -3"),
        ("robot: r0", "robot: r7", 5, "names 'r7'"),
        ("{robot: r1, kind: mute}", "{robot: r1}", 11, "key 'kind' is missing"),
    ],
)
def test_a_schedule_file_hides_its_bad_entry(
    tmp_path: Path, old: str, new: str, line: int, sentence: str
):
    words = written(tmp_path, WRITTEN_OUT.replace(old, new, 1))
    with pytest.raises(EirError, match=sentence) as refused:
        read_faults(words, TEAM)
    assert f"{words[0]}:{line}" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fault: ['r2:stop@5']", "did you mean 'faults'"),
        ("faults: r2:stop", "'faults'"),
        ("faults: [3]", "faults"),
        ("seed: x", "'seed' is 'x'"),
        ("faults: ['r2:stop'", "faults.yaml:1:"),
    ],
)
def test_a_file_that_is_no_schedule_is_taken_for_one(tmp_path: Path, text: str, sentence: str):
    with pytest.raises(EirError, match=sentence):
        read_faults(written(tmp_path, text))


def test_the_shipped_schedules_are_wrong():
    files = sorted((share() / "config" / "faults").glob("*.yaml"))
    assert files
    for path in files:
        assert read_faults([str(path)], TEAM)


def test_commas_of_parameters_split_a_list_of_faults():
    assert split_faults("r2:slow(gain=0.2,seed=3)@5, r1:stop ,demo.yaml,") == [
        "r2:slow(gain=0.2,seed=3)@5",
        "r1:stop",
        "demo.yaml",
    ]
    assert read_faults(["r1:stop"]) == (parse_fault("r1:stop"),)

"""What a user gets wrong on the command line: one sentence, and nothing half done."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]


def eir(*words: str | Path, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Run `eir` as a user does."""
    command = [sys.executable, "-m", "eir_ros.cli.main", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "epsilon=0.5"], "--set is for an attack that is played as it is"),
        (["pgd", "--start", "warm"], "--start is for training an adversary"),
        (["pgd", "--iterations", "3", "--out", "a.pt"], "--out is for training an adversary"),
    ],
)
def test_an_option_of_another_kind_of_attack_is_passed_over(
    tmp_path: Path, words: list[str], said: str
) -> None:
    found = eir("attack", tmp_path, *words)
    assert found.returncode == 2
    assert said in found.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "results/robustness", "--json"], "--json is for a recording"),
        (["report", "results/robustness", "--threshold", "0.9"], "--threshold is for a recording"),
        (["report", "results/robustness", "--docs", "p.md", "--out", "o"], "leave out --out"),
        (["evaluate", "config/matrices/smoke.yaml", "--only", "toy/mappo-0", "--plan"], "--plan"),
        (
            ["evaluate", "config/matrices/smoke.yaml", "--only", "toy/mappo-0", "--jobs", "2"],
            "--jobs",
        ),
        (["attack", "nobody", "random", "--adversary", "a.pt"], "'random' plays no adversary"),
    ],
)
def test_an_option_that_is_not_looked_at_is_passed_over(words: list[str], said: str) -> None:
    found = eir(*words)
    assert found.returncode == 2
    assert said in found.stderr


@pytest.mark.parametrize("part", ["smac", "smac/mappo-0"])
def test_results_of_one_world_are_taken_for_a_broken_recording(part: str) -> None:
    found = eir("report", f"results/robustness/{part}")
    assert found.returncode == 2
    assert f"eir report {ROOT / 'results/robustness'}" in found.stderr


def test_a_place_that_cannot_be_written_ends_in_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = eir("report", "results/robustness", "--out", tmp_path / "file" / "report")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert found.stderr.startswith(f"error: {tmp_path / 'file'}")


def test_a_matrix_from_another_folder_does_not_say_where_its_recipe_is_looked_for(
    tmp_path: Path,
) -> None:
    found = eir("evaluate", ROOT / "config/matrices/smoke.yaml", "--plan", cwd=tmp_path)
    assert found.returncode == 2
    recipe = "the recipe of the world 'toy', config/recipes/toy.yaml"
    assert f"smoke.yaml: {recipe}, is not in {tmp_path}" in found.stderr


@pytest.mark.parametrize("option", ["--out", "--runs"])
def test_results_that_cannot_be_written_are_found_out_after_hours_of_training(
    tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").write_text("")
    matrix = "config/matrices/smoke.yaml"
    for plan in (["--plan"], []):
        other = {"--out": tmp_path / "out", "--runs": tmp_path / "runs"}
        other[option] = tmp_path / "file" / "below"
        words = [word for pair in other.items() for word in pair]
        found = eir("evaluate", matrix, *words, *plan)
        assert found.returncode == 2
        assert f"{tmp_path / 'file'} is a file; choose another folder with {option}" in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["r2", "clear", "--for", "3"], "to mend a robot takes neither"),
        (["r 2", "stop"], "'r 2' is no name of a robot"),
        (["", "stop"], "'' is no name of a robot"),
    ],
)
def test_an_order_that_makes_no_sense_is_given(words: list[str], said: str) -> None:
    found = eir("fault", *words)
    assert found.returncode == 2
    assert said in found.stderr

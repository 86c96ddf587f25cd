"""Sweeps: every run is trained, whatever becomes of the others; nothing is done twice."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eir_ros.cli.main import app
from eir_ros.contract.errors import EirError
from training.records import read_story
from training.summary import summarise
from training.sweep import members, parse_axis
from training.sweep_progress import sweep_with_progress

ROOT = Path(__file__).parents[2]
TOY = ROOT / "config" / "recipes" / "toy.yaml"
SMALL = ["batch=4", "steps=10", "width=8", "iterations=2", "evaluation.every=0"]
LOCAL = {"engine": "local", "jobs": 2, "address": None}


@contextmanager
def ending(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the test, however that does."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_an_axis_is_a_range_or_a_list():
    assert parse_axis("seeds=1..3") == [("seed", "1"), ("seed", "2"), ("seed", "3")]
    assert parse_axis("method=mappo,eir-mappo") == [("method", "mappo"), ("method", "eir-mappo")]
    assert parse_axis("seed=7,1..2,7") == [("seed", "7"), ("seed", "1"), ("seed", "2")]


@pytest.mark.parametrize("text", ["seeds", "seeds=", "=1..2", "seeds=1,,2", "seeds=3..1"])
def test_an_axis_of_another_form_is_refused(text):
    with pytest.raises(EirError, match=rf"'{text}'.*expected"):
        parse_axis(text)


def test_a_sweep_is_every_combination_each_in_a_folder_of_its_own(tmp_path: Path):
    axes = ["seeds=1..2", "method=mappo,eir-mappo", "policy.clip=0.1,0.2"]
    runs = members(TOY, axes, SMALL, tmp_path)
    assert len({run.folder for run in runs}) == len(runs) == 8
    assert tmp_path / "toy-eir-mappo-2-policy.clip=0.2" in {run.folder for run in runs}
    assert {(r.recipe.seed, r.recipe.method, r.recipe.policy.clip) for r in runs} == {
        (seed, method, clip)
        for seed in (1, 2) for method in ("mappo", "eir-mappo") for clip in (0.1, 0.2)
    }  # fmt: skip
    assert all(run.recipe.batch == 4 for run in runs)


def test_a_setting_that_does_not_exist_ends_a_sweep_before_its_first_run(tmp_path: Path):
    with pytest.raises(EirError, match=r"sede.*did you mean 'seed'"):
        members(TOY, ["sede=1..2"], SMALL, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_that_fails_is_reported_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    runs = members(TOY, ["seeds=1..2"], SMALL, tmp_path)
    runs[0].folder.write_text("in the way")
    assert not sweep_with_progress(runs, **LOCAL)
    said = capsys.readouterr().out
    assert "toy-eir-mappo-1 failed" in said
    assert "cannot be written" in said
    assert "1 of 2 runs done, 1 failed" in said
    assert summarise(runs[1].folder).state == "done"

    runs[0].folder.unlink()
    assert sweep_with_progress(runs, **LOCAL)
    assert "2 of 2 runs done, 0 failed" in capsys.readouterr().out
    # what was done has not been started again
    assert len(read_story(runs[1].folder).sessions) == 1


def test_a_folder_with_another_recipe_s_run_is_taken_for_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    assert sweep_with_progress(members(TOY, ["seeds=1"], SMALL, tmp_path), **LOCAL)
    other = members(TOY, ["seeds=1"], [*SMALL, "policy.clip=0.3"], tmp_path)
    capsys.readouterr()
    assert not sweep_with_progress(other, **LOCAL)
    said = capsys.readouterr().out
    assert "1 failed" in said
    assert "policy.clip" in said


def test_a_sweep_that_is_told_to_end_saves_its_runs_and_exits_with_0(tmp_path: Path):
    command = [sys.executable, "-m", "eir_ros.cli.main", "train", str(TOY), "--out", str(tmp_path)]
    command += ["--sweep", "seeds=1..2", "--jobs", "1"]
    for change in [*SMALL, "iterations=1000000"]:
        command += ["--set", change]
    with ending(command) as process:
        assert process.stdout is not None
        assert any("steps/s" in line for line in process.stdout)  # the first of them trains
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait() == 0, rest
    assert "stopped, every run saved" in rest
    found = summarise(tmp_path / "toy-eir-mappo-1")
    assert (found.state, found.iteration > 0) == ("stopped", True)
    assert summarise(tmp_path / "toy-eir-mappo-2").state == "none"


def test_options_of_a_sweep_are_refused_without_one():
    found = CliRunner().invoke(app, ["train", str(TOY), "--jobs", "2"])
    assert isinstance(found.exception, EirError)
    assert "add --sweep" in str(found.exception)

"""`eir runs` and `eir plot`: true of whole folders, and never broken by broken ones."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from eir_ros.cli.main import app
from eir_ros.contract.errors import EirError
from training import plot
from training.records import (
    METRICS,
    RECIPE,
    STORY,
    Row,
    Session,
    Story,
    claimed,
    table,
    write_story,
)
from training.summary import find_runs, summarise

SESSION = Session(
    command="eir train x", commit="0123456789abcdef", machine="m", started="t", iteration=0
)
ROWS: list[Row] = [
    {"iteration": 1, "return/healthy": 1.0, "return/attacked": 0.5, "steps_per_s": 9.0},
    {"iteration": 2, "return/healthy": 3.0, "steps_per_s": 9.0},
]
HELD_OUT = {
    f"evaluation/greedy/{name}": value
    for name, value in {"healthy": 7.0, "random_action": 4.0, "attacked": 4.0}.items()
}


@pytest.fixture
def make(tiny_recipe, tmp_path: Path):
    """`make(name, method, rows, state, **changes)`: the folder of a run."""

    def made(name: str, method="mappo", rows=ROWS, state="done", **changes: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        recipe = tiny_recipe(method, **changes)
        (folder / RECIPE).write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        (folder / METRICS).write_text(table(rows, list({k: 0 for row in rows for k in row})))
        write_story(folder, Story(state=state, sessions=(SESSION,)))
        return folder

    return made


def test_the_table_shows_returns_of_held_out_seeds_where_there_are_any(make):
    training = summarise(make("a"))
    assert (training.healthy, training.attacked, training.held_out) == (2.0, 0.5, False)
    held_out = summarise(make("b", rows=[{**ROWS[0], **HELD_OUT}, ROWS[1]]))
    assert (held_out.healthy, held_out.attacked, held_out.held_out) == (7.0, 4.0, True)
    assert (held_out.iteration, held_out.attacks) == (2, ("random_action",))


def test_a_run_whose_process_is_gone_is_not_called_running(make):
    folder = make("a", state="running")
    assert summarise(folder).state == "killed"
    with claimed(folder):
        assert summarise(folder).state == "running"


def test_broken_folders_are_reported_beside_the_others(make, tmp_path: Path):
    make("good/run-1", "eir-mappo", seed=1)
    (make("bad-recipe") / RECIPE).write_text("method: [")
    (make("bad-metrics") / METRICS).write_text("iteration,a\nx\n1,2\n")
    (make("bad-story") / STORY).write_text("{")
    (make("no-story") / STORY).unlink()
    (make("bad-checkpoint") / "checkpoint.pt").write_bytes(b"torn")
    (tmp_path / "no-run").mkdir()
    assert len(list(find_runs(tmp_path))) == 6
    found = CliRunner().invoke(app, ["runs", str(tmp_path)])
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    [good] = [line.split() for line in lines if line.strip().startswith("good/run-1")]
    assert good[1:8] == ["coverage", "eir-mappo", "1", "2/4", "01234567", "2", "0.5"]
    assert sum(line.rstrip().endswith("broken") for line in lines) == 5
    assert any("bad-checkpoint/checkpoint.pt is damaged" in line for line in lines)


def test_a_folder_without_runs_is_said_to_have_none(tmp_path: Path):
    for command in (["runs", str(tmp_path)], ["plot", str(tmp_path), "--out", "x.svg"]):
        found = CliRunner().invoke(app, command)
        assert isinstance(found.exception, EirError)
        assert "there are no runs in" in str(found.exception)


def test_the_band_is_students_interval_where_all_seeds_have_been():
    x = np.array([0.0, 10.0, 20.0])
    found = plot.band([(x, np.array([1.0, 1.0, 1.0])), (x[:2], np.array([3.0, 3.0]))])
    assert found.x.tolist() == [0.0, 10.0]
    assert found.mean.tolist() == [2.0, 2.0]
    # t(0.975, 1) = 12.7062, standard error 1
    assert found.high - found.mean == pytest.approx([12.7062, 12.7062], rel=1e-4)
    assert found.mean - found.low == pytest.approx([12.7062, 12.7062], rel=1e-4)


def test_a_single_seed_has_no_band():
    found = plot.band([(np.array([0.0]), np.array([5.0]))])
    assert (found.low, found.high, found.seeds) == (found.mean, found.mean, 1)


def test_smoothing_looks_back_only():
    assert plot.smoothed(np.array([1.0, 3.0, 5.0]), 2).tolist() == [1.0, 2.0, 4.0]
    assert plot.smoothed(np.array([1.0, 3.0]), 1).tolist() == [1.0, 3.0]


def test_runs_are_grouped_by_all_that_tells_them_apart_but_the_seed(make, tmp_path: Path):
    for seed in (1, 2):
        make(f"m{seed}", "mappo", seed=seed)
        make(f"e{seed}", "eir-mappo", seed=seed)
        make(f"c{seed}", "eir-mappo", seed=seed, **{"policy.clip": 0.3})
    groups = plot.groups_of(plot.read_tracks([tmp_path]))
    assert {label: len(group) for label, group in groups.items()} == {
        "mappo": 2,
        "eir-mappo (policy.clip 0.2)": 2,
        "eir-mappo (policy.clip 0.3)": 2,
    }


def test_a_team_that_met_no_adversary_is_compared_under_what_all_met(make, tmp_path: Path):
    mode = "evaluation/greedy/"
    make("mappo", rows=[{**ROWS[0], **HELD_OUT}])
    make("eir", "eir-mappo", rows=[{**ROWS[0], **HELD_OUT, mode + "adversary": 3.0}])
    both, one = plot.read_tracks([tmp_path]), plot.read_tracks([tmp_path / "eir"])
    assert plot.default_metrics(both) == [mode + "healthy", mode + "random_action"]
    assert plot.default_metrics(one) == [mode + "healthy", mode + "attacked"]
    make("not-evaluated", seed=3)
    everything = plot.read_tracks([tmp_path])
    assert plot.default_metrics(everything) == ["return/healthy", "return/attacked"]


def test_the_same_seed_twice_is_refused(make, tmp_path: Path):
    make("a", seed=1)
    make("b", seed=1)
    with pytest.raises(EirError, match="both have seed 1"):
        plot.groups_of(plot.read_tracks([tmp_path]))
    # but the same folder given twice is one run
    assert len(plot.read_tracks([tmp_path / "a", tmp_path / "a"])) == 1


def test_pictures_are_drawn_whole_and_the_same_every_time(make, tmp_path: Path):
    make("a", seed=1)
    make("b", seed=2)
    for name in ("x.svg", "y.svg", "z.png"):
        plot.plot([tmp_path], tmp_path / name)
    svg = (tmp_path / "x.svg").read_text()
    assert "mappo, 2 seeds" in svg
    assert "return/healthy" in svg
    assert svg == (tmp_path / "y.svg").read_text()
    assert (tmp_path / "z.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*partial*"))


def test_a_curve_of_one_point_is_invisible_and_one_seed_is_called_a_mean(make, tmp_path: Path):
    make("a", rows=ROWS[:1])
    make("b", "eir-mappo", rows=ROWS[:1])
    figure = plot.draw(plot.read_tracks([tmp_path]), ["return/healthy"])
    assert [line.get_marker() for line in figure.axes[0].lines] == ["o", "o"]
    assert figure.legends[0].get_title().get_text() == "one seed each"
    make("a2", seed=1, rows=[*ROWS, {**ROWS[-1], "iteration": 9.0}])
    figure = plot.draw(plot.read_tracks([tmp_path / "a2"]), ["return/healthy"])
    assert [line.get_marker() for line in figure.axes[0].lines] == [""]
    figure = plot.draw(plot.read_tracks([tmp_path]), ["return/healthy"])
    assert "95 % band, where there are two seeds" in figure.legends[0].get_title().get_text()


@pytest.mark.parametrize(
    ("out", "metrics", "message"),
    [
        ("x.pdf", [], r"ends in \.svg or \.png"),
        ("x.svg", ["return/heathy"], "did you mean 'return/healthy'"),
        ("no/x.svg", [], "cannot be written"),
    ],
)
def test_an_impossible_picture_is_refused(out, metrics, message, make, tmp_path: Path):
    make("a")
    with pytest.raises(EirError, match=message):
        plot.plot([tmp_path], tmp_path / out, metrics)


def test_runs_are_listed_and_drawn_without_torch(make, tmp_path: Path):
    make("a")
    code = (
        "import sys; from typer.testing import CliRunner\n"
        "from eir_ros.cli.main import app; r = CliRunner()\n"
        f"for c in (['runs', {str(tmp_path)!r}], ['plot', {str(tmp_path)!r}, '--out', "
        f"{str(tmp_path / 'x.png')!r}]):\n"
        "    found = r.invoke(app, c); assert found.exit_code == 0, found.exception\n"
        "assert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr

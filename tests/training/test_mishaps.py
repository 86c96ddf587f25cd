"""A run that cannot go on leaves its last checkpoint whole, says so, and keeps the evidence."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eir_ros.contract.errors import EirError
from training import checkpoint, mishap, records, repeat, room
from training.checkpoint import Run
from training.keeping import Keeper
from training.train import train

ROOT = Path(__file__).parents[2]
#: Steps so large that weights overflow within an update.
OVERFLOW = {"critic.learning_rate.first": 1e30, "critic.learning_rate.last": 1e30}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    mount = shutil.which("mount") and subprocess.run(command, capture_output=True, text=True)
    if not mount or mount.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mount and mount.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Take all room but `leave` bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - leave)
    return ballast


def test_a_disk_without_room_for_the_run_is_found_before_the_first_step(tiny_recipe, small_disk):
    fill(small_disk, leave=100_000)
    stepped = []
    with pytest.raises(EirError, match=r"no room .*will write about .* 4 checkpoints of 0\.. MB"):
        train(tiny_recipe("mappo"), small_disk / "run", lambda *_: stepped.append(1))
    assert not stepped
    assert not list((small_disk / "run").glob(".room*"))


def test_a_limit_on_the_size_of_files_is_found_before_the_first_step(tiny_recipe, tmp_path: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(EirError, match="no room for this run"):
            train(tiny_recipe("mappo"), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_leaves_the_last_checkpoint_whole(
    tiny_recipe, small_disk: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("training.folder.check_room", lambda run, folder: None)
    recipe, out = tiny_recipe("mappo", width=8, checkpoint_every=2), small_disk / "run"

    def others_write(run: Run, metrics: dict[str, float]) -> None:
        if run.iteration == 3:
            fill(small_disk, leave=0)

    with pytest.raises(EirError, match=r"takes no more files .*checkpoint\.pt of iteration 2 is"):
        train(recipe, out, others_write)
    assert checkpoint.load(out / checkpoint.FILE).iteration == 2
    assert not list(out.rglob("*.partial"))

    (small_disk / "ballast").unlink()
    train(recipe, out)
    assert [row["iteration"] for row in records.read_metrics(out / "metrics.csv")] == [1, 2, 3, 4]


def test_what_a_run_may_write_is_not_less_than_what_it_writes(tiny_recipe, tmp_path: Path):
    changes = {"evaluation.every": 1, "evaluation.episodes": 2, "checkpoint_every": 1}
    for method, more in (
        ("eir-mappo", {}),
        ("maddpg", {"replay.capacity": 300, "replay.warmup": 200, "replay.updates": 1}),
    ):
        recipe, out = tiny_recipe(method, **changes, **more), tmp_path / method
        out.mkdir()
        promised = room.needs_of(checkpoint.fresh(recipe), out).total
        train(recipe, out)
        files = {path.stat().st_ino: path.stat().st_size for path in out.rglob("*")}
        # and not so much more that a good disk would be refused
        assert sum(files.values()) < promised < 2 * sum(files.values())


def test_a_batch_that_breaks_the_run_is_kept_and_breaks_it_again(
    tiny_recipe, tmp_path: Path, capsys: pytest.CaptureFixture
):
    recipe = tiny_recipe("eir-mappo", **OVERFLOW)
    with pytest.raises(EirError, match=r"critic.* not a number at iteration 0.*no checkpoint yet"):
        train(recipe, tmp_path)
    kept = tmp_path / "nan-000000.pt"
    assert repeat.repeat(mishap.load(kept)) == mishap.load(kept).names
    repeat.main(str(kept))
    assert "it happened again" in capsys.readouterr().out
    story = records.read_story(tmp_path)
    assert story.state == "failed"
    assert "not a number" in story.reason


def test_weights_that_break_in_the_last_step_are_not_saved(tiny_recipe, tmp_path: Path):
    def poison(run: Run, metrics: dict[str, float]) -> None:
        if run.iteration == 3:
            # no loss of this run reads it
            run.adversary.actor[-1].bias.data.fill_(float("inf"))

    recipe = tiny_recipe("mappo")
    with pytest.raises(EirError, match=r"a weight of the adversary network .* iteration 3") as seen:
        train(recipe, tmp_path, poison)
    assert str(tmp_path / "nan-000003.pt") in str(seen.value)
    assert checkpoint.load(tmp_path / checkpoint.FILE).iteration == 2
    found = mishap.load(tmp_path / "nan-000003.pt")
    assert (found.run.iteration, found.iteration) == (2, 3)
    # the poison came from outside, so the run itself is sound
    assert repeat.repeat(found) == []


def test_what_is_no_kept_batch_is_refused(tmp_path: Path):
    (tmp_path / "nan-1.pt").write_bytes(b"no")
    with pytest.raises(EirError, match=r"nan-1\.pt is not a batch"):
        mishap.load(tmp_path / "nan-1.pt")
    with pytest.raises(EirError, match="cannot be read"):
        mishap.load(tmp_path / "nan-2.pt")


def test_two_runs_never_work_in_one_folder(tiny_recipe, tmp_path: Path):
    recipe = tiny_recipe("mappo", iterations=2)
    seen = []

    def intrude(run: Run, metrics: dict[str, float]) -> None:
        assert records.is_claimed(tmp_path)
        with pytest.raises(EirError, match="another `eir train` is working in"):
            train(recipe, tmp_path)
        seen.append(records.read_story(tmp_path).state)

    train(recipe, tmp_path, intrude)
    assert seen == ["running", "running"]
    assert records.read_story(tmp_path).state == "done"
    assert not records.is_claimed(tmp_path)


def test_a_second_ctrl_c_ends_at_once_and_leaves_the_checkpoint_whole(tiny_recipe, tmp_path: Path):
    def impatient(run: Run, metrics: dict[str, float]) -> None:
        if run.iteration == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)  # the same request, from a launcher
            time.sleep(1.1)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tiny_recipe("mappo"), tmp_path, impatient)
    assert checkpoint.load(tmp_path / checkpoint.FILE).iteration == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_cut_writing_short(
    tiny_recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save = Keeper.save

    def slow(self: Keeper) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.1)
        os.kill(os.getpid(), signal.SIGINT)
        save(self)

    monkeypatch.setattr(Keeper, "save", slow)
    run = train(tiny_recipe("mappo"), tmp_path)
    assert run.iteration == checkpoint.load(tmp_path / checkpoint.FILE).iteration == 2


def test_ctrl_c_saves_and_exits_with_0(tmp_path: Path):
    recipe = ROOT / "config" / "recipes" / "toy.yaml"
    small = ["batch=4", "steps=10", "iterations=100000", "evaluation.every=0", "shards=1"]
    command = [sys.executable, "-m", "eir_ros.cli.main", "train", str(recipe), "--out"]
    command += [str(tmp_path / "run"), *(part for key in small for part in ("--set", key))]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        assert any("steps/s" in line for line in process.stdout)  # it trains
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait() == 0, rest
    finally:
        process.kill()
        process.wait()
    run = checkpoint.load(tmp_path / "run" / checkpoint.FILE)
    assert f"stopped, saved at iteration {run.iteration}" in rest
    assert records.read_story(tmp_path / "run").state == "stopped"


def test_a_folder_that_is_taken_away_ends_the_run_with_a_sentence(tiny_recipe, tmp_path: Path):
    def take_away(run: Run, metrics: dict[str, float]) -> None:
        shutil.rmtree(tmp_path / "run")

    with pytest.raises(EirError, match=r"takes no more files .*no checkpoint had been written"):
        train(tiny_recipe("mappo"), tmp_path / "run", take_away)


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    for text, found in {
        "iteration,a\n1,2\n2,3": [1],
        "iteration,a\n1,2\n2,": [1],
        "iteration,a\n1,2\n2": [1],
        "iteration,a\n1,2\n2,\n": [1, 2],
        "": [],
    }.items():
        path.write_text(text)
        assert [row["iteration"] for row in records.read_metrics(path)] == found
    path.write_text("iteration,a\n1\n2,3\n")
    with pytest.raises(EirError, match=r"metrics\.csv:2: expected 2 numbers"):
        records.read_metrics(path)


def test_other_troubles_of_the_system_are_not_blamed_on_the_disk(tiny_recipe, tmp_path: Path):
    def trouble(run: Run, metrics: dict[str, float]) -> None:
        raise BrokenPipeError(errno.EPIPE, "a worker is gone")

    with pytest.raises(BrokenPipeError):
        train(tiny_recipe("mappo", iterations=1), tmp_path, trouble)

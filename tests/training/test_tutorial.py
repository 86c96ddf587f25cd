"""docs/tutorial.md is run as it stands, only smaller: page and commands cannot drift apart."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eir_ros.cli.main import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
#: What makes a run of any recipe short, and an attack.
SMALL = {
    "train": "--set iterations=2 --set batch=4 --set shards=1 --set steps=10 --set width=8 "
    "--set evaluation.episodes=2",
    "attack": "--iterations 1",
}


def commands() -> list[list[str]]:
    """The lines of all blocks that a reader is told to type, as words."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_the_tutorial_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert {words[1] for words in found} == {"train", "runs", "attack", "plot"}
    for program, command, *words in found:
        assert program == "eir"
        # one seed is enough here
        words = [word.replace("seeds=1..3", "seeds=1") for word in words]
        words = [word for word in words if not re.search(r"-[23]$", word)]
        arguments = [command, *words, *shlex.split(SMALL.get(command, ""))]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{shlex.join(arguments)}: {result.output}{result.exception}"
        if "--out" in words:
            assert Path(words[words.index("--out") + 1]).stat().st_size > 1000
    listed = CliRunner().invoke(app, ["runs"]).output
    assert sum(line.rstrip().endswith("done") for line in listed.splitlines()) == 4

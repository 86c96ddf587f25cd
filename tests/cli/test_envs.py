"""`eir envs`: what it lists is what `sim.make` makes."""

import json
import sys

import pytest

import sim
from eir_ros.cli import main as cli


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["eir", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code or 0, err.strip()) == (0, "")
    return out


def test_every_name_has_one_line_with_shapes_options_and_a_sentence(monkeypatch, capsys):
    lines = said(monkeypatch, capsys, "envs").splitlines()
    assert [line.split()[0] for line in lines] == ["name", *sim.names()]
    coverage = next(line for line in lines if line.startswith("swarm-coverage"))
    for part in ("4 x 34", "12 discrete", "episode_decisions=90", "robots in PyBullet"):
        assert part in coverage


def test_json_lists_the_same_without_the_batch(monkeypatch, capsys):
    pytest.importorskip("mpe2")
    rows = {row["name"]: row for row in json.loads(said(monkeypatch, capsys, "envs", "--json"))}
    assert sorted(rows) == sim.names()
    tag, env = rows["mpe-simple_tag"], sim.make("mpe-simple_tag", batch=3)
    assert tag["observation"] == list(env.observation.shape[1:])
    assert tag["state"] == list(env.state.shape[1:])
    assert tag["options"]["prey"] == "flee"
    assert tag["missing"] == ""


def test_a_world_that_lacks_a_package_is_listed_with_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mpe2", None)
    rows = {row["name"]: row for row in json.loads(said(monkeypatch, capsys, "envs", "--json"))}
    assert "'.[mpe]'" in rows["mpe-simple_spread"]["missing"]
    assert rows["mpe-simple_spread"]["summary"]
    assert rows["swarm-coverage"]["missing"] == ""

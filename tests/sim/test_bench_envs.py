"""The speed benchmark of the worlds: what it measures is what its JSON says."""

import json
import sys

import pytest

from benchmarks import envs, peers


@pytest.fixture
def bench(monkeypatch, capsys):
    monkeypatch.setattr(envs, "measure_compiling", lambda world: envs.Measure(world, 1.0, "s"))

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["envs", *arguments])
        envs.main()
        return capsys.readouterr().out

    return run


def test_json_has_machine_measures_with_goals_and_peers(bench):
    found = json.loads(
        bench("--json", "--worlds", "toy", "--batches", "1", "16", "--seconds", "0.05")
    )
    assert set(found) == {"machine", "measures", "peers"}
    assert found["machine"]["cores"] >= 1
    rows = {row["name"]: row for row in found["measures"]}
    alone, many = rows["toy, batch 1"]["value"], rows["toy, batch 16"]["value"]
    assert 0 < alone < many
    best = rows["toy, best"]
    assert (best["value"], best["goal"]) == (max(alone, many), 5_000_000)
    assert best["met"] == (best["value"] >= best["goal"])
    assert 0 < rows["toy, temporaries at batch 64"]["value"] < 100
    assert found["peers"] == []


def test_a_peer_that_is_not_there_is_said_to_be_missing(bench, monkeypatch):
    absent = peers.Peer("absent", "no_such_package", peers._smax, "everything")
    monkeypatch.setitem(envs.PEERS, "toy", (absent,))
    arguments = ("--worlds", "toy", "--batches", "2", "--seconds", "0.02")
    (row,) = json.loads(bench("--json", *arguments))["peers"]
    assert row["theirs"] is None
    assert row["leaves_out"] == "everything"
    assert row["version"] == ""
    assert "absent not installed" in bench(*arguments)


@pytest.mark.parametrize(("world", "peer"), [(w, p) for w, ps in peers.PEERS.items() for p in ps])
def test_a_peer_that_is_there_takes_as_many_steps_as_it_says(bench, world, peer):
    if not peer.installed:
        pytest.skip(f"{peer.name} is not installed")
    assert peer.stepper(3)() % 3 == 0
    rows = json.loads(bench("--json", "--worlds", world, "--batches", "2", "--seconds", "0.05"))
    (row,) = (row for row in rows["peers"] if row["peer"] == peer.name)
    assert row["theirs"] > 0
    assert row["version"][0].isdigit()
    assert row["leaves_out"]


def test_drawn_actions_are_legal_and_reach_every_legal_one():
    step, close = envs.stepper("lbf-12x12-4p-3f-c", 4)
    # the environment refuses an illegal one
    assert sum(step() for _ in range(200)) == 800
    close()

"""A bundle carries what its team was found to be worth, and no other team's card."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eir_ros.cli.export import export
from eir_ros.cli.main import app
from eir_ros.contract.errors import EirError
from eir_ros.policy.bundle import load_bundle
from training import checkpoint
from training.attack import save_attack, train_attack
from training.cells import Judge
from training.matrix import read_matrix, recipe_of, victims
from training.report.card import team_card

MATRIX = """
name: tiny
worlds:
  coverage:
    recipe: config/recipes/coverage.yaml
    seeds: {ear-mappo: 1}
    set: {batch: 4, steps: 10, width: 8, policy.minibatches: 1, adversary.minibatches: 1,
          options.episode_decisions: 10, options.world: {site_period_s: 1.0}}
    episodes: 16
attacks: [random, frozen, {kind: fault, word: mute}, {kind: fault, word: stop, after: 0.5}]
"""


TEAM = "coverage/ear-mappo-0"


def cell(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A team in `runs`, its cells in `cells`, and both as a bundle."""
    room = tmp_path_factory.mktemp("cards")
    (room / "tiny.yaml").write_text(MATRIX)
    matrix = read_matrix(room / "tiny.yaml")
    [victim] = victims(matrix)
    run = checkpoint.fresh(recipe_of(matrix, victim))
    (room / "runs" / victim.name).mkdir(parents=True)
    checkpoint.save(run, room / "runs" / victim.name / checkpoint.FILE)
    attack = train_attack(run, "fresh", [0, 1, 2, 3], 1, seed=0)
    path = room / "runs" / victim.name / checkpoint.FILE
    save_attack(attack, run, path, path.with_name("attack-fresh.pt"))
    Judge(matrix, victim, room / "runs", room / "cells").judge()
    return room


def test_a_team_s_cells_become_its_signed_card_and_the_bundle_holds_it(room):
    export(room / "runs" / TEAM, room / "bundle", threshold=0.9, scorecard=room / "cells" / TEAM)
    card = load_bundle(room / "bundle").manifest.scorecard
    # a fault that starts late is not what `verify` plays
    assert card["return_per_episode"].keys() == {"none", "random_action", "mute", "worst"}
    assert card["attacks"].keys() == {"frozen", "fault-after=0.5-word=stop"}
    agents = cell(room / "cells" / TEAM, "fault-word=mute")["agents"].values()
    mean = sum(agent["mean"] for agent in agents) / 4
    assert card["return_per_episode"]["mute"]["mean"] == pytest.approx(mean, abs=1e-3)
    done = CliRunner().invoke(
        app, ["bundle", "verify", str(room / "bundle"), "--scorecard", "--episodes", "64"]
    )
    assert done.exit_code == 0, done.output
    assert "mute " in done.output


def test_the_card_of_another_team_is_refused(room):
    with pytest.raises(EirError, match=r"another checkpoint .* eir evaluate"):
        team_card(room / "cells" / TEAM, "0123456789abcdef")


def test_a_folder_that_is_no_team_s_is_refused(room):
    with pytest.raises(EirError, match=r"no cells 'none' and 'worst'"):
        team_card(room / "cells", "0123456789abcdef")


def test_a_team_that_sampled_is_not_what_robots_run(room, tmp_path):
    for name in ("none", "worst"):
        found = {**cell(room / "cells" / TEAM, name), "sampled": True}
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    with pytest.raises(EirError, match="sampled its actions"):
        team_card(tmp_path, cell(tmp_path, "none")["made_from"])

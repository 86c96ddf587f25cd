"""A bundle that became worse than its scorecard says is found out."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from eir_ros.cli import scorecard
from eir_ros.cli.main import app
from eir_ros.cli.scorecard import replay_scorecard
from eir_ros.contract.errors import EirError
from eir_ros.contract.paths import share
from eir_ros.policy.bundle import load_bundle

SHIPPED = share() / "policies" / "coverage"


def with_card(**means: float):
    """The shipped bundle, with other returns in its scorecard."""
    bundle = load_bundle(SHIPPED)
    card = {kind: {"mean": mean, "standard_error": 0.5} for kind, mean in means.items()}
    manifest = bundle.manifest.model_copy(update={"scorecard": {"return_per_episode": card}})
    return replace(bundle, manifest=manifest)


def test_the_shipped_bundle_is_worth_what_its_card_says():
    done = CliRunner().invoke(
        app, ["bundle", "verify", str(SHIPPED), "--scorecard", "--episodes", "32"]
    )
    assert done.exit_code == 0, done.output
    for kind in ("none", "stop", "random_action", "mute"):
        assert f"{kind} " in done.output
    assert "BELOW" not in done.output
    assert "32 other episodes than the card's" in done.output


def test_a_card_that_promises_more_than_the_bundle_is_worth_does_not_hold():
    lines = {line.kind: line for line in replay_scorecard(with_card(none=91, mute=90), 32, 0)}
    assert lines["none"].holds
    assert not lines["mute"].holds


def test_a_card_whose_robots_share_their_episodes_is_taken_for_surer_than_it_is(monkeypatch):
    monkeypatch.setattr(scorecard, "episode_returns", lambda *_: np.full(4096, 69.0))
    bundle = with_card(none=70.0, mute=70.0)
    lines = {line.kind: line.at_least for line in replay_scorecard(bundle, 4096, 0)}
    # three times the written 0.5 where nobody is faulty, and √4 times that for each of four robots
    assert lines == {"none": pytest.approx(68.5), "mute": pytest.approx(67.0)}


def test_a_bundle_without_returns_says_what_is_missing():
    with pytest.raises(EirError, match="has no returns in its scorecard"):
        replay_scorecard(with_card(), 16, 0)


def test_a_robot_without_its_share_of_random_actions_would_be_too_good():
    """The fault is acted out: random actions cost what the card says they cost."""
    random, healthy = replay_scorecard(with_card(random_action=0, none=0), 32, 0)
    assert random.played < healthy.played - 4

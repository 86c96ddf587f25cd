"""Attacks leave the victim as it is; evaluation measures what it says."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from eir_ros.cli.main import app
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from training import checkpoint
from training.attack import attack_at, load_attack, save_attack, train_attack
from training.attacks.base import WithFault
from training.beliefs import judge_beliefs
from training.calibration import blamed_share, calibrate_threshold
from training.evaluate import Episodes, Evaluator, auroc_after_onset


@pytest.fixture
def victim(tiny_recipe):
    return checkpoint.fresh(tiny_recipe("eir-mappo"))


def test_an_attack_trains_the_adversary_and_leaves_the_victim_alone(victim, tmp_path):
    team = {key: value.clone() for key, value in victim.team.state_dict().items()}
    own = {key: value.clone() for key, value in victim.adversary.state_dict().items()}
    attack = train_attack(victim, "warm", [0, 3], iterations=2, seed=1)
    assert all(torch.equal(team[k], v) for k, v in victim.team.state_dict().items())
    assert all(torch.equal(own[k], v) for k, v in victim.adversary.state_dict().items())
    assert any(not torch.equal(own[k], v) for k, v in attack.adversary.state_dict().items())
    assert [sorted(row) for row in attack.curve] == [[0, 3], [0, 3]]

    checkpoint.save(victim, tmp_path / "checkpoint.pt")
    save_attack(attack, victim, tmp_path / "checkpoint.pt", tmp_path / "attack.pt")
    again = load_attack(tmp_path / "attack.pt")
    assert all(
        torch.equal(attack.adversary.state_dict()[k], v) for k, v in again.state_dict().items()
    )


def test_an_earlier_attack_is_replaced_without_a_word(victim, tmp_path):
    path, said = tmp_path / "attack-fresh.pt", "fresh, 2 updates against a"
    checkpoint.save(victim, tmp_path / "checkpoint.pt")
    assert attack_at(path) == ""
    words = ["attack", str(tmp_path), "--iterations", "2", "--agent", "1"]
    first = CliRunner().invoke(app, [*words, "--sampled"]).output
    assert "is there already" not in first
    assert f"{path}: {said} sampling team, agent 1, seed 0" in first
    second = CliRunner().invoke(app, words).output
    assert f"is there already ({said} sampling team, agent 1, seed 0); it will be repl" in second
    assert f"{path}: {said} greedy team, agent 1, seed 0" in second
    path.with_suffix(".json").unlink()
    assert attack_at(path) == "an unknown one"


@pytest.mark.parametrize(
    ("start", "agents", "message"),
    [("hot", [0], "'fresh' or 'warm'"), ("fresh", [4], "0 to 3"), ("fresh", [], "0 to 3")],
)
def test_an_impossible_attack_is_refused(victim, start, agents, message):
    with pytest.raises(EirError, match=message):
        train_attack(victim, start, agents, iterations=1, seed=0)


def test_evaluation_repeats_itself_and_faults_the_robot_it_was_told_to(victim):
    evaluator = Evaluator(victim, batch=8)
    first = evaluator.play(FaultKind.MUTE, 8, [0], robot=2)
    again = evaluator.play(FaultKind.MUTE, 8, [0], robot=2)
    assert np.array_equal(first.returns, again.returns)
    assert (first.kinds == [0, 0, FaultKind.MUTE, 0]).all()


def scripted(p_faulty: float, p_healthy: float) -> Episodes:
    """One episode of 20 decisions with 3 robots; robot 2 fails at decision 5."""
    kinds = np.zeros((20, 1, 3), int)
    kinds[5:, 0, 2] = FaultKind.STOP
    p = np.full((20, 1, 3, 2), p_healthy)
    p[5:, 0, :2, 1] = p_faulty
    return Episodes(np.zeros(1), p, kinds)


def test_auroc_after_onset_looks_at_healthy_observers_at_that_moment():
    assert auroc_after_onset(scripted(0.9, 0.1), 3) == 1.0
    assert auroc_after_onset(scripted(0.1, 0.9), 3) == 0.0
    assert np.isnan(auroc_after_onset(scripted(0.9, 0.1), 30))


def test_who_is_mended_by_then_counts_as_a_healthy_one_that_is_blamed():
    episodes = scripted(0.9, 0.1)
    episodes.kinds[7:] = FaultKind.NONE
    assert auroc_after_onset(episodes, 1) == 1.0
    assert np.isnan(auroc_after_onset(episodes, 3))


def test_who_was_doubted_before_the_onset_is_never_found_out(toy_recipe):
    class Doubting:
        """An arena whose observers doubt one agent from the fourth step on, rightly or not."""

        steps = 20

        def play(self, attack, episodes, stream):
            kinds, p = np.zeros((20, 1, 3), int), np.full((20, 1, 3, 2), 0.1)
            if isinstance(attack, WithFault):
                kinds[attack.onset(20) :, 0, 2] = FaultKind.ADVERSARY
                p[4:, 0, :2, 1] = 0.9
            return Episodes(np.zeros(1), p, kinds, np.array([20]))

    found = judge_beliefs(checkpoint.fresh(toy_recipe("eir-mappo")), Doubting(), 1)
    # three in a row are a detection
    assert found["kinds"]["adversary"]["steps_to_detect"] == 2.0
    assert found["kinds"]["adversary"]["detected"] == 1.0


def test_what_comes_after_the_end_of_an_episode_counts_for_beliefs(toy_recipe):
    class Shortened:
        """An arena whose episodes end after 8 of 20 decisions; beliefs are right until then."""

        steps, asked = 20, 0.0

        def play(self, attack, episodes, stream):
            kinds = np.zeros((20, 1, 3), int)
            p = np.full((20, 1, 3, 2), 0.1)
            if isinstance(attack, WithFault):
                self.asked = attack.after
                kinds[attack.onset(20) :, 0, 2] = FaultKind.ADVERSARY
                p[:, 0, :2, 1] = 0.9
            p[8:] = 1 - p[8:]
            return Episodes(np.zeros(1), p, kinds, np.array([8]))

    arena = Shortened()
    found = judge_beliefs(checkpoint.fresh(toy_recipe("eir-mappo")), arena, 1)
    assert arena.asked == pytest.approx(8 / 3 / 20)
    assert found["kinds"]["adversary"]["auroc"] == 1.0
    assert found["kinds"]["adversary"]["detected"] == 1.0
    assert found["blamed"] == 0.0


def test_blame_needs_three_decisions_in_a_row_and_counts_each_healthy_robot_once():
    episodes = scripted(0.9, 0.1)
    assert blamed_share(episodes, 0.5) == 0.0  # the faulty robot is blamed, and rightly
    episodes.p_adversary[2:4, 0, 0, 0] = 0.9
    assert blamed_share(episodes, 0.5) == 0.0  # two in a row
    episodes.p_adversary[2:6, 0, 0, 0] = 0.9
    assert blamed_share(episodes, 0.5) == 0.5  # robot 1, of the healthy robots 0 and 1


def test_the_calibrated_threshold_keeps_its_promise_on_its_own_data():
    rng = np.random.default_rng(0)
    noise = Episodes(np.zeros(400), rng.random((30, 400, 3, 2)), np.zeros((30, 400, 3), int))
    threshold = calibrate_threshold(noise, 0.05)
    assert blamed_share(noise, threshold) <= 0.05
    assert blamed_share(noise, threshold - 0.02) > 0.05

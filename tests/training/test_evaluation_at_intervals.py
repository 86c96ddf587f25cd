"""Evaluation measures and chooses on held-out seeds, and leaves training as it is."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from eir_ros.contract.faults import FaultKind
from training import checkpoint, keeping
from training.evaluate import Episodes, Evaluator
from training.held_out import HeldOut, belief_accuracy, score
from training.train import train

EVALUATED = {"evaluation.every": 2, "evaluation.episodes": 4}
MEASURED = {
    f"evaluation/{mode}/{what}"
    for mode in ("greedy", "sampled")
    for what in ("healthy", "adversary", "random_action", "attacked", "belief_accuracy")
}


def weights(path: Path) -> dict[str, torch.Tensor]:
    networks = checkpoint.load(path).learner.networks.items()
    return {f"{n}.{k}": v for n, net in networks for k, v in net.state_dict().items()}


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").open()))


def test_a_run_with_evaluation_has_the_weights_of_one_without(tiny_recipe, tmp_path: Path):
    train(tiny_recipe("eir-mappo"), tmp_path / "without")
    train(tiny_recipe("eir-mappo", **EVALUATED), tmp_path / "with")
    plain, evaluated = (weights(tmp_path / name / checkpoint.FILE) for name in ("without", "with"))
    assert all(torch.equal(plain[key], evaluated[key]) for key in plain)

    found = rows(tmp_path / "with")
    assert [bool(row["evaluation/score"]) for row in found] == [False, True, False, True]
    assert {key for key in found[1] if key.startswith("evaluation/")} == MEASURED | {
        "evaluation/score"
    }
    assert not any(key.startswith("evaluation/") for key in rows(tmp_path / "without")[1])
    events = EventAccumulator(str(tmp_path / "with" / "events")).Reload()
    assert [e.step for e in events.Scalars("evaluation/greedy/attacked")] == [2, 4]
    assert [e.step for e in events.Scalars("return/all")] == [1, 2, 3, 4]


def test_a_run_that_resumes_is_evaluated_and_chosen_from_as_if_it_had_not(
    tiny_recipe, tmp_path: Path
):
    recipe = tiny_recipe("eir-mappo", **{**EVALUATED, "iterations": 3})
    train(recipe, tmp_path / "whole")

    def crash(run: checkpoint.Run, metrics: dict[str, float]) -> None:
        if run.iteration == 2:
            raise RuntimeError("the machine went down")

    with pytest.raises(RuntimeError):
        train(recipe, tmp_path / "parts", crash)
    train(recipe, tmp_path / "parts")
    same = [key for key in rows(tmp_path / "whole")[0] if key != "steps_per_s"]
    for whole, parts in zip(rows(tmp_path / "whole"), rows(tmp_path / "parts"), strict=True):
        assert [whole[key] for key in same] == [parts[key] for key in same]
    best = [checkpoint.load(tmp_path / name / keeping.BEST) for name in ("whole", "parts")]
    assert best[0].iteration == best[1].iteration
    assert best[0].best_score == best[1].best_score


@pytest.mark.parametrize(("method", "told"), [("eir-mappo", False), ("true-type", True)])
def test_only_the_oracle_is_told_the_types_in_an_evaluation(
    method, told, tiny_recipe, monkeypatch: pytest.MonkeyPatch
):
    # at the start of a run, when training would put the truth in the place of every belief
    run = checkpoint.fresh(tiny_recipe(method))
    believe, own, lied_to = run.team.believe, [], []

    def spy(observation, hidden, types):
        lied_to.append(believe(observation, hidden, types * 0)[0])
        own.append(believe(observation, hidden, types))
        return own[-1]

    monkeypatch.setattr(run.team, "believe", spy)
    evaluator = Evaluator(run, batch=4)
    played = evaluator.play(FaultKind.ADVERSARY, 4, [0])
    evaluator.close()
    beliefs = torch.stack([belief for belief, _ in own])
    assert torch.equal(beliefs, torch.stack(lied_to)) != told
    assert np.array_equal(played.p_adversary, 1 - beliefs[..., 0].numpy())


def test_a_team_without_a_trained_adversary_is_not_measured_against_one(tiny_recipe):
    held_out = HeldOut(checkpoint.fresh(tiny_recipe("mappo", **EVALUATED)))
    found = held_out.measure()
    held_out.close()
    assert "evaluation/greedy/adversary" not in found
    assert found["evaluation/greedy/attacked"] == found["evaluation/greedy/random_action"]
    assert all(math.isfinite(value) for value in found.values())


def test_a_team_that_never_cooperates_is_not_the_best_of_the_toy_game():
    uniformly_random, robust, naive = (50.0, 50.0), (100.0, 49.0), (100.0, 0.0)
    scores = [score(*returns, weight=0.5) for returns in (uniformly_random, robust, naive)]
    assert max(scores) == scores[1]
    assert score(*uniformly_random, weight=1.0) > score(*robust, weight=1.0)


def test_the_best_checkpoint_is_the_one_with_the_highest_score_so_far(
    tiny_recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scores = iter([1.0, 3.0, 2.0, 3.0])
    monkeypatch.setattr(HeldOut, "measure", lambda self: {"evaluation/score": next(scores)})
    run = train(tiny_recipe("mappo", **{**EVALUATED, "evaluation.every": 1}), tmp_path)
    best = checkpoint.load(tmp_path / keeping.BEST)
    assert (best.iteration, best.best_iteration, best.best_score) == (2, 2, 3.0)
    assert (run.best_iteration, checkpoint.load(tmp_path / checkpoint.FILE).iteration) == (2, 4)


def test_as_many_past_checkpoints_stay_as_the_recipe_says(tiny_recipe, tmp_path: Path):
    train(tiny_recipe("mappo", checkpoint_every=1, checkpoints_kept=2), tmp_path)
    kept = sorted((tmp_path / keeping.PAST).iterdir())
    assert [checkpoint.load(path).iteration for path in kept] == [2, 3, 4]
    assert kept[-1].samefile(tmp_path / checkpoint.FILE)


def test_belief_accuracy_counts_healthy_observers_only():
    kinds = np.zeros((1, 1, 3), int)
    kinds[..., 2] = FaultKind.STOP
    p = np.array([[0.1, 0.9], [0.9, 0.9], [0.9, 0.9]])[None, None]
    assert belief_accuracy(Episodes(np.zeros(1), p, kinds)) == 0.75

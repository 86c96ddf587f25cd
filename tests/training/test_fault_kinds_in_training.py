"""A vocabulary that grows must not change what was trained with a smaller one."""

import numpy as np
import pytest

from eir_ros.contract.faults import FaultKind
from training import checkpoint
from training.evaluate import Evaluator
from training.game import make_game
from training.train import train


def test_a_critic_is_as_wide_as_the_mixture_that_it_learns_from(tiny_recipe):
    few = checkpoint.fresh(tiny_recipe("eir-mappo", **{"faults.kinds": "{stop: 1.0}"}))
    more = checkpoint.fresh(tiny_recipe("eir-mappo", **{"faults.kinds": "{stop: 1.0, wear: 1.0}"}))
    # one column per robot for each kind, and for the learned adversary that attacks may add
    gap = len(more.critic.normaliser.mean) - len(few.critic.normaliser.mean)
    assert gap == 4


def test_a_recipe_with_a_new_kind_trains_and_is_read_again(tiny_recipe, tmp_path):
    changes = {"faults.kinds": "{wear: 1.0}", "faults.probability": 1.0, "iterations": 2}
    train(tiny_recipe("eir-mappo", **changes), tmp_path)
    assert checkpoint.load(tmp_path / checkpoint.FILE).iteration == 2


def test_a_team_meets_other_faults_in_training_than_it_was_given(tiny_recipe, tmp_path):
    given = "['r1:stop@1-2', 'r2:noise(sigma=0.3)@0', 'r2:intermittent(period_s=1)@2']"
    recipe = tiny_recipe("eir-mappo", **{"faults.schedule": given, "iterations": 2})
    train(recipe, tmp_path)
    evaluator = Evaluator(checkpoint.load(tmp_path / checkpoint.FILE), batch=4)
    kinds = evaluator.play_mixture(recipe.faults, 4, [0]).kinds
    assert (kinds == kinds[:, :1]).all()
    assert (kinds[:10, 0, 2] == FaultKind.NOISE).all()
    assert [int(kinds[t, 0, 1]) for t in (4, 5, 9, 10)] == [0, FaultKind.STOP, FaultKind.STOP, 0]
    assert set(kinds[10:, 0, 2].tolist()) == {FaultKind.ADVERSARY, FaultKind.MUTE}
    evaluator.close()


@pytest.mark.parametrize("kind", [FaultKind.DRIFT, FaultKind.REVERSE, FaultKind.WEAR])
def test_a_team_cannot_be_judged_under_a_fault_that_it_never_met(kind, tiny_recipe):
    evaluator = Evaluator(checkpoint.fresh(tiny_recipe("eir-mappo")), batch=4)
    played = evaluator.play(kind, 4, [0], robot=1)
    assert (played.kinds[:, :, 1] == kind).all()
    evaluator.close()


def test_an_agent_without_a_body_is_well_again_in_whole_steps(toy_recipe):
    changes = {"faults.probability": 1.0, "faults.ends": 1.0, "batch": 32}
    recipe = toy_recipe("eir-mappo", **changes)
    game = make_game(recipe, recipe.batch, recipe.faults)
    game.reset([0])
    for _ in range(2):
        corrupted = []
        for _ in range(game.env.horizon):
            corrupted.append((game.kinds != FaultKind.NONE).any(-1))
            game.step(np.zeros((32, 2), np.int64))
        steps = np.array(corrupted)
        assert steps[0].all()
        assert (np.diff(steps.astype(int), axis=0) <= 0).all()
        assert not steps[-1].all()
    game.close()

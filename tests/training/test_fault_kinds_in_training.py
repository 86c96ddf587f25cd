"""A vocabulary that grows must not change what was trained with a smaller one."""

import pytest

from eir_ros.contract.faults import FaultKind
from training import checkpoint
from training.evaluate import Evaluator
from training.networks import FIRST_KINDS
from training.train import train


def test_a_new_kind_changes_the_critic_of_an_old_recipe(tiny_recipe):
    old = checkpoint.fresh(tiny_recipe("eir-mappo"))
    assert old.critic.kinds == FIRST_KINDS == 8
    assert len(FaultKind) > FIRST_KINDS


def test_a_recipe_with_a_new_kind_hides_it_from_its_critic(tiny_recipe, tmp_path):
    changes = {"faults.kinds": "{wear: 1.0}", "faults.probability": 1.0, "iterations": 2}
    recipe = tiny_recipe("eir-mappo", **changes)
    run = train(recipe, tmp_path)
    assert run.critic.kinds == FaultKind.WEAR + 1
    assert checkpoint.load(tmp_path / checkpoint.FILE).critic.kinds == run.critic.kinds


@pytest.mark.parametrize("kind", [FaultKind.DRIFT, FaultKind.REVERSE, FaultKind.WEAR])
def test_a_team_cannot_be_judged_under_a_fault_that_it_never_met(kind, tiny_recipe):
    evaluator = Evaluator(checkpoint.fresh(tiny_recipe("eir-mappo")), batch=4)
    played = evaluator.play(kind, 4, [0], robot=1)
    assert (played.kinds[:, :, 1] == kind).all()
    evaluator.close()

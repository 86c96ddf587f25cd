"""A vocabulary that grows must not change what was trained with a smaller one."""

import pytest

from eir_ros.contract.faults import FaultKind
from training import checkpoint
from training.evaluate import Evaluator
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


@pytest.mark.parametrize("kind", [FaultKind.DRIFT, FaultKind.REVERSE, FaultKind.WEAR])
def test_a_team_cannot_be_judged_under_a_fault_that_it_never_met(kind, tiny_recipe):
    evaluator = Evaluator(checkpoint.fresh(tiny_recipe("eir-mappo")), batch=4)
    played = evaluator.play(kind, 4, [0], robot=1)
    assert (played.kinds[:, :, 1] == kind).all()
    evaluator.close()

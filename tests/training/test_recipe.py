"""A recipe that is wrong is refused before anything runs."""

import pytest

from eir_ros.contract.errors import EirError
from training.methods import METHODS
from training.recipe import Anneal, read_recipe


def test_the_shipped_recipe_is_valid_for_every_method(tiny_recipe):
    for method in METHODS:
        assert tiny_recipe(method).method == method


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("bacth=64", "'batch'"),
        ("policy.clpi=0.1", "'clip'"),
        ("batch=0", "'batch' is 0"),
        ("method=mapo", "'mappo'"),
        ("faults.kinds={sleepy: 1}", "sleepy"),
        ("seed", "KEY=VALUE"),
        ("seed.deep=1", "no settings inside"),
        ("batch=2", "minibatches"),
        ("shards=3", "3 equal shards"),
        ("type_space=[[sleepy]]", "sleepy"),
        ("method=rmaac", "section 'rmaac'"),
        ("seed=[1", r"--set seed: '\[1' is not a YAML value"),
    ],
)
def test_a_wrong_setting_is_refused_and_the_valid_one_named(change, message):
    with pytest.raises(EirError, match=message):
        read_recipe("config/recipes/coverage.yaml", [change])


def test_a_roster_is_refused_as_no_recipe():
    with pytest.raises(EirError, match="this is not a recipe: it has fence, types, robots;"):
        read_recipe("config/rosters/default.yaml")


def test_annealing_stays_between_its_ends():
    rate = Anneal(first=1.0, last=0.0)
    assert [rate.at(p) for p in (-1, 0, 0.25, 1, 2)] == [1, 1, 0.75, 0, 0]

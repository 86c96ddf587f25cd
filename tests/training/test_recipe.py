"""A recipe that is wrong is refused before anything runs."""

from pathlib import Path

import pytest

from eir_ros.contract.errors import EirError
from training import checkpoint
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
        ("policy.learning_rate.frist=1", "'policy.learning_rate.frist', did you mean 'first'"),
        ("replay.capcity=5", "'replay.capcity', did you mean 'capacity'"),
        ("rmaac.policy.clip=2", "'rmaac.policy.clip' is 2"),
        ("observe.idenity=true", "did you mean 'identity'"),
        ("critic.gamma=1", "'critic.gamma' is 1: input should be less than 1"),
        ("belief.network=pairwize", "did you mean 'pairwise'"),
        ("method=eirmappo", "did you mean 'eir-mappo'"),
        ("faults.kinds={advrsary: 1}", "did you mean 'adversary'"),
        ("faults.kinds={none: 1}", "'none' is no fault"),
        ("type_space=[[stop], [stop]]", "stop is told twice"),
        ("type_space=[[adversary]]", "mute, random_action, stop of faults.kinds is of no type"),
        ("replay.warmup=200000", "learning would never begin"),
        ("belief.actor=memory", "=memory: belief.actor is memory and .* set belief.joint=true"),
        ("adversary.restarts=2000", "adversary.restarts is 2000, and there are"),
        ("belief.joint=true", "=true: belief.joint is true and .* set belief.teacher_forcing=0"),
        ("seed=[1", r"--set seed: '\[1' is not a YAML value"),
    ],
)
def test_a_wrong_setting_is_refused_and_the_valid_one_named(change, message):
    with pytest.raises(EirError, match=message):
        read_recipe("config/recipes/coverage.yaml", [change])


def test_a_setting_that_changes_nothing_is_taken_in_silence(tiny_recipe):
    changes = ["belief.hidden=8", "critic.gamma=0.9", "seed=1"]
    assert tiny_recipe("eir-mappo").unread(changes) == []
    assert tiny_recipe("mappo").unread(changes) == [
        "mappo does not read belief.hidden; recurrent-ear-mappo and eir-mappo would."
    ]


def test_a_mistake_of_the_command_line_is_blamed_on_the_file(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(Path("config/recipes/toy.yaml").read_text().replace("\nwidth:", "\nwidht:"))
    with pytest.raises(EirError) as refused:
        read_recipe(path, ["itertions=3", "seed=1"])
    line = path.read_text().splitlines().index("widht: 64") + 1
    assert str(refused.value) == (
        f"{path}:{line}: unknown key 'widht', did you mean 'width'? "
        "--set itertions=3: unknown key 'itertions', did you mean 'iterations'?"
    )
    # what is set takes the place of what is written, all of it
    with pytest.raises(EirError, match=r"^--set critic=\{gama: 1\}: .*'critic\.gama'"):
        read_recipe("config/recipes/toy.yaml", ["critic={gama: 1}"])


def test_a_method_without_beliefs_is_asked_how_its_belief_is_trained():
    changes = ["belief.actor=memory", "method=recurrent-ear-mappo"]
    recipe = read_recipe("config/recipes/toy.yaml", changes)
    assert checkpoint.fresh(recipe).team.recalls
    with pytest.raises(EirError, match=r"belief\.joint is false"):
        read_recipe("config/recipes/toy.yaml", [changes[0], "method=eir-mappo"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("environment=swarm-coverge", "did you mean 'swarm-coverage'"),
        ("options.episode_decision=9", "did you mean 'episode_decisions'"),
        ("options.task.num_robot=4", "did you mean 'num_robots'"),
        ("faults.max_faulty=5", "max_faulty is 5, but 'swarm-coverage' has 4 agents"),
    ],
)
def test_what_only_the_world_knows_is_refused_before_the_first_step(change, message):
    with pytest.raises(EirError, match=message):
        checkpoint.fresh(read_recipe("config/recipes/coverage.yaml", [change]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path", sorted(Path("config/recipes").glob("*.yaml")), ids=lambda p: p.stem
)
def test_a_shipped_recipe_lacks_what_a_method_needs(path, method):
    recipe = read_recipe(path, [f"method={method}"])
    # what is written there, and commented, not what would hold if it were not
    assert {"replay", "rmaac"} <= recipe.model_fields_set
    lines = path.read_text(encoding="utf-8").splitlines()
    for section in ("replay:", "rmaac:"):
        assert lines[lines.index(section) - 1].startswith("# ")


def test_rmaac_needs_its_section():
    with pytest.raises(EirError, match="needs the section 'rmaac'"):
        read_recipe("config/recipes/coverage.yaml", ["method=rmaac", "rmaac=null"])


def test_a_roster_is_refused_as_no_recipe():
    with pytest.raises(EirError, match="this is not a recipe: it has fence, trust, types, robots;"):
        read_recipe("config/rosters/default.yaml")


def test_annealing_stays_between_its_ends():
    rate = Anneal(first=1.0, last=0.0)
    assert [rate.at(p) for p in (-1, 0, 0.25, 1, 2)] == [1, 1, 0.75, 0, 0]

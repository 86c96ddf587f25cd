"""What robots run is what was trained: checkpoint to bundle, and torch against onnxruntime."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from eir_ros.cli.export import export
from eir_ros.contract.errors import EirError
from eir_ros.contract.paths import share
from eir_ros.policy.bundle import Bundle, check_contract, load_bundle, replay_golden
from eir_ros.policy.runtime import AdversaryRuntime, PolicyRuntime
from sim.swarm.env import CoverageEnv
from training import checkpoint
from training import export as exporting
from training.attack import Attack, save_attack
from training.calibration import BLAMED_SHARE, calibrate
from training.checkpoint import Run
from training.recipe import read_recipe
from training.team import BeliefSource

STEPS = 500


#: What the actor reads of the belief network, as changes of a recipe.
READS = {
    "belief": (),
    "memory": ("belief.joint=true", "belief.teacher_forcing=0", "belief.actor=memory"),
}


@pytest.fixture(scope="module", params=sorted(READS))
def run(request: pytest.FixtureRequest) -> Run:
    """A run whose networks are random but, unlike untrained ones, have opinions."""
    torch.set_num_threads(1)
    changes = ("steps=30", "options.episode_decisions=30", "batch=8", "width=64")
    changes += READS[request.param]
    run = checkpoint.fresh(read_recipe(share() / "config/recipes/coverage.yaml", changes))
    env = CoverageEnv(batch=8, seed=1, task=exporting.task_of(run))
    rng = np.random.default_rng(1)
    steps = [
        env.step(rng.integers(0, len(env.task.actions), (8, 4))).observation.copy()
        for _ in range(80)
    ]
    env.close()
    observation = torch.from_numpy(np.stack(steps))
    with torch.no_grad():
        team = run.team
        team.belief.normaliser.update(team.view.pairs(observation))
        team.belief.head.weight *= 100
        log_belief, _ = team.beliefs(observation, team.initial_state(8, 4))
        team.normaliser.update(team.actor_input(observation, log_belief.exp()))
        for actor in (team.actor, run.adversary.actor):
            actor[-1].weight.mul_(100)
    return run


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as `eir export` writes it."""
    room = tmp_path_factory.mktemp("export")
    checkpoint.save(run, room / "checkpoint.pt")
    (room / "card.json").write_text(json.dumps({"return": {"no_fault": 1.5}}))
    # the folder of the run stands for its checkpoint
    export(room, room / "bundle", threshold=0.9, scorecard=room / "card.json")
    return room / "bundle"


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder)


@torch.no_grad()
def test_robots_and_torch_agree_over_a_closed_loop(run: Run, bundle: Bundle) -> None:
    task, team = exporting.task_of(run), run.team
    robots = [PolicyRuntime(bundle) for _ in range(task.num_robots)]
    env = CoverageEnv(batch=1, seed=2, task=task, episode_decisions=STEPS + 1)
    observation = env.reset()[0]
    hidden = team.initial_state(task.num_robots)
    chosen, suspicion = set(), []
    for _ in range(STEPS):
        logits, belief, hidden = team(torch.from_numpy(observation), hidden)
        steps = [robot.step(seen) for robot, seen in zip(robots, observation, strict=True)]
        np.testing.assert_allclose([s.logits for s in steps], logits, rtol=0, atol=1e-5)
        np.testing.assert_allclose([s.belief for s in steps], belief, rtol=0, atol=1e-5)
        actions = np.array([step.action for step in steps])
        np.testing.assert_array_equal(actions, logits.argmax(-1))
        chosen |= set(actions.tolist())
        suspicion.append(belief[..., 1].numpy())
        observation = env.step(actions[None]).observation[0]
    env.close()
    # otherwise there was nothing to disagree about
    assert len(chosen) > 3
    assert np.std(suspicion) > 0.01


@torch.no_grad()
def test_the_adversary_agrees_with_torch_for_every_corrupted_robot(
    run: Run, bundle: Bundle
) -> None:
    runtime = AdversaryRuntime(bundle, seed=0)
    for observation in bundle.golden["observation"][::10]:
        for types in np.eye(4, dtype=np.float32):
            expected = run.adversary(torch.from_numpy(observation), torch.from_numpy(types))
            found = runtime.logits(observation, types)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_bundle_is_what_robots_accept(bundle: Bundle, run: Run) -> None:
    replay_golden(bundle)
    manifest = bundle.manifest
    check_contract(manifest, exporting.task_of(run))
    assert bundle.signed_by == "demo"
    assert manifest.name == "coverage"
    assert manifest.version == 1
    assert manifest.method == "eir-mappo"
    assert manifest.belief.threshold == 0.9
    assert sum(manifest.belief.prior) == pytest.approx(1.0, abs=1e-3)
    assert set(manifest.trained_faults) == set(run.recipe.faults.kinds)
    assert manifest.training.recipe == run.recipe.model_dump(mode="json")
    assert manifest.scorecard == {"return": {"no_fault": 1.5}}
    # the stopped robot is in the second half, so it is worth replaying
    assert len(bundle.golden["observation"]) == exporting.GOLDEN_STEPS


@pytest.mark.parametrize("graph", ["policy.onnx", "adversary.onnx"])
def test_a_graph_is_one_file_of_opset_18_that_says_nothing_of_its_maker(
    folder: Path, graph: str
) -> None:
    content = (folder / graph).read_bytes()
    model = onnx.load_model_from_string(content)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert b"stack_trace" not in content
    assert str(share()).encode() not in content
    for tensor in (*model.graph.input, *model.graph.output):
        assert tensor.type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_second_export_is_a_newer_version_and_an_older_one_is_refused_before_the_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object) -> None:
        raise AssertionError("the export began")

    monkeypatch.setattr(exporting, "export_files", work)
    source = folder.parent / "checkpoint.pt"
    with pytest.raises(EirError, match=r"holds version 1 of 'coverage'.*The next is 2"):
        export(source, folder, threshold=0.9, version=1)
    with pytest.raises(AssertionError, match="began"):
        export(source, folder, threshold=0.9)


def test_networks_that_disagree_with_the_graphs_are_refused(run: Run, bundle: Bundle) -> None:
    files = {"policy.onnx": bundle.policy}
    bias = run.team.actor[-1].bias
    with torch.no_grad():
        bias += 1e-3
        try:
            with pytest.raises(EirError, match=r"policy\.onnx and the network .* differ by 0\.001"):
                exporting.golden_vectors(run.team, None, exporting.task_of(run), files, steps=3)
        finally:
            bias -= 1e-3


def test_a_team_that_reads_true_types_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.team, "source", BeliefSource.TRUE)
    with pytest.raises(EirError, match="which a robot cannot know"):
        exporting.export_files(run.team, None, exporting.task_of(run))


def test_an_adversary_that_was_never_trained_is_not_shipped(run: Run) -> None:
    changes = ("method=mappo",)
    healthy = checkpoint.fresh(read_recipe(share() / "config/recipes/coverage.yaml", changes))
    assert exporting.trained_adversary(healthy) is None
    assert exporting.trained_adversary(run) is run.adversary


def test_an_attack_on_another_team_or_no_attack_is_not_shipped(run: Run, tmp_path: Path) -> None:
    checkpoint.save(run, tmp_path / "checkpoint.pt")
    other = checkpoint.fresh(read_recipe(share() / "config/recipes/toy.yaml"))
    attack = Attack(other.adversary, "fresh", [0], seed=0)
    save_attack(attack, other, tmp_path / "checkpoint.pt", tmp_path / "toy.pt")
    wanted = {
        "toy.pt": "attacks a team of 2 with 5 numbers .* expected 4, 34",
        "checkpoint.pt": "not an attack written by `eir attack`",
        "none.pt": "none.pt is not an attack",
    }
    for name, said in wanted.items():
        with pytest.raises(EirError, match=said):
            export(tmp_path, tmp_path / "out", threshold=0.9, adversary=tmp_path / name)
    assert not (tmp_path / "out").exists()


def test_the_calibrated_threshold_blames_few_of_the_healthy(run: Run) -> None:
    threshold, card = calibrate(run, episodes=256)
    assert 0.5 <= threshold < 1
    assert card["blamed_share_of_healthy"] <= 3 * BLAMED_SHARE
    assert all(0 <= auroc <= 1 for auroc in card["auroc_after_onset"].values())
    json.dumps(card, allow_nan=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 1.5}, "--threshold is 1.5; expected a probability"),
        ({"key": Path("no.key")}, "no.key: cannot be read"),
        ({"scorecard": Path("no.json")}, "no.json: not a JSON file"),
    ],
)
def test_wrong_options_are_refused_before_the_work(
    tmp_path: Path, options: dict, said: str
) -> None:
    with pytest.raises(EirError, match=said):
        export(tmp_path / "checkpoint.pt", tmp_path / "out", **options)
    with pytest.raises(EirError, match=r"checkpoint\.pt"):
        export(tmp_path / "checkpoint.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Training, evaluation, attacks, pictures and robots let one and the same function decide.

What is guarded: a world that is stepped with actions that the attack process never saw, so that
"corrupted" means one thing in training and another one in the field.
"""

import ast
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from eir_ros.cli import play
from eir_ros.contract.coverage import CoverageTask, Sensed, command, decode
from eir_ros.contract.faults import FaultKind, parse_fault
from eir_ros.contract.paths import share
from eir_ros.faults import attack_process, injector
from eir_ros.faults.timeline import Timeline
from eir_ros.policy.bundle import load_bundle
from sim.toy.env import ToyEnv
from training import checkpoint, rollout
from training.attack import train_attack
from training.attacks import make_attack
from training.attacks import play as arena
from training.evaluate import Evaluator
from training.players import make_collector
from training.recipe import read_recipe
from training.train import iterate

ROOT = share()
#: What the stand-in lets through, whatever anybody wants.
ALWAYS = 1


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.integer]]:
    """Another attack process in the place of ours; holds the kinds that it was asked about."""
    asked: list[NDArray[np.integer]] = []

    def executed(
        policy: NDArray[np.int64],
        adversary: NDArray[np.int64],
        uniform: NDArray[np.int64],
        kinds: NDArray[np.integer],
    ) -> NDArray[np.int64]:
        asked.append(kinds.copy())
        return np.full_like(policy, ALWAYS)

    for module in (attack_process, rollout, arena, injector):
        # raises where a module no longer has it
        monkeypatch.setattr(module, "executed_actions", executed)
    return asked


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.int64]]:
    """Joint actions that reached a world."""
    found: list[NDArray[np.int64]] = []
    step = ToyEnv.step

    def watched(self: ToyEnv, actions: NDArray[np.int64]) -> object:
        found.append(actions.copy())
        return step(self, actions)

    monkeypatch.setattr(ToyEnv, "step", watched)
    return found


def test_training_attacks_and_evaluation_carry_out_nothing_else(stand_in, carried_out):
    small = ("batch=8", "steps=10", "options.episode_steps=10", "width=8")
    run = checkpoint.fresh(read_recipe(ROOT / "config/recipes/toy.yaml", small))
    collector = make_collector(run)
    iterate(run, collector)
    collector.game.close()
    train_attack(run, "fresh", [1], iterations=1, seed=0)
    evaluator = Evaluator(run, batch=8)
    evaluator.play(FaultKind.RANDOM_ACTION, 8, [0], robot=1)
    evaluator.close()
    attacked = arena.Arena(run, batch=8)
    attacked.play(make_attack("late-switch"), 8, [0])
    attacked.close()
    assert len(carried_out) == len(stand_in) == 40
    assert all((actions == ALWAYS).all() for actions in carried_out)
    assert {FaultKind.ADVERSARY, FaultKind.RANDOM_ACTION} <= set(np.concatenate(stand_in).flat)


@pytest.mark.parametrize("kind", ["adversary", "random_action"])
def test_a_robot_in_the_field_carries_out_nothing_else(kind, stand_in):
    task = CoverageTask()
    sensed = Sensed(
        pose=np.zeros(3), velocity=np.zeros(2), tracks=np.ones((3, 4)), visible=np.ones(3, bool),
        sites=np.eye(3, 2), served=np.zeros(3, bool), index=np.array(2),
    )  # fmt: skip
    robot = injector.Injector(task, 2, Timeline([parse_fault(f"r2:{kind}@0")]), seed=0)
    robot.adversary = lambda observation, index: 7
    found = robot.apply(0.0, np.array([0.1, 0.1]), sensed, decide=True)
    wanted = command(task, decode(task, np.array(ALWAYS), sensed), sensed.pose)
    assert (found == wanted).all()
    assert [int(kinds) for kinds in stand_in] == [FaultKind.parse(kind)]


def test_a_picture_shows_nothing_else(stand_in):
    bundle = load_bundle(share() / "policies" / "coverage")
    kinds = np.array([[0, FaultKind.ADVERSARY, 0, FaultKind.RANDOM_ACTION]])
    world = SimpleNamespace(kinds=kinds, types=(kinds > 0).astype(int))
    decide = play._team_decisions(world, bundle, seed=0)
    seen = np.zeros((4, bundle.manifest.task.layout.size), np.float32)
    actions, _ = decide(seen, None)
    assert (actions == ALWAYS).all()
    assert len(stand_in) == 1


def steps_of_games(path: Path) -> list[int]:
    """Lines of a file that call `.step` of something called a game."""
    calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "step"
        and ast.unparse(call.func.value).rpartition(".")[2].lstrip("_") == "game"
    ]


def test_no_other_loop_steps_a_game_with_types():
    """A new loop over `Game` is a way around the attack process: add it to the tests above."""
    files = [*(ROOT / "training").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    # peers.py steps other people's games, in which nobody is corrupted
    found = {p.name for p in files if p.name != "peers.py" and steps_of_games(p)}
    assert found == {"rollout.py", "play.py"}

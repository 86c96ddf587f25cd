"""Every method in every family of worlds: it trains, is attacked, is evaluated and goes on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from training import checkpoint
from training.attack import train_attack
from training.evaluate import Evaluator
from training.methods import METHODS
from training.players import make_collector
from training.train import iterate

#: Everything but the other swarm tasks and mpe2's discrete actions, where one of each kind goes.
EVERYWHERE = [
    (method, world)
    for method in METHODS
    for world in ("toy", "lbf", "smac", "mpe-continuous", "coverage")
] + [
    (method, world)
    for method in ("eir-mappo", "m3ddpg", "rmaac")
    for world in ("mpe", "rendezvous", "pursuit", "transport")
]


def weights(run: checkpoint.Run) -> list[torch.Tensor]:
    return [v.clone() for net in run.learner.networks.values() for v in net.state_dict().values()]


@pytest.mark.parametrize(("method", "world"), EVERYWHERE)
def test_a_method_does_not_work_in_a_world(method, world, tiny_everywhere, tmp_path: Path):
    if world.startswith("mpe"):
        pytest.importorskip("mpe2")
    run = checkpoint.fresh(tiny_everywhere(method, world))
    before = weights(run)
    collector = make_collector(run)
    for _ in range(2):
        metrics = iterate(run, collector)
    assert all(np.isfinite(value) for value in metrics.values())
    after = weights(run)
    assert all(torch.isfinite(value).all() for value in after)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))

    # saved, read and gone on with, it is what it would have been
    checkpoint.save(run, tmp_path / checkpoint.FILE)
    again = checkpoint.load(tmp_path / checkpoint.FILE)
    iterate(run, collector)
    collector.game.close()
    collector = make_collector(again)
    iterate(again, collector)
    collector.game.close()
    assert all(torch.equal(a, b) for a, b in zip(weights(run), weights(again), strict=True))

    attack = train_attack(run, "fresh", [0, 1], iterations=1, seed=0)
    assert all(np.isfinite(value) for value in attack.curve[0].values())
    for greedy in (True, False):
        evaluator = Evaluator(run, batch=4, greedy=greedy)
        played = evaluator.play(FaultKind.ADVERSARY, 4, [0], robot=1, adversary=attack.adversary)
        evaluator.close()
        assert np.isfinite(played.returns).all()
        assert (played.kinds[0, :, 1] == FaultKind.ADVERSARY).all()


@pytest.mark.parametrize("method", ["eir-mappo", "true-type", "maddpg"])
def test_a_team_knows_fewer_types_than_there_are(method, tiny_everywhere):
    """K = 2: each kind of fault has a type of its own, and several agents have one at once."""
    run = checkpoint.fresh(tiny_everywhere(method, "toy", batch=32))
    assert run.team.num_types == 3
    rollout = make_collector(run).collect([0, 0], 6)
    assert rollout.belief.shape[-2:] == (1, 3)
    if not METHODS[method].attacked:
        assert not rollout.types.any()
        return
    assert torch.equal(rollout.types == 1, rollout.kinds == FaultKind.ADVERSARY)
    assert torch.equal(rollout.types == 2, rollout.kinds == FaultKind.RANDOM_ACTION)
    assert set((rollout.types != 0).sum(-1).unique().tolist()) == {1, 2}


def test_a_recipe_for_more_adversaries_than_agents_is_refused(tiny_everywhere):
    recipe = tiny_everywhere("eir-mappo", "toy", **{"faults.max_faulty": 3})
    with pytest.raises(EirError, match=r"max_faulty is 3, but 'toy' has 2 agents"):
        checkpoint.fresh(recipe)

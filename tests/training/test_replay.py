"""A replay buffer holds transitions as they were, and a resumed run holds the same ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from eir_ros.contract.errors import EirError
from training import checkpoint
from training.players import make_collector
from training.replay import ReplayBuffer, Transitions
from training.rollout import Rollout
from training.train import iterate


def play(recipe) -> Rollout:
    run = checkpoint.fresh(recipe)
    collector = make_collector(run)
    rollout = collector.collect([0, 0], recipe.steps)
    collector.game.close()
    return rollout


def everything(buffer: ReplayBuffer) -> Transitions:
    """All rows, the oldest first."""
    memory = buffer.memory()
    start = memory["next"] if memory["size"] == buffer.capacity else 0
    return Transitions(**{k: torch.roll(v, -start, 0) for k, v in memory["columns"].items()})


def test_what_follows_a_step_is_the_next_step_unless_the_episode_is_over(toy_recipe):
    """Episodes of 4 steps in rollouts of 10: two ends inside, one cut at the rollout's end."""
    rollout = play(toy_recipe("maddpg", steps=10, batch=8, **{"options.episode_steps": 4}))
    after, goes_on = rollout.extra["next_observation"], ~rollout.ended
    assert torch.equal(after[:-1][goes_on[:-1]], rollout.observation[1:][goes_on[:-1]])
    assert rollout.ended.any(1).nonzero().flatten().tolist() == [3, 7]
    # columns of the toy game: state, own index, last state, both last actions
    ends = after[rollout.ended]
    assert torch.equal(ends[:, 0, 3:].long(), rollout.executed[rollout.ended])
    assert torch.equal(ends[:, 0, 2], rollout.observation[rollout.ended][:, 0, 0])
    assert (rollout.observation[4, :, 0, 2] == -1).all()  # a fresh episode remembers nothing
    # the state that it led to says whether the step paid
    assert torch.equal(ends[:, 0, 0], rollout.reward[rollout.ended])


def test_an_end_keeps_its_last_actions_and_its_masks(tiny_everywhere):
    """What is added to observations, and what could have been done, as if one step came more."""
    options = {"options.episode_limit": "5", "steps": "5", "batch": "16", "shards": "1"}
    short = play(tiny_everywhere("maddpg", "lbf", **options))
    long = play(tiny_everywhere("maddpg", "lbf", **options | {"options.episode_limit": "6"}))
    cut = short.truncated[4]
    assert cut.any()
    last = short.extra["next_observation"][4][cut]
    assert torch.equal(short.executed[:4], long.executed[:4])
    same = torch.equal(last, long.extra["next_observation"][4][cut])
    assert same or not torch.equal(short.executed[4], long.executed[4])
    assert torch.equal(short.extra["next_available"][4][cut], long.extra["next_available"][4][cut])
    assert not short.extra["next_available"][4][cut].all()


def test_a_full_buffer_forgets_the_oldest_first(toy_recipe):
    rollout = play(toy_recipe("maddpg", steps=3, batch=4))
    buffer = ReplayBuffer(20)
    buffer.add(rollout)
    assert buffer.size == 12
    rollout.reward += 10.0
    buffer.add(rollout)
    assert buffer.size == 20
    held = everything(buffer).reward
    assert torch.equal(held[8:], rollout.reward.flatten())
    assert torch.equal(held[:8], rollout.reward.flatten()[4:] - 10.0)
    # a rollout larger than the buffer leaves its end
    small = ReplayBuffer(5)
    small.add(rollout)
    assert torch.equal(everything(small).reward, rollout.reward.flatten()[-5:])


def test_transitions_stay_together(toy_recipe):
    rollout = play(toy_recipe("maddpg", steps=6, batch=8, **{"options.episode_steps": 4}))
    buffer = ReplayBuffer(100)
    buffer.add(rollout)
    drawn = buffer.sample(np.random.default_rng(0), 200)
    paid = (drawn.action[:, 0] == drawn.action[:, 1]) == (drawn.observation[:, 0, 0] == 0)
    assert torch.equal(drawn.reward, paid.float())
    assert torch.equal(drawn.next_observation[:, 0, 0], paid.float())
    assert torch.equal(drawn.next_state[:, 3:5].long(), drawn.action)
    assert not drawn.terminated.any()  # the toy game ends by time alone


def test_a_checkpoint_holds_no_more_than_what_was_played(toy_recipe, tmp_path: Path):
    recipe = toy_recipe("maddpg", **{"replay.capacity": 1_000_000, "replay.warmup": 0})
    run = checkpoint.fresh(recipe)
    collector = make_collector(run)
    iterate(run, collector)
    path = tmp_path / checkpoint.FILE
    checkpoint.save(run, path)
    assert path.stat().st_size < 2_000_000
    again = checkpoint.load(path).learner
    assert again.replay.capacity == 1_000_000
    for a, b in zip(everything(run.learner.replay), everything(again.replay), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("world", ["smac", "mpe-continuous"])
def test_room_is_found_for_a_full_buffer_before_the_first_step(world, tiny_everywhere):
    if world.startswith("mpe"):
        pytest.importorskip("mpe2")
    changes = {"replay.capacity": 300, "evaluation.every": 0, "checkpoints_kept": 0}
    run = checkpoint.fresh(tiny_everywhere("maddpg", world, **changes))
    asked = run.learner.growth()
    collector = make_collector(run)
    iterate(run, collector)
    collector.game.close()
    held = run.learner.memory()["columns"].values()
    rows = run.learner.replay.size
    assert rows == 24
    assert asked == 300 * sum(column.nbytes for column in held) // rows
    assert run.learner.growth() == asked * (300 - rows) // 300


def test_a_buffer_that_never_fills_enough_is_refused(toy_recipe):
    with pytest.raises(EirError, match="learning would never begin"):
        toy_recipe("maddpg", **{"replay.warmup": 11, "replay.capacity": 10})

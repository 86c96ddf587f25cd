"""The learner against what can be worked out by hand."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from training import checkpoint
from training.actions import Discrete
from training.checkpoint import Run
from training.methods import METHODS
from training.networks import Normaliser
from training.players import make_collector
from training.ppo import Targets, generalised_advantages, normalised, policy_loss
from training.rollout import Rollout
from training.train import iterate

#: A few units in the last place of float32.
ROUNDING = 2e-6
#: One minibatch of everything.
ONE_BATCH = {f"{part}.minibatches": 1 for part in ("policy", "belief", "adversary")} | {
    f"{part}.epochs": 1 for part in ("belief", "adversary")
}


def play(run: Run, **options) -> Rollout:
    collector = make_collector(run)
    return collector.collect([run.recipe.seed, 0], run.recipe.steps, **options)


#: The policy's loss trains the belief network, too.
JOINT = {"belief.joint": True, "belief.teacher_forcing": 0.0}
MEMORY = {**JOINT, "belief.actor": "memory"}
ANEW = {"adversary.restarts": 2}
LEARNERS = [(method, {}) for method in sorted(set(METHODS) - {"maddpg", "m3ddpg"})]


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        *LEARNERS,
        ("eir-mappo", JOINT),
        ("eir-mappo", MEMORY),
        ("eir-mappo", ANEW),
        ("recurrent-ear-mappo", MEMORY),
    ],
)
def test_the_ratio_is_one_before_the_first_step_of_every_learner(method, changes, tiny_recipe):
    """In the real loop: with its teacher, after normalisers have moved, and run in sequence."""
    # so many episodes that the adversary plays in some of them in each iteration
    run = checkpoint.fresh(tiny_recipe(method, batch=48, **changes))
    collector = make_collector(run)
    for _ in range(3):
        errors = {
            name: value
            for name, value in iterate(run, collector).items()
            if name.endswith("first_ratio_error")
        }
        # 1 up to the rounding of matrix products, which depends on the size of a batch
        assert all(value < ROUNDING for value in errors.values()), errors
        assert "policy/first_ratio_error" in errors
        assert ("adversary/first_ratio_error" in errors) is METHODS[method].attacked


def test_an_adversary_that_begins_anew_keeps_what_it_learned_or_does_not_begin(tiny_recipe):
    """In a run of 9 iterations with 2 restarts: before the iterations 3 and 6, and only there."""
    run = checkpoint.fresh(tiny_recipe("ear-mappo", batch=48, iterations=9, **ANEW))
    collector = make_collector(run)
    adversary = run.adversary
    first = adversary.actor[-1].weight.clone()
    anew = {}
    for iteration in range(9):
        before, count = adversary.actor[-1].weight.clone(), adversary.normaliser.count.clone()
        run.learner.begin(iteration)
        if not torch.equal(adversary.actor[-1].weight, before):
            anew[iteration] = adversary.actor[-1].weight.clone()
            assert not run.learner.optimisers["adversary"].state
            assert torch.equal(adversary.normaliser.count, count)
            assert count > 0
        iterate(run, collector)  # where it is due, the same is drawn again
        assert run.learner.optimisers["adversary"].state
    assert sorted(anew) == [3, 6]
    assert not torch.equal(anew[3], anew[6])
    # as small as at the start of the run, however large they had become
    for weight in anew.values():
        assert not torch.equal(weight, first)
        assert weight.norm().item() == pytest.approx(first.norm().item(), rel=0.2)


@pytest.mark.parametrize("method", ["mappo", "maddpg"])
def test_a_method_without_an_adversary_starts_one_anew(method, tiny_recipe):
    run = checkpoint.fresh(tiny_recipe(method, **ANEW))
    before = run.adversary.actor[-1].weight.clone()
    for iteration in range(run.recipe.iterations):
        run.learner.begin(iteration)
    assert torch.equal(run.adversary.actor[-1].weight, before)


@pytest.mark.parametrize("changes", [{}, JOINT, MEMORY], ids=["apart", "joint", "memory"])
def test_the_policys_loss_reaches_the_belief_network_only_where_that_is_asked_for(
    changes, tiny_recipe
):
    run = checkpoint.fresh(tiny_recipe("eir-mappo", **changes))
    learner, rollout = run.learner, play(run)
    learner._seed([0])
    before = [weights.clone() for weights in run.team.belief.parameters()]
    targets = generalised_advantages(rollout, gamma=0.9, gae_lambda=0.9)
    learner.update_policy(rollout, targets, 0.0)
    moved = [
        not torch.equal(was, now)
        for was, now in zip(before, run.team.belief.parameters(), strict=True)
    ]
    assert any(moved) is bool(changes)
    # and the types teach it in either case
    before = [weights.clone() for weights in run.team.belief.parameters()]
    learner.update_belief(rollout, 0.0)
    assert not all(map(torch.equal, before, run.team.belief.parameters()))


def test_an_actor_that_may_read_the_memory_does_not_or_one_that_may_not_does(tiny_recipe):
    torch.manual_seed(0)
    for changes in (JOINT, MEMORY):
        team = checkpoint.fresh(tiny_recipe("eir-mappo", **changes)).team
        # what the memory says of types is held fast
        torch.nn.init.zeros_(team.belief.head.weight)
        observation = torch.randn(5, team.view.shape.observation)
        one, other = (
            team(observation, k * torch.ones(team.initial_state(5).shape)) for k in (0, 1)
        )
        assert torch.equal(one[1], other[1])
        assert torch.equal(one[0], other[0]) is (changes is JOINT)


def test_advantages_and_returns_match_a_hand_computed_rollout():
    rollout = _rollout(reward=[[1.0], [2.0]], value=[[0.5], [1.0]], next_value=[[1.0], [4.0]])
    targets = generalised_advantages(rollout, gamma=0.5, gae_lambda=0.5)
    # delta_1 = 2 + 0.5 * 4 - 1 = 3: the last value bootstraps, for the episode was cut off
    # delta_0 = 1 + 0.5 * 1 - 0.5 = 1; A_0 = 1 + 0.25 * 3
    assert targets.advantage[:, 0].tolist() == pytest.approx([1.75, 3.0])
    assert targets.returns[:, 0].tolist() == pytest.approx([2.25, 4.0])


def test_an_episode_learns_nothing_from_the_one_that_follows_it():
    # the first step ends an episode: what follows is worth next_value, not the second step's gain
    rollout = _rollout(
        reward=[[1.0], [2.0]], value=[[0.5], [1.0]], next_value=[[0.0], [4.0]], ended=[[1], [0]]
    )
    targets = generalised_advantages(rollout, gamma=0.5, gae_lambda=0.5)
    assert targets.advantage[:, 0].tolist() == pytest.approx([0.5, 3.0])


def test_the_value_after_the_last_decision_is_that_of_the_final_state(tiny_recipe):
    """Not of the first state of the next episode, and with the types of the episode that ended."""
    # onsets and ends scale with the episode, so there are none
    options = {"batch": 32, "faults.from_start": 1.0, "faults.ends": 0.0}
    short = checkpoint.fresh(
        tiny_recipe("eir-mappo", steps=5, **{"options.episode_decisions": 5}, **options)
    )
    long = checkpoint.fresh(
        tiny_recipe("eir-mappo", steps=6, **{"options.episode_decisions": 6}, **options)
    )
    rollout, longer = play(short), play(long)
    assert rollout.truncated[4].all()
    assert not rollout.truncated[:4].any()
    assert torch.equal(rollout.kinds[0], longer.kinds[0])
    assert (rollout.kinds != 0).any()
    assert torch.allclose(rollout.next_value[4], longer.value[5], atol=1e-5)


def test_labels_and_masks_are_those_of_the_decision_itself(tiny_recipe):
    run = checkpoint.fresh(tiny_recipe("eir-mappo", batch=64))
    rollout = play(run)
    onset_inside = ((rollout.kinds[0] == 0) & (rollout.kinds[-1] != 0)).nonzero()
    assert len(onset_inside)
    env, robot = onset_inside[0].tolist()
    types = rollout.types[:, env, robot]
    observer = 0 if robot != 0 else 1
    place = [j for j in range(4) if j != observer].index(robot)
    assert torch.equal(rollout.teammate_types[:, env, observer, place], types)


def test_the_defender_learns_from_healthy_and_the_adversary_from_corrupted_decisions_only():
    logits = torch.zeros(2, 3, requires_grad=True)
    mask = torch.tensor([1.0, 0.0])
    found = policy_loss(
        Discrete(3), logits, torch.tensor([0, 0]), torch.log(torch.tensor([1 / 3, 1 / 3])),
        torch.ones(2), mask, clip=0.2, entropy_weight=0.0,
    )  # fmt: skip
    found.loss.backward()
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0


@pytest.mark.parametrize(("advantage", "sign"), [(1.0, -1), (-1.0, 1)])
def test_the_gradient_raises_the_better_of_two_actions(advantage, sign):
    """Policy-gradient theorem: descending the loss follows A * grad log pi."""
    logits = torch.zeros(1, 2, requires_grad=True)
    old = torch.log(torch.tensor([0.5]))
    policy_loss(
        Discrete(2),
        logits,
        torch.tensor([0]),
        old,
        torch.tensor([advantage]),
        torch.ones(1),
        0.2,
        0.0,
    ).loss.backward()  # fmt: skip
    assert np.sign(logits.grad[0, 0].item()) == sign
    assert logits.grad[0].sum().item() == pytest.approx(0.0, abs=1e-6)
    assert abs(logits.grad[0, 0].item()) == pytest.approx(0.5)


def test_a_ratio_beyond_the_clip_earns_no_more_gradient():
    logits = torch.tensor([[2.0, 0.0]], requires_grad=True)
    old = torch.log(torch.tensor([0.5]))
    policy_loss(
        Discrete(2), logits, torch.tensor([0]), old, torch.ones(1), torch.ones(1), 0.2, 0.0
    ).loss.backward()
    assert logits.grad.abs().sum() == 0


def test_advantages_are_normalised_over_the_entries_that_are_trained_on():
    mask = torch.tensor([1.0, 1.0, 1.0, 0.0])
    out = normalised(torch.tensor([1.0, 2.0, 3.0, 1e6]), mask)
    assert out[:3].mean().item() == pytest.approx(0.0, abs=1e-6)
    assert out[:3].square().mean().item() == pytest.approx(1.0, abs=1e-4)
    assert out[3] == 0


def test_true_types_reach_the_team_only_where_the_method_says_so(tiny_recipe):
    for method, told in (("true-type", True), ("eir-mappo", False), ("ear-mappo", False)):
        rollout = play(checkpoint.fresh(tiny_recipe(method, batch=32)))
        matches = rollout.belief.argmax(-1) == rollout.teammate_types
        assert bool(matches.all()) is told


def test_types_that_never_differ_teach_the_belief_its_prior(tiny_recipe):
    """A belief network that has learned nothing says the same about everybody."""
    run = checkpoint.fresh(tiny_recipe("eir-mappo", batch=8))
    belief = play(run).belief
    assert belief.sum(-1).allclose(torch.ones(()))
    assert belief.std() < 0.05


def _rollout(
    reward: list[list[float]],
    value: list[list[float]],
    next_value: list[list[float]],
    ended: list[list[int]] | None = None,
) -> Rollout:
    shape = (len(reward), len(reward[0]))
    blank = {f.name: torch.zeros(*shape, 1) for f in fields(Rollout) if f.name != "extra"}
    over = torch.tensor(ended).bool() if ended else torch.zeros(shape, dtype=torch.bool)
    known = {"reward": reward, "value": value, "next_value": next_value}
    return Rollout(**blank | {k: torch.tensor(v) for k, v in known.items()} | {"ended": over})


def two_actions(toy_recipe, theta: int) -> tuple[Run, Rollout]:
    """One decision in each of 64 games, in which agent 0 is of type `theta`, and what it did."""
    run = checkpoint.fresh(toy_recipe("ear-mappo", batch=64, steps=1))
    kind = FaultKind.ADVERSARY if theta else FaultKind.NONE
    schedule = Schedule.single(64, 2, kind, robot=0)
    return run, make_collector(run).collect([0, 0], 1, schedule=schedule)


@pytest.mark.parametrize("theta", [0, 1])
@pytest.mark.parametrize("better", [0, 1])
def test_a_better_action_becomes_likelier_for_the_team_and_rarer_for_the_adversary(
    theta, better, toy_recipe
):
    """E[(1 - θ) ∇log π A] and E[-θ ∇log π̂ A], through the learner's own updates."""
    run, rollout = two_actions(toy_recipe, theta)
    learner = run.learner
    advantage = (rollout.executed[0, :, 0] == better).float()
    targets = Targets((advantage - advantage.mean()).unsqueeze(0), torch.zeros(1, 64))
    player = learner.adversary if theta else learner.team
    seen, types = rollout.observation[0, :, 0], rollout.types[0].float()

    def probability() -> float:
        if theta:
            scores = learner.adversary(seen, types)
        else:
            scores = learner.team.scores(learner.team.actor_input(seen, rollout.belief[0, :, 0]))
        return torch.softmax(scores, -1)[:, better].mean().item()

    other = learner.team if theta else learner.adversary
    before, untouched = probability(), [p.clone() for p in other.actor.parameters()]
    learner._seed([0])
    if theta:
        settings = learner.recipe.adversary
        learner.update_adversary(rollout, targets, 0.0, settings)
        player.normaliser = Normaliser(len(player.normaliser.mean))  # it moved after the update
    else:
        learner.update_policy(rollout, targets, 0.0)
    assert (probability() < before) if theta else (probability() > before)
    if not theta:  # nobody was corrupted: the adversary has nothing to learn from
        assert learner.update_adversary(rollout, targets, 0.0, learner.recipe.adversary) == {}
        assert all(map(torch.equal, untouched, other.actor.parameters()))


def test_a_corrupted_agent_teaches_the_team_nothing(toy_recipe):
    run, rollout = two_actions(toy_recipe, 1)
    rollout.types[...] = 1
    before = [p.clone() for p in run.team.actor.parameters()]
    run.learner._seed([0])
    targets = Targets(torch.randn(1, 64), torch.zeros(1, 64))
    run.learner.update_policy(rollout, targets, 0.0)
    assert all(map(torch.equal, before, run.team.actor.parameters()))


def test_a_belief_is_taught_the_types_of_its_own_step_and_observer(toy_recipe, monkeypatch):
    """A rollout of 3 steps in 2 games, and beliefs that are given: the loss by hand."""
    run = checkpoint.fresh(toy_recipe("eir-mappo", batch=2, steps=3, **ONE_BATCH))
    rollout = make_collector(run).collect([0, 0], 3)
    rollout.types = torch.tensor([[[0, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 1], [1, 0]]])
    # p(adversary) that agent i has of the other, by step, game and observer
    p = torch.tensor([[[0.1, 0.2], [0.3, 0.4]], [[0.6, 0.5], [0.1, 0.2]], [[0.9, 0.5], [0.5, 0.7]]])
    given = torch.stack([1 - p, p], -1).log().unsqueeze(-2).requires_grad_()

    def run_again(observation, fresh):
        assert torch.equal(observation, rollout.observation)
        assert torch.equal(fresh, rollout.fresh)
        return lambda envs: (given[:, envs], None)

    monkeypatch.setattr(run.team, "run_again", run_again)
    run.learner._seed([0])
    metrics = run.learner.update_belief(rollout, 0.0)
    right = [0.9, 0.8, 0.7, 0.6, 0.6, 0.9, 0.8, 0.9, 0.7]  # of healthy observers, in order
    assert metrics["belief/loss"] == pytest.approx(-np.log(right).mean(), abs=1e-6)
    assert metrics["belief/accuracy"] == 1.0


def test_an_adversary_learns_from_the_steps_that_it_took_and_from_no_other(toy_recipe, monkeypatch):
    """Onset at step 2 in one game, at step 1 in the other; everything else is somebody else's."""
    run = checkpoint.fresh(toy_recipe("ear-mappo", batch=2, steps=3, **ONE_BATCH))
    schedule = Schedule.single(2, 2, FaultKind.ADVERSARY, np.array([0, 1]), np.array([2.0, 1.0]))
    rollout = make_collector(run).collect([0, 0], 3, schedule=schedule)
    took = [(1, 1, 1), (2, 0, 0), (2, 1, 1)]  # step, game, agent
    assert (rollout.kinds == FaultKind.ADVERSARY).nonzero().tolist() == [list(t) for t in took]
    seen = {}

    def loss(actions, scores, action, log_prob, advantage, mask, clip, entropy):
        order = advantage.argsort(descending=True)
        seen.update(action=action[order], log_prob=log_prob[order], advantage=advantage[order])
        return policy_loss(actions, scores, action, log_prob, advantage, mask, clip, entropy)

    monkeypatch.setattr("training.learner.policy_loss", loss)
    team = torch.tensor([[9.0, 9.0], [9.0, 1.0], [2.0, 3.0]])  # the adversary's, in the order above
    run.learner._seed([0])
    run.learner.update_adversary(rollout, Targets(team, team), 0.0, run.recipe.adversary)
    assert seen["advantage"].tolist() == pytest.approx([1.2247, 0.0, -1.2247], abs=1e-3)
    for k, (step, game, agent) in enumerate(took):
        assert seen["action"][k] == rollout.executed[step, game, agent]
        assert seen["log_prob"][k] == rollout.adversary_log_prob[step, game, agent]

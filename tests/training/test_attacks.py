"""Attacks do what they say, and nothing else, in every kind of world."""

import itertools
import re
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from training import checkpoint
from training.attack import train_attack
from training.attacks import ATTACKS, make_attack, name_of
from training.attacks.base import Attack, Moment
from training.attacks.play import Arena, check_attack
from training.attacks.worst import Candidate, still_falling, worst_case
from training.checkpoint import Run
from training.recipe import read_recipe

DOCS = Path(__file__).parents[2] / "docs"
RECIPES = Path(__file__).parents[2] / "config" / "recipes"
TINY = ["batch=4", "shards=1", "policy.minibatches=1", "belief.minibatches=1", "width=16"]

#: Episodes of robots are costly, and their attacks those of all worlds.
SHORT = {"coverage": ["options.episode_decisions=20"]}


def team(recipe: str, method: str = "eir-mappo") -> Run:
    changes = [f"method={method}", *TINY, *SHORT.get(recipe, [])]
    return checkpoint.fresh(read_recipe(RECIPES / f"{recipe}.yaml", changes))


def spied(attack: Attack) -> tuple[Attack, list[Moment], list[torch.Tensor]]:
    """The same attack, and lists that will hold its moments and who acted in them, (B, N)."""
    moments: list[Moment] = []
    acting: list[torch.Tensor] = []

    class Spied(type(attack)):  # type: ignore[misc]
        def acting(self, moment: Moment) -> torch.Tensor:
            found = super().acting(moment)
            moments.append(moment)
            acting.append(found.clone())
            return found

    return Spied.model_validate(attack.model_dump()), moments, acting


def watched(recipe: str, kind: str, **settings: object) -> tuple[list[Moment], torch.Tensor]:
    """Play 4 sampled episodes with agent 0 attacked; the moments and who acted, (T, B, N)."""
    attack, moments, acting = spied(make_attack(kind, settings))
    arena = Arena(team(recipe), batch=4, greedy=False)
    arena.play(attack, 4, [0], agent=0)
    arena.close()
    return moments, torch.stack(acting)


@pytest.mark.parametrize(
    ("recipe", "method"), [("toy", "true-type"), ("mpe", "maddpg"), ("coverage", "eir-mappo")]
)
def test_every_attack_plays_in_every_kind_of_world_and_repeats_itself(recipe, method):
    run = team(recipe, method)
    arena = Arena(run, batch=3)
    for kind in ATTACKS:
        first, again = (
            arena.play(make_attack(kind), 3, [0], adversary=run.adversary) for _ in range(2)
        )
        assert np.isfinite(first.returns).all()
        assert np.array_equal(first.returns, again.returns), kind
    arena.close()


def test_an_adversary_that_never_learned_stands_for_one_that_did():
    untaught, attack = team("toy", "mappo"), make_attack("learned")
    arena = Arena(untaught, batch=3)
    with pytest.raises(EirError, match="'mappo' trains with no adversary; `eir attack` makes one"):
        arena.play(attack, 3, [0])
    assert len(arena.play(attack, 3, [0], adversary=untaught.adversary).returns) == 3
    arena.play(make_attack("frozen"), 3, [0])
    with pytest.raises(EirError, match="trains with no adversary to start from"):
        train_attack(untaught, "warm", [0], 1, 0)


def test_an_adversary_of_another_world_is_played():
    other = team("lbf").adversary
    with pytest.raises(EirError, match="does not fit this team"):
        Arena(team("toy"), batch=3).play(make_attack("learned"), 3, [0], adversary=other)


def test_more_agents_than_environments_leave_one_that_is_never_played():
    one = team("toy")
    one.recipe = one.recipe.model_copy(update={"batch": 1})
    with pytest.raises(EirError, match="batch is 1; expected at least one environment for each"):
        train_attack(one, "fresh", [0, 1], 1, 0)


def test_an_end_that_an_attack_plans_is_forgotten():
    class Brief(ATTACKS["learned"]):  # type: ignore[misc, valid-type]
        def schedule(self, num_agents, steps):
            planned = super().schedule(num_agents, steps)
            planned.end_s = np.full(planned.kind.shape, 3.0)
            return planned

    for recipe in ("toy", "coverage"):
        played = Arena(team(recipe), batch=3).play(Brief(), 3, [0], agent=0)
        assert (played.kinds[:3, :, 0] == FaultKind.ADVERSARY).all()
        assert (played.kinds[3:] == FaultKind.NONE).all()


def test_an_attack_leaves_the_victim_as_it_is():
    run = team("toy")
    before = {key: value.clone() for key, value in run.team.state_dict().items()}
    arena = Arena(run, batch=4)
    for kind in ("pgd", "learned", "noise"):
        arena.play(make_attack(kind), 4, [0])
    assert all(torch.equal(before[k], v) for k, v in run.team.state_dict().items())
    assert all(p.grad is None for p in run.team.parameters())


@pytest.mark.parametrize("recipe", ["toy", "coverage", "mpe"])
def test_pgd_stays_in_its_ball_and_touches_the_attacked_agent_alone(recipe):
    seen = []

    class Seeing(ATTACKS["pgd"]):  # type: ignore[misc, valid-type]
        def observe(self, moment: Moment) -> torch.Tensor:
            found = super().observe(moment)
            seen.append(found - moment.observation)
            return found

    arena = Arena(team(recipe), batch=3)
    arena.play(Seeing(epsilon=0.2), 3, [0], agent=1)
    arena.close()
    change = torch.stack(seen)
    assert change[:, :, 1].abs().max() == pytest.approx(0.2, abs=1e-5)
    assert change[:, :, [0]].abs().max() == 0


def test_pgd_brings_the_deceived_policy_nearer_to_the_adversary():
    distances = {}
    for epsilon in (0.0, 0.5):
        gaps = []

        class Measuring(ATTACKS["pgd"]):  # type: ignore[misc, valid-type]
            def acting(self, moment: Moment, gaps: list[float] = gaps) -> torch.Tensor:
                goal = self.learned_goal(moment)
                gaps.append((moment.scores - goal)[:, 0].square().mean().item())
                return super().acting(moment)

        arena = Arena(team("toy"), batch=16)
        arena.play(Measuring(epsilon=epsilon), 16, [0], agent=0)
        distances[epsilon] = np.mean(gaps[:1])
    assert distances[0.5] < distances[0.0]


def test_a_clean_belief_is_not_deceived_and_a_deceived_one_is():
    arena = Arena(team("toy"), batch=8)
    quiet = arena.play(make_attack("none"), 8, [0]).p_adversary[0]
    clean = arena.play(make_attack("pgd", {"clean_belief": True}), 8, [0], agent=0).p_adversary[0]
    fooled = arena.play(make_attack("pgd", {}), 8, [0], agent=0).p_adversary[0]
    assert np.array_equal(quiet, clean)
    assert not np.array_equal(quiet[:, 0], fooled[:, 0])
    assert np.array_equal(quiet[:, 1], fooled[:, 1])


def test_a_frozen_agent_repeats_the_last_action_it_took_itself():
    moments, acting = watched("toy", "frozen", after=0.1)
    assert not acting[:10].any()
    assert acting[10:, :, 0].all()
    assert not acting[:, :, 1].any()
    last = moments[10].executed[:, 0]
    for moment in moments[11:]:
        assert torch.equal(moment.executed[:, 0], last)


def test_an_intermittent_adversary_comes_and_goes_in_spells_of_the_length_it_was_given():
    _, acting = watched("toy", "intermittent", on_steps=4, off_steps=12)
    mine = acting[:, :, 0]
    assert 0.05 < mine.float().mean() < 0.5
    changes = (mine[1:] != mine[:-1]).sum()
    assert 5 < changes < 150
    assert not acting[:, :, 1].any()


def test_a_late_switch_does_nothing_before_its_time():
    _, acting = watched("toy", "late-switch", after=0.6)
    assert not acting[:60].any()
    assert acting[60:, :, 0].all()


def test_a_budget_is_never_overdrawn():
    _, acting = watched("toy", "budgeted", budget=0.2)
    spent = acting[:, :, 0].float().cumsum(0)
    allowed = torch.ceil(0.2 * torch.arange(1, 101)).unsqueeze(-1)
    assert (spent <= allowed).all()
    assert spent[-1].min() > 0


def test_wolves_hit_one_agent_for_a_step_and_then_those_that_respond():
    attack, _, acting = spied(make_attack("wolfpack", {"hunts": 2, "chase": 3}))
    run = team("coverage")
    for parameter in run.team.actor.parameters():  # sure of itself, or no hunt would begin
        parameter.data *= 30
    arena = Arena(run, batch=4)
    arena.play(attack, 4, [0], agent=2)
    arena.close()
    hit = torch.stack(acting)
    assert hit.any()
    assert (hit.sum(-1) <= 1).all()
    assert (hit[:, :, 2].sum(0) == 2).all()
    assert (hit[:, :, [0, 1, 3]].sum((0, 2)) == 2 * 3).all()


def test_two_adversaries_are_two_and_the_named_one_is_among_them():
    _, acting = watched("coverage", "two-adversaries")
    assert (acting[0].sum(-1) == 2).all()
    assert acting[0][:, 0].all()
    alone = SimpleNamespace(num_agents=1, check_kind=lambda kind: None)
    with pytest.raises(EirError, match="takes 2 agents, and the team has 1"):
        check_attack(make_attack("two-adversaries"), alone)


def test_true_types_reach_only_who_is_told_them():
    """A deceived agent is no adversary, so even the oracle believes it cooperative."""
    arena = Arena(team("toy", "true-type"), batch=4)
    played = arena.play(make_attack("pgd"), 4, [0], agent=0)
    assert (played.kinds == FaultKind.NONE).all()
    assert played.p_adversary.max() == 0
    told = arena.play(make_attack("random"), 4, [0], agent=0)
    assert told.p_adversary[:, :, 1].min() == 1


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("pdg", {}, "did you mean 'pgd'"),
        ("pgd", {"epsilom": 1}, "did you mean 'epsilon'"),
        ("pgd", {"epsilon": -1}, "greater than or equal to 0"),
        ("budgeted", {"budget": 0}, "greater than 0"),
        ("fault", {"word": "stopp"}, "unknown fault kind"),
    ],
)
def test_an_attack_that_does_not_exist_is_refused_by_name(kind, settings, message):
    with pytest.raises(EirError, match=message):
        make_attack(kind, settings)


def test_a_fault_of_a_body_is_refused_where_there_are_no_bodies():
    arena = Arena(team("toy"), batch=2)
    with pytest.raises(EirError, match="a fault of a robot's body"):
        arena.play(make_attack("fault", {"word": "stop"}), 2, [0])
    with pytest.raises(EirError, match="no agent 2"):
        arena.play(make_attack("random"), 2, [0], agent=2)


def test_the_worst_case_is_chosen_on_other_episodes_than_those_reported():
    arena = Arena(team("toy"), batch=8, greedy=False)
    candidates = [Candidate(kind, make_attack(kind)) for kind in ("none", "random", "frozen")]
    worst = worst_case(arena, candidates, agent=0, episodes=16, shortlist=2)
    assert set(worst.screened) == {"none", "random", "frozen"}
    assert len(worst.refined) == 2
    assert worst.attack == min(worst.refined, key=worst.refined.get)
    assert len(worst.returns) == 16


def test_an_attack_that_still_learns_is_told_from_one_that_has_converged():
    assert still_falling([100.0 - k for k in range(40)], 100.0) == pytest.approx(0.1)
    assert still_falling([100.0] * 20 + [60.0] * 20, 100.0) == 0.0


def test_names_of_attacks_tell_their_settings_apart():
    assert name_of("pgd", {"epsilon": 0.5}) == "pgd-epsilon=0.5"
    assert name_of("random") == "random"


def test_the_attack_of_the_guide_is_the_one_that_runs(monkeypatch):
    guide = (DOCS / "attacks.md").read_text(encoding="utf-8")
    body = (DOCS / "examples" / "copycat.py").read_text(encoding="utf-8").partition("class ")[2]
    assert "class " + body in guide

    monkeypatch.syspath_prepend(str(DOCS / "examples"))
    attack, moments, acting = spied(make_attack("copycat:Copycat", {"after": 0.5}))
    Arena(team("toy"), batch=4, greedy=False).play(attack, 4, [0], agent=0)
    assert [bool(a.any()) for a in acting[49:51]] == [False, True]
    for before, after in itertools.pairwise(moments[50:]):
        assert torch.equal(after.executed[:, 0], before.action[:, 1])
    for kind, message in (
        ("copycat:Copy", "cannot be imported"),
        ("copycat:Field", "is no attack"),
        ("cat:Copy", "No module"),
    ):
        with pytest.raises(EirError, match=message):
            make_attack(kind)


def test_the_guide_names_every_attack_and_its_settings():
    guide = (DOCS / "attacks.md").read_text(encoding="utf-8")
    for kind, attack in ATTACKS.items():
        row = next(line for line in guide.splitlines() if line.startswith(f"| `{kind}` |"))
        assert re.findall(r"`(\w+)`", row.split("|")[4]) == list(attack.model_fields), kind


class Narrow(Attack):
    """Answers for one agent where all are asked for."""

    title: ClassVar[str] = "narrow"

    def act(self, moment):
        return moment.action[:, :1]


class Illegal(Attack):
    """Knows an action too many."""

    title: ClassVar[str] = "illegal"

    def act(self, moment):
        return torch.full_like(moment.action, 7)


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (Narrow(), r"Narrow\.act returned \(4, 1\); expected a tensor of \(4, 2\)"),
        (Illegal(), r"Illegal\.act chose action 7 for agent 0, .* expected one of \[0, 1\]"),
    ],
)
def test_what_somebodys_own_attack_returns_is_played_unseen(attack, message):
    arena = Arena(team("toy"), 4)
    with pytest.raises(EirError, match=message):
        arena.play(attack, 4, [0], 0)
    arena.close()


class Nothing(Attack):
    """Forgets to return what it chose."""

    title: ClassVar[str] = "nothing"

    def act(self, moment):
        return None


class Misspelt(Attack):
    """Reads what there is not."""

    title: ClassVar[str] = "misspelt"

    def act(self, moment):
        return moment.actoin


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (Nothing(), r"^Nothing\.act returned NoneType; expected a tensor of \(4, 2\)"),
        (
            Misspelt(),
            r"^attack '.*test_attacks:Misspelt' failed in act\(\): AttributeError: 'Moment' object "
            r"has no attribute 'actoin'.* \(test_attacks\.py, line \d+\)\.$",
        ),
    ],
)
def test_a_mistake_in_somebodys_own_attack_is_a_traceback(attack, message):
    arena = Arena(team("toy"), 4)
    with pytest.raises(EirError, match=message):
        arena.play(attack, 4, [0], 0)
    arena.close()


def test_a_bug_in_an_attack_of_the_project_is_taken_for_a_mistake_of_the_user(monkeypatch):
    monkeypatch.setattr(ATTACKS["frozen"], "act", lambda self, moment: moment.actoin)
    arena = Arena(team("toy"), 4)
    with pytest.raises(AttributeError, match="actoin"):
        arena.play(make_attack("frozen"), 4, [0], 0)
    arena.close()


def test_a_module_that_fails_while_it_is_imported_is_a_traceback(tmp_path, monkeypatch):
    (tmp_path / "half_an_attack.py").write_text("def act(self:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EirError, match="'half_an_attack:Mine' cannot be imported: SyntaxError"):
        make_attack("half_an_attack:Mine")

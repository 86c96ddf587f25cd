"""A matrix is worked through cell by cell; its report says what the cells say."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from eir_ros.contract.errors import EirError
from training import campaign, checkpoint
from training.attack import (
    SMOOTHING,
    adversary_in,
    load_attack,
    save_attack,
    strongest,
    train_attack,
)
from training.campaign import Progress, is_attacked, judge_one, plan_matrix, run_matrix
from training.cells import Judge
from training.durations import told
from training.matrix import (
    attack_units,
    find_victim,
    read_matrix,
    recipe_of,
    rival_units,
    rivals,
    victims,
)
from training.report.pages import write_report
from training.report.statistics import estimate, interquartile_mean, probability_of_improvement
from training.report.table import World, read_results
from training.report.targets import targets

MATRIX = """
name: tiny
worlds:
  toy:
    recipe: config/recipes/toy.yaml
    seeds: {eir-mappo: 2, mappo: 1}
    set: {batch: 4, steps: 10, iterations: 1, width: 8, policy.minibatches: 1,
          belief.minibatches: 1, options.episode_steps: 10}
    sampled: true
    episodes: 8
    attack_iterations: 2
attacks: [random, {kind: pgd, epsilon: 0.2}, {kind: pgd, epsilon: 0.5}, transfer]
"""


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(MATRIX)
    return read_matrix(path)


@pytest.fixture
def teams(matrix, tmp_path):
    """Untrained teams, and an attack on each, where the matrix looks for them."""
    runs = tmp_path / "runs"
    for victim in victims(matrix):
        path = runs / victim.name / checkpoint.FILE
        path.parent.mkdir(parents=True)
        run = checkpoint.fresh(recipe_of(matrix, victim))
        checkpoint.save(run, path)
        attack = train_attack(run, "fresh", [0, 1], 2, seed=victim.seed, greedy=False)
        save_attack(attack, run, path, path.with_name("attack-fresh.pt"))
    return runs


def judge(matrix, teams, out, name) -> dict[str, bool]:
    made = {}
    Judge(matrix, find_victim(matrix, name), teams, out).judge(made.__setitem__)
    return made


def test_cells_are_made_once_and_again_only_for_another_team(matrix, teams, tmp_path):
    out = tmp_path / "out"
    made = judge(matrix, teams, out, "toy/mappo-0")
    names = {"none", "training", "random", "pgd-epsilon=0.2", "pgd-epsilon=0.5", "worst"}
    assert made == dict.fromkeys({*names, "transfer-mappo", "transfer-eir-mappo"}, True)
    assert not any(judge(matrix, teams, out, "toy/mappo-0").values())

    (out / "toy/mappo-0/random.json").unlink()
    again = judge(matrix, teams, out, "toy/mappo-0")
    assert [name for name, new in again.items() if new] == ["random"]

    run = checkpoint.load(teams / "toy/mappo-0" / checkpoint.FILE)
    run.iteration += 1
    checkpoint.save(run, teams / "toy/mappo-0" / checkpoint.FILE)
    assert all(judge(matrix, teams, out, "toy/mappo-0").values())


def test_cells_that_were_played_otherwise_or_half_written_are_kept(matrix, teams, tmp_path):
    out = tmp_path / "out"
    judge(matrix, teams, out, "toy/mappo-0")
    (out / "toy/mappo-0/random.json").write_text('{"made_from": ')
    again = judge(matrix, teams, out, "toy/mappo-0")
    assert [name for name, new in again.items() if new] == ["random"]
    longer = matrix.worlds["toy"].model_copy(update={"episodes": 4})
    changed = matrix.model_copy(update={"worlds": {"toy": longer}})
    assert all(judge(changed, teams, out, "toy/mappo-0").values())
    # the same team by another recipe, from which less is changed
    told = {**longer.set, "width": 9}
    changed = matrix.model_copy(update={"worlds": {"toy": longer.model_copy(update={"set": told})}})
    assert all(judge(changed, teams, out, "toy/mappo-0").values())


def test_an_attack_that_the_world_does_not_know_stops_those_after_it(tmp_path, matrix, teams):
    attacks = ({"kind": "fault", "word": "stop"}, *matrix.attacks)
    wrong = matrix.model_copy(update={"attacks": attacks})
    with pytest.raises(EirError, match=r"toy/mappo-0: fault"):
        judge(wrong, teams, tmp_path / "out", "toy/mappo-0")
    there = {path.stem for path in (tmp_path / "out/toy/mappo-0").glob("*.json")}
    assert {"none", "random", "transfer-eir-mappo", "worst"} <= there


@pytest.mark.parametrize("command", [run_matrix, plan_matrix])
def test_an_attack_that_the_world_does_not_know_is_found_after_hours_of_training(
    tmp_path, matrix, command
):
    attacks = (*matrix.attacks, {"kind": "fault", "word": "stop"})
    wrong = matrix.model_copy(update={"attacks": attacks})
    arguments = (tmp_path / "m.yaml",) if command is run_matrix else ()
    with pytest.raises(EirError, match=r"attack 'fault-word=stop' in the world 'toy': 'stop' is"):
        command(*arguments, wrong, tmp_path / "runs", tmp_path / "out")
    assert not (tmp_path / "runs").exists()


def test_an_adversary_that_was_trained_for_less_long_is_kept(matrix, teams):
    victim = find_victim(matrix, "toy/mappo-0")
    [unit] = attack_units(matrix, victim, teams)

    def attacked(**changes: object) -> bool:
        world = matrix.worlds["toy"].model_copy(update=changes)
        changed = matrix.model_copy(update={"worlds": {"toy": world}})
        return is_attacked(changed, victim, unit, teams)

    assert attacked()
    assert not attacked(attack_iterations=3)
    assert not attacked(sampled=False)
    # the team has learned on since
    path = teams / victim.name / checkpoint.FILE
    run = checkpoint.load(path)
    run.iteration += 1
    checkpoint.save(run, path)
    assert not attacked()


def test_a_rival_that_began_from_other_donors_than_there_are_now_is_kept(matrix, teams):
    victim = find_victim(matrix, "toy/mappo-0")
    [unit] = rival_units(matrix, victim, teams)
    fresh, path = teams / "toy/mappo-0/attack-fresh.pt", Path(unit.command[-1])
    shutil.copy(fresh, path)
    story = json.loads(fresh.with_suffix(".json").read_text())
    # the folder of all runs was elsewhere then
    home = "/before/toy/eir-mappo-0"
    tried = {home: 1.0, f"{home}/attack-fresh.pt": 2.0, f"{home}/attack-warm.pt": 3.0}
    path.with_suffix(".json").write_text(json.dumps({**story, "tried": tried}))
    assert is_attacked(matrix, victim, unit, teams)
    path.with_suffix(".json").write_text(json.dumps({**story, "tried": {home: 1.0}}))
    assert not is_attacked(matrix, victim, unit, teams)


def test_a_team_that_is_half_trained_or_half_attacked_is_judged(matrix, teams, tmp_path):
    with pytest.raises(EirError, match="toy/mappo-0 is not trained or not attacked to the end"):
        judge_one(matrix, find_victim(matrix, "toy/mappo-0"), teams, tmp_path / "out")


def test_a_team_that_nobody_attacked_has_a_worst_case(matrix, teams, tmp_path):
    for path in teams.glob("toy/*/attack-fresh.pt"):
        path.unlink()
    with pytest.raises(EirError, match=r"worst: no adversary was trained against toy/mappo-0 yet"):
        judge(matrix, teams, tmp_path / "out", "toy/mappo-0")
    there = {path.stem for path in (tmp_path / "out/toy/mappo-0").glob("*.json")}
    assert there == {"none", "training", "random"}


def test_an_attack_that_was_added_to_a_matrix_is_not_tried_for_the_worst_case(
    matrix, teams, tmp_path
):
    out = tmp_path / "out"
    judge(matrix, teams, out, "toy/mappo-0")
    worst = json.loads((out / "toy/mappo-0/worst.json").read_text())
    tried = worst["tried"]["0"]["screened"]
    assert {"random", "frozen", "pgd-epsilon=0.2", "mappo:fresh"} <= tried.keys()
    more = matrix.model_copy(update={"attacks": (*matrix.attacks, "late-switch")})
    again = judge(more, teams, out, "toy/mappo-0")
    assert [name for name, new in again.items() if new] == ["late-switch", "worst"]


def test_an_attack_on_the_whole_team_counts_once_per_agent(matrix, teams, tmp_path):
    noisy = matrix.model_copy(update={"attacks": ("noise", "two-adversaries")})
    judge(noisy, teams, tmp_path / "out", "toy/eir-mappo-0")
    folder = tmp_path / "out/toy/eir-mappo-0"
    for name in ("noise", "two-adversaries"):
        assert list(json.loads((folder / f"{name}.json").read_text())["agents"]) == ["all"]
    tried = json.loads((folder / "worst.json").read_text())["tried"]["0"]["screened"]
    assert not {"noise", "two-adversaries"} & tried.keys()


def test_a_cell_says_what_made_it_and_the_worst_is_no_better_than_what_was_tried(
    matrix, teams, tmp_path
):
    judge(matrix, teams, tmp_path / "out", "toy/eir-mappo-1")
    cell = json.loads((tmp_path / "out/toy/eir-mappo-1/worst.json").read_text())
    assert {"command", "seed", "commit", "machine", "wall_s", "episodes"} <= cell.keys()
    assert sorted(cell["agents"]) == ["0", "1"]
    for agent, tried in cell["tried"].items():
        lowest = min(tried["refined"], key=tried["refined"].get)
        assert cell["agents"][agent]["by"] == lowest
        # the adversary of training, those of this victim and its rival, and the scripted ones
        assert {"random", "frozen", "eir-mappo:training", "mappo:fresh"} <= tried["screened"].keys()
        # what the attack was at its best, for this victim alone
        assert "eir-mappo:fresh-lowest" in tried["screened"]
        assert "mappo:fresh-lowest" not in tried["screened"]
    assert (tmp_path / "out/toy/eir-mappo-1/belief.json").exists()


def test_every_rival_offers_its_adversaries_and_a_team_costs_three_trainings_at_most(matrix):
    runs = Path("runs")
    mine, other = find_victim(matrix, "toy/eir-mappo-1"), find_victim(matrix, "toy/mappo-0")
    assert [Path(u.command[-1]).name for u in attack_units(matrix, mine, runs)] == [
        "attack-fresh.pt",
        "attack-warm.pt",
    ]
    # mappo was trained with no adversary, so there is one fewer
    assert [Path(u.command[-1]).name for u in attack_units(matrix, other, runs)] == [
        "attack-fresh.pt"
    ]
    [unit] = rival_units(matrix, other, runs)
    words = unit.command
    donors = [after for word, after in itertools.pairwise(words) if word == "--warm-from"]
    home = "runs/toy/eir-mappo-0"
    assert donors == [home, f"{home}/attack-fresh.pt", f"{home}/attack-warm.pt"]
    assert words[-1] == "runs/toy/mappo-0/attack-rival.pt"


def test_training_goes_on_from_the_donor_that_hurts_most_and_from_none_that_does_not_fit(
    matrix, tmp_path
):
    recipe = recipe_of(matrix, find_victim(matrix, "toy/eir-mappo-0"))
    victim = checkpoint.fresh(recipe)
    donors = {
        str(seed): checkpoint.fresh(recipe.model_copy(update={"seed": seed})).adversary
        for seed in range(3)
    }
    name, left = strongest(victim, donors, [0, 1], greedy=False)
    assert left.keys() == donors.keys()
    assert left[name] == min(left.values())
    wide = checkpoint.fresh(recipe.model_copy(update={"width": 16})).adversary
    with pytest.raises(EirError, match="adversary of wide does not fit"):
        strongest(victim, {**donors, "wide": wide}, [0, 1])


def test_a_run_without_an_adversary_is_no_start(teams):
    with pytest.raises(EirError, match="'mappo', which trains with no adversary"):
        adversary_in(teams / "toy/mappo-0")
    assert adversary_in(teams / "toy/eir-mappo-0")
    assert adversary_in(teams / "toy/mappo-0/attack-fresh.pt")


def test_an_attack_keeps_the_weights_that_its_lowest_return_was_measured_with(matrix, tmp_path):
    victim = checkpoint.fresh(recipe_of(matrix, find_victim(matrix, "toy/mappo-0")))
    path = tmp_path / checkpoint.FILE
    checkpoint.save(victim, path)
    # the smoothed return can be lowest at the end: even then an update followed
    attack = train_attack(victim, "fresh", [0, 1], SMOOTHING, seed=1, greedy=False)
    assert len(attack.curve) == SMOOTHING
    save_attack(attack, victim, path, tmp_path / "attack-fresh.pt")
    kept = load_attack(tmp_path / "attack-fresh.pt", lowest=True).state_dict()
    last = load_attack(tmp_path / "attack-fresh.pt").state_dict()
    assert any(not torch.equal(kept[name], last[name]) for name in kept)
    assert all(torch.equal(kept[name], attack.lowest[name]) for name in kept)


def test_a_report_shows_every_method_and_repeats_itself(matrix, teams, tmp_path):
    for victim in victims(matrix):
        judge(matrix, teams, tmp_path / "out", victim.name)
    written = write_report(tmp_path / "out", tmp_path / "report")
    names = {path.name for path in written}
    figures = {f"toy-{f}.svg" for f in ("cooperation", "attacks", "epsilon", "transfer", "curves")}
    assert names == {*figures, "report.md", "report.html", "scorecard.json"}
    page = (tmp_path / "report/report.html").read_text()
    assert page.count("<svg") == len(figures)
    assert not re.search(r'(src|href)="(?!#|data:)', page)  # self-contained
    card = json.loads((tmp_path / "report/scorecard.json").read_text())
    mine = card["toy"]["methods"]["eir-mappo"]
    assert mine["seeds"] == 2
    assert mine["worst_case"][3] == 2  # agents are no seeds
    assert len(card["toy"]["targets"]) == 3
    before = {path.name: path.read_bytes() for path in written}
    write_report(tmp_path / "out", tmp_path / "report")
    assert all((tmp_path / "report" / name).read_bytes() == text for name, text in before.items())


def test_a_unit_that_crashes_is_reported_and_stops_nothing_else(tmp_path, capsys):
    path = tmp_path / "tiny.yaml"
    path.write_text(MATRIX.replace("eir-mappo: 2, ", "ear-mappo: 1, "))
    runs, matrix = tmp_path / "runs", read_matrix(path)
    broken = runs / "toy/mappo-0" / checkpoint.FILE
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no checkpoint")
    assert not run_matrix(path, matrix, runs, tmp_path / "out", jobs=2)
    said = capsys.readouterr().out
    assert "train toy/mappo-0" in said
    assert "train toy/ear-mappo-0" in said
    assert (runs / "toy/ear-mappo-0" / checkpoint.FILE).exists()
    assert "not judged: toy/mappo-0, which is not trained" in said
    assert not (tmp_path / "out/toy/mappo-0").exists()


def test_nothing_is_judged_before_the_last_seed_is_trained(matrix, tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(campaign, "_is_done", lambda *about: True)
    monkeypatch.setattr(
        campaign.engine, "run_units", lambda units, *how: done.extend(u.name for u in units)
    )
    assert run_matrix(tmp_path / "tiny.yaml", matrix, tmp_path / "runs", tmp_path / "out")
    assert done.index("judge toy/mappo-0") < done.index("train toy/eir-mappo-1")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("eir-mappo: 2", "eir-mapo: 2", "eir-mapo"),
        ("[random,", "[randon,", "did you mean 'random'"),
        ("epsilon: 0.2", "epsilom: 0.2", "did you mean 'epsilon'"),
        ("episodes: 8", "episode: 8", "did you mean 'episodes'"),
        ("toy.yaml", "toi.yaml", "toi.yaml"),
        ("width: 8", "widht: 8", "did you mean 'width'"),
        ("mappo: 1", "mappo: 0", "at least one method"),
        ("[random,", "[random, random,", "listed 2 times, expected once"),
        ("name: ", "name: ../", "match"),
        ("sampled: true", "set_of: {mappo: {seed: 1}}", "'seed' is not to be set here"),
        ("sampled: true", "set_of: {mapo: {width: 9}}", "set_of"),
    ],
)
def test_a_matrix_with_a_mistake_is_refused_by_name(tmp_path, old, new, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(MATRIX.replace(old, new))
    with pytest.raises(EirError, match=message):
        read_matrix(path)


def test_rivals_share_the_seed_as_far_as_they_have_it(matrix):
    mine = find_victim(matrix, "toy/eir-mappo-1")
    assert [rival.name for rival in rivals(matrix, mine)] == ["toy/eir-mappo-1", "toy/mappo-0"]
    with pytest.raises(EirError, match=r"no team 'toy/x'; it has toy/eir-mappo-0"):
        find_victim(matrix, "toy/x")


def test_a_setting_of_one_method_reaches_another_or_outdoes_what_is_set_for_all(tmp_path):
    path = tmp_path / "apart.yaml"
    own = "    set_of: {mappo: {critic.gamma: 0.5, width: 9}}\n    sampled: true"
    path.write_text(MATRIX.replace("    sampled: true", own))
    matrix, names = read_matrix(path), ("toy/mappo-0", "toy/eir-mappo-0")
    theirs, ours = (recipe_of(matrix, find_victim(matrix, name)) for name in names)
    assert (theirs.critic.gamma, theirs.width) == (0.5, 8)
    assert ours.critic.gamma != 0.5


def test_a_seed_alone_trains_those_of_others_again_or_lacks_their_adversaries(
    matrix, teams, tmp_path, monkeypatch
):
    done = []
    monkeypatch.setattr(
        campaign.engine, "run_units", lambda units, *how: done.extend(u.name for u in units)
    )
    path, out = tmp_path / "tiny.yaml", tmp_path / "out"
    run_matrix(path, matrix, teams, out, seed=1)
    assert {name.split()[1] for name in done} == {"toy/eir-mappo-1"}
    # its rival of another seed is not here
    with pytest.raises(EirError, match=r"1 of these 1 are not .*\(toy/mappo-0\); do them first"):
        run_matrix(path, matrix, tmp_path / "elsewhere", out, seed=1)
    with pytest.raises(EirError, match=r"no method has the seed 2 there; expected 0 to 1"):
        plan_matrix(matrix, teams, out, seed=2)


def test_a_variant_is_spared_the_adversaries_of_the_world_that_it_varies(tmp_path):
    path = tmp_path / "ablations.yaml"
    variant = "  toy-rare:\n    recipe: config/recipes/toy.yaml\n    variant_of: toy\n"
    path.write_text(MATRIX.replace("attacks:", f"{variant}    seeds: {{eir-mappo: 2}}\nattacks:"))
    matrix = read_matrix(path)
    names = [rival.name for rival in rivals(matrix, find_victim(matrix, "toy-rare/eir-mappo-1"))]
    assert names == ["toy-rare/eir-mappo-1", "toy/mappo-0"]
    # nor is it trained for hours before they turn out to be missing
    with pytest.raises(EirError, match=r"1 of these 1 are not .*\(toy/mappo-0\); do them first"):
        run_matrix(path, matrix, tmp_path / "runs", tmp_path / "out", world="toy-rare")


def test_a_plan_counts_what_is_there_and_beliefs_of_teams_that_have_none(
    matrix, teams, tmp_path, capsys
):
    for victim in victims(matrix):
        judge(matrix, teams, tmp_path / "out", victim.name)
    (tmp_path / "out/toy/mappo-0/random.json").unlink()
    plan_matrix(matrix, teams, tmp_path / "out")
    # 3 attacks, 2 transfers, 3 of every team and beliefs of two
    assert "1 of 26" in capsys.readouterr().out


def test_the_time_left_forgets_what_was_not_done_yet_and_what_was_done_before():
    progress = Progress()
    for world in ("toy", "toy-rare"):
        progress.total[world, "train"] = 4
    # two were there already, and one took ten seconds
    progress.skip("toy", "train", 2)
    progress.add("toy", "train", 10.0)
    # one more here, four like it in the other world, two at once
    assert progress.left_s(2) == (10.0 * 1 + 10.0 * 4) / 2
    progress.add("toy-rare", "train", 30.0)
    assert progress.left_s(2) == (10.0 * 1 + 30.0 * 3) / 2
    assert progress.untimed() == []
    progress.total["toy", "judge"] = 1
    assert progress.table(2).title == "about 50 s left, beside judge"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.2, "1 s"), (40, "40 s"), (300, "5 min"), (6000, "1.7 h")],
)
def test_minutes_of_what_takes_seconds_are_told_as_0(seconds, said):
    assert told(seconds) == said


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    assert interquartile_mean(np.array([0.0, 1.0, 2.0, 100.0])) == pytest.approx(1.5)
    assert interquartile_mean(np.array([0.0, 1.0, 5.0])) == pytest.approx(2.0)


def test_an_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = [e.low <= 0.0 <= e.high for e in (estimate(rng.normal(size=12)) for _ in range(60))]
    assert np.mean(held) > 0.85
    one = estimate([3.0])
    assert (one.value, one.low, one.high, one.count) == (3.0, 3.0, 3.0, 1)


def test_improvement_counts_ties_half():
    assert probability_of_improvement([1.0, 2.0], [1.0]) == 0.75


def worst(agents: dict[str, float], refined: dict[str, float] | None = None) -> dict:
    """A cell with so much left of each agent, on the episodes reported and on those of refining."""
    tried = {agent: {"refined": {"fresh": value}} for agent, value in (refined or agents).items()}
    means = {agent: {"mean": value} for agent, value in agents.items()}
    return {"agents": means, "tried": tried, "curves": {}, "still_falling": {}}


def test_agents_of_one_team_count_as_many_teams():
    cells = {("worst", "mappo", 0): worst({"0": 1.0, "1": 5.0})}
    world = World("toy", cells | {("worst", "mappo", 1): worst({"0": 2.0, "1": 2.0})})
    assert world.scores("worst", "mappo") == [3.0, 2.0]
    assert world.lowest("mappo") == [1.0, 2.0]


def test_the_weakest_agent_is_chosen_on_the_episodes_that_are_reported():
    world = World("toy", {("worst", "mappo", 0): worst({"0": 1.0, "1": 1.1}, {"0": 2.0, "1": 1.5})})
    assert world.lowest("mappo") == [1.1]


def test_a_baseline_with_a_wide_interval_is_passed_over_for_a_better_one():
    def world(unsure: list[float]) -> World:
        cells = {}
        for seed in range(3):
            for method, value in (("eir-mappo", 48), ("ear-mappo", 45), ("mappo", unsure[seed])):
                cells["worst", method, seed] = worst({"0": value + 0.01 * seed})
        return World("toy", cells)

    assert [target.verdict for target in targets(world([1.0, 2.0, 3.0]))] == ["met"]
    assert [target.verdict for target in targets(world([20.0, 60.0, 40.0]))] == ["missed"]


def test_a_baseline_without_any_return_ends_the_report():
    cells = {}
    for seed in range(3):
        for method, value in (("eir-mappo", 0.5), ("mappo", 0.0)):
            cells["random", method, seed] = {"agents": {"0": {"mean": value}}}
            cells["none", method, seed] = {"agents": {"all": {"mean": value}}}
    assert targets(World("lbf", cells)) == []


def test_targets_tell_a_clear_lead_from_one_within_the_intervals():
    def world(ours: float, seeds: int = 3) -> World:
        cells = {}
        for seed in range(seeds):
            for method, value in (("eir-mappo", ours), ("mappo", 1.0)):
                agents = {str(k): value + 0.1 * k + 0.03 * seed for k in range(4)}
                cells["worst", method, seed] = worst(agents)
                cells["none", method, seed] = {"agents": {"all": {"mean": 10.0}}}
        return World("toy", cells)

    assert [target.verdict for target in targets(world(5.0))] == ["met", "met"]
    assert [target.verdict for target in targets(world(1.05))] == ["missed", "met"]
    # neither a success nor a failure
    assert [target.verdict for target in targets(world(5.0, seeds=2))] == ["open", "open"]
    assert "; 2 seeds, too few to tell" in targets(world(5.0, seeds=2))[0].found
    # trained, but not attacked yet
    begun = world(5.0)
    del begun.cells["worst", "mappo", 2]
    assert [target.verdict for target in targets(begun)] == ["open", "met"]


def test_a_target_that_no_team_can_reach_says_so():
    cells = {}
    for seed in range(3):
        # the oracle is hardly better than the baseline, and so is a team that nobody attacks
        for method, value in (("eir-mappo", 8.8), ("ear-mappo", 9.0), ("true-type", 9.09)):
            cells["random", method, seed] = {"agents": {"0": {"mean": value}}}
            cells["none", method, seed] = {"agents": {"all": {"mean": 9.9}}}
    [target] = targets(World("smac", cells))
    assert target.verdict == "missed"
    assert target.found == (
        "2.2% below EAR-MAPPO, the best baseline; 1 of the 11 attacks so far; True Type, which is "
        "told who is corrupted, is 1.0% above it; what the best team returns with nobody corrupted "
        "is 10.0% above it"
    )


def test_attacks_beyond_the_paper_count_among_its_eleven_unseen_ones():
    names = ["random", "pgd-epsilon=0.2", "pgd-clean_belief=True-epsilon=0.5", "frozen"]
    names += ["transfer-mappo", "worst", "none"]
    cells = {(name, "mappo", 0): {"agents": {"0": {"mean": float(len(name))}}} for name in names}
    world = World("toy", cells)
    # the adversary trained against a team itself is not unseen, but nearly its worst case
    assert world.unseen_attacks("mappo") == ["pgd-epsilon=0.2", "random"]
    assert world.unseen("mappo") == [pytest.approx((15 + 6) / 2)]
    assert world.unseen_attacks("eir-mappo")[-1] == "transfer-mappo"


@pytest.mark.parametrize(
    "path", sorted(Path("config/matrices").glob("*.yaml")), ids=lambda p: p.stem
)
def test_a_shipped_matrix_cannot_be_read(path):
    assert read_matrix(path).name == path.stem


def test_a_folder_without_cells_and_a_damaged_cell_are_refused(tmp_path):
    with pytest.raises(EirError, match="holds no cells"):
        read_results(tmp_path)
    cell = tmp_path / "toy/mappo-0/none.json"
    cell.parent.mkdir(parents=True)
    cell.write_text("{")
    with pytest.raises(EirError, match=r"none\.json is not a cell"):
        read_results(tmp_path)


def test_a_team_is_judged_before_its_rivals_were_attacked(matrix, teams, tmp_path):
    (teams / "toy/mappo-0/attack-fresh.pt").unlink()
    with pytest.raises(EirError, match=r"no adversary was trained against toy/mappo-0 yet.*eir-m"):
        judge(matrix, teams, tmp_path / "out", "toy/eir-mappo-0")


def test_a_transfer_that_began_as_the_team_s_own_adversary_counts_as_unseen(
    matrix, teams, tmp_path
):
    judge(matrix, teams, tmp_path, "toy/eir-mappo-0")
    fresh = teams / "toy/mappo-0/attack-fresh.pt"
    story = json.loads(fresh.with_suffix(".json").read_text())
    story["curve"] = [dict.fromkeys(row, -100.0) for row in story["curve"]]
    for donor, remade in (("eir-mappo-0", False), ("eir-mappo-1/attack-fresh.pt", True)):
        story["tried"] = {str(teams / "toy" / donor): 1.0, str(teams / "toy/mappo-0"): 2.0}
        rival = fresh.with_name("attack-rival.pt")
        shutil.copy(fresh, rival)
        rival.with_suffix(".json").write_text(json.dumps(story))
        made = judge(matrix, teams, tmp_path, "toy/eir-mappo-0")
        assert made["transfer-mappo"] == remade


def test_a_report_shows_how_far_training_had_come(matrix, teams, tmp_path):
    steps = ["iteration,evaluation/sampled/healthy,evaluation/sampled/attacked"]
    steps += [f"{k},{k}.0,0.5" for k in range(1, 9)]
    (teams / "toy/mappo-0/metrics.csv").write_text("\n".join(steps) + "\n")
    out = tmp_path / "cells"
    judge(matrix, teams, out, "toy/mappo-0")
    found = json.loads((out / "toy/mappo-0/training.json").read_text())
    assert found["steps"][:2] == [40, 80]
    assert found["healthy"] == [float(k) for k in range(1, 9)]
    assert found["still_rising"] == pytest.approx((7.5 - 5.5) / 8)
    write_report(out, tmp_path / "report")
    assert "toy-training.svg" in (tmp_path / "report/report.md").read_text()
    assert (tmp_path / "report/toy-training.svg").exists()

"""The page for newcomers hides nothing, and is what the committed cells give."""

import importlib
import json
import re
from pathlib import Path

import pytest

from eir_ros.cli.report import report
from eir_ros.contract.errors import EirError
from training.report import newcomer
from training.report.newcomer import results_page, story, write_results
from training.report.pages import write_report
from training.report.scorecard import found_out, scorecard
from training.report.table import World, read_results

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "results.md"


def world(seeds: int = 3, gained: float = 0.0) -> World:
    """EIR-MAPPO far better than MAPPO in the worst case, and a little too bad without one."""
    cells = {}
    for seed in range(seeds):
        for method, together, worst in (("eir-mappo", 90.0, 50.0), ("mappo", 100.0, 10.0)):
            common = {"sampled": True, "trained_s": 60.0, "episodes": 16}
            mean = {"mean": together + 0.1 * seed}
            cells["none", method, seed] = {**common, "agents": {"all": mean}}
            agents = {
                str(k): {"mean": worst + k + 0.1 * seed, "by": "mappo:fresh"} for k in range(2)
            }
            refined = {k: {"refined": {"mappo:fresh": agents[k]["mean"]}} for k in agents}
            tried = {"curves": {}, "still_falling": {"attack-fresh": gained}, "tried": refined}
            cells["worst", method, seed] = {**common, **tried, "agents": agents}
    return World("toy", cells)


def told(one: World) -> list[str]:
    return story(one, scorecard([one])["toy"])


def test_a_missed_target_comes_before_one_that_is_met():
    lines = told(world())
    assert lines[0].startswith("**missed**: cooperation at least 97%")
    assert lines[1].startswith("**met**: worst case above every baseline")
    assert "100 together" in lines[2]


def test_few_seeds_and_attacks_that_still_gained_are_admitted():
    doubts = [line for line in told(world(3, 0.1)) if line.startswith("Doubt")]
    assert len(doubts) == 2
    assert "EIR-MAPPO" in doubts[0]
    assert "fewer than five seeds" in doubts[1]
    assert not [line for line in told(world(5)) if line.startswith("Doubt")]


def test_a_seed_whose_observers_never_find_out_shortens_the_time_to_detect():
    one = world(2)
    for seed, steps in enumerate((4.0, None)):
        kind = {"auroc": 0.9, "steps_to_detect": steps, "detected": 0.4 + 0.1 * seed}
        told_of = {"brier": 0.1, "calibration_error": 0.1, "blamed": 0.0}
        one.cells["belief", "eir-mappo", seed] = {**told_of, "kinds": {"adversary": kind}}
    belief = scorecard([one])["toy"]["methods"]["eir-mappo"]["belief"]
    assert belief["steps_to_detect"] == {"adversary": None}
    assert found_out(belief)[1] == "adversary not in every seed"
    one.cells["belief", "eir-mappo", 1]["kinds"]["adversary"]["steps_to_detect"] = 6.0
    belief = scorecard([one])["toy"]["methods"]["eir-mappo"]["belief"]
    assert found_out(belief)[1] == "adversary 5.0"


def test_a_page_tells_every_world_before_the_tables_and_twice_the_same():
    page = results_page([world()], Path("results/here"))
    assert page.index("## toy") < page.index("## All numbers") < page.index("### toy in numbers")
    assert "`eir report results/here --docs docs/results.md`" in page
    assert page == results_page([world()], Path("results/here"))


@pytest.mark.filterwarnings("error")
def test_half_a_result_is_drawn_as_if_it_were_whole(tmp_path):
    some = World("toy", {key: cell for key, cell in world().cells.items() if key[0] == "none"})
    page = results_page([some], Path("results/here"))
    assert ".svg" not in page
    assert "EIR-MAPPO 90" in page
    (tmp_path / "toy/mappo-0").mkdir(parents=True)
    cell = {"world": "toy", "method": "mappo", "seed": 0, "made_from": "", "sampled": True}
    cell |= {"agents": {"all": {"mean": 1.0}}, "trained_s": 1.0, "episodes": 4}
    (tmp_path / "toy/mappo-0/none.json").write_text(json.dumps(cell))
    write_report(tmp_path, tmp_path / "report")
    report = (tmp_path / "report/report.md").read_text()
    assert "these cells answer no target yet" in report
    assert "cooperation.svg" not in report


def test_one_seed_has_an_interval_and_a_probability_of_being_better(tmp_path):
    page = results_page([world(1)], Path("results/here"))
    assert "| EIR-MAPPO | 1 | 90 (1) | 50.5 (1) | 50 (1) |" in page
    assert "[90" not in page
    row = next(line for line in page.splitlines() if line.startswith("| MAPPO | 1 |"))
    column = (
        page[page.index("| method | seeds") :]
        .splitlines()[0]
        .split("|")
        .index(" P(EIR-MAPPO is better) ")
    )
    assert not row.split("|")[column].strip()
    three = results_page([world(3)], Path("results/here"))
    row = next(line for line in three.splitlines() if line.startswith("| MAPPO | 3 |"))
    assert row.split("|")[column].strip() == "1"


def test_links_of_a_page_elsewhere_are_dead_and_its_header_is_of_another(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(newcomer, "read_results", lambda cells: [world()])
    page = tmp_path / "here" / "page.md"
    written = write_results(Path("results/here"), page)
    text = page.read_text(encoding="utf-8")
    assert f"`eir report results/here --docs {page}`" in text
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (page.parent / target).exists(), target
    assert "attacks.md" in text
    assert written[0] == page
    assert {path.parent for path in written[1:]} == {page.parent / "images"}
    # and where there is no documentation, no links
    monkeypatch.chdir(tmp_path)
    write_results(Path("results/here"), page)
    assert not re.search(r"\]\([^)]*\.md", page.read_text(encoding="utf-8"))


def test_a_recording_has_no_such_page(tmp_path):
    with pytest.raises(EirError, match="holds no cells"):
        report(tmp_path, None, tmp_path / "page.md", False, None)
    assert not (tmp_path / "page.md").exists()


def test_the_committed_page_is_not_what_the_committed_cells_give():
    if not PAGE.exists():
        pytest.skip("no results are committed yet")
    text = PAGE.read_text(encoding="utf-8")
    [cells] = re.findall(r"`eir report (\S+) --docs docs/results\.md`", text)
    assert text == results_page(read_results(ROOT / cells), Path(cells))


def test_the_readme_tells_other_numbers_than_the_committed_cells_give(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    make_evidence = importlib.import_module("make_evidence")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert make_evidence.written(text, make_evidence.evidence()) == text
    with pytest.raises(SystemExit, match="has no lines <!-- evidence: begin -->"):
        make_evidence.written("a README without marks", "")


def test_a_variant_is_a_row_of_the_ablations_and_no_world_of_its_own():
    changed = {"set": {"a.b": 1}, "variant_of": "toy"}
    variant = World("toy-rare", {k: {**c, **changed} for k, c in world().cells.items()})
    page = results_page([world(), variant], Path("results/here"))
    assert "\n## toy-rare" not in page
    table = page[page.index("### toy, with settings changed") :]
    assert "| rare | `a.b=1` | EIR-MAPPO | 3 | 90" in table
    # beside what it varies
    assert table.index("| toy | nothing | EIR-MAPPO |") < table.index("| rare |")


def test_variants_are_lost_without_the_world_that_they_vary():
    cells = {k: {**c, "variant_of": "toy"} for k, c in world().cells.items()}
    page = results_page([World("toy-rare", cells)], Path("results/here"))
    assert "| rare | nothing | MAPPO | 3 | 100" in page

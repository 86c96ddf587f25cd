"""`docs/results.md`: for each world what holds and what does not in a few lines, then tables."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from training.matrix import TOGETHER, WORST
from training.methods import METHODS
from training.records import write_whole
from training.report.ablations import ablation_rows, whole_and_variants
from training.report.figures import (
    cooperation_against_worst,
    learning_curves,
    training_curves,
)
from training.report.pages import CAPTIONS, HOW_TO_READ, VARIED, Rows, table, tables
from training.report.scorecard import found_out, said, scorecard
from training.report.table import UNSEEN_COUNT, World, read_results
from training.report.targets import COOPERATIVE, FEWEST_SEEDS, KEEPS, NAMES, ORACLE, OURS

#: What a newcomer should know of a world before its numbers.
STORIES = {
    "toy": "two agents play a matrix game whose values are known exactly: 100 together, and at "
    "best 50 against a traitor ([toy.md](toy.md))",
    "lbf": "four agents gather food that none can lift alone; a return of 1 is all of it "
    "([lbf.md](lbf.md))",
    "smac": "four marines fight three; a victory is worth 20 ([smac.md](smac.md))",
    "mpe": "four particles share out landmarks; returns are negative distances",
    "coverage": "four robots cover three sites that move; about 95 with perfect knowledge "
    "([training.md](training.md#the-task-and-its-numbers-in-pybullet))",
}
#: What the table above all worlds means.
_WORDS = (
    "- **worst case**: what is left of the return when the strongest attack found works on one "
    f"agent, {METHODS[OURS].title} against the best baseline: the mean over the agents of a team, "
    "and what is left at its weakest agent (which is chosen on other episodes, so that it may come "
    "out above the mean). Two adversaries, wolfpack and noise on all attack "
    "more than one agent and are not among these; they stand in the tables.",
    f"- **cooperation**: the return with nobody corrupted, {METHODS[OURS].title} as a share of "
    f"{METHODS[COOPERATIVE].title}; met where it is {KEEPS:.0%} or more.",
    f"- **unseen attacks**: the mean over {UNSEEN_COUNT} that no team was trained with (a random "
    "agent, PGD at three strengths, and the strongest adversaries against the other methods), "
    f"how far {METHODS[OURS].title} is above the best baseline; met where that is at least as far "
    "as in the paper.",
    f"- **open**: fewer than {FEWEST_SEEDS} seeds on either side, which is too few to tell.",
)
#: Where the figures of a page go, beside it: the beginning of their names.
FIGURES = "images/results-"
#: Where the other pages of the documentation are, from the checkout.
DOCS = Path("docs")
#: A link to a page beside this one.
_LINK = re.compile(r"\[([^\]]+)\]\(([\w-]+\.md)(#[\w-]*)?\)")
#: What gained more than this share of a return in the last quarter of its training was still
#: learning: an attack, or a team.
CONVERGED = 0.02


def write_results(cells: Path, page: Path) -> list[Path]:
    """Write `page`, and its figures, from the cells of `eir evaluate` in the folder `cells`.

    Returns what was written, the page first.

    Raises
    ------
    EirError
        There are no cells, or one that cannot be read.
    """
    worlds, written = read_results(cells), list[Path]()
    (page.parent / FIGURES).parent.mkdir(parents=True, exist_ok=True)
    for world in whole_and_variants(worlds)[0]:
        for name, draw in _figures(world).items():
            path = page.parent / f"{FIGURES}{world.name}-{name}.svg"
            write_whole(path, draw(world).encode())
            written.append(path)
    write_whole(page, _linked(results_page(worlds, cells, page), page).encode())
    return [page, *written]


def _linked(text: str, page: Path) -> str:
    """`text` with links to other pages of the documentation only where they lead there."""

    def link(found: re.Match[str]) -> str:
        label, target, anchor = found.groups(default="")
        if (page.parent / target).exists():
            return found[0]
        elsewhere = DOCS / target
        if not elsewhere.exists():
            return label
        return f"[{label}]({Path(os.path.relpath(elsewhere, page.parent)).as_posix()}{anchor})"

    return _LINK.sub(link, text)


def results_page(worlds: list[World], cells: Path, page: Path = DOCS / "results.md") -> str:
    """The whole page; `cells` and `page` are named in it."""
    card = scorecard(worlds)
    whole, variants = whole_and_variants(worlds)
    ordered = sorted(whole, key=lambda w: [*STORIES, w.name].index(w.name))
    lines = ["# What holds and what does not", ""]
    lines += [
        f"Made by `eir report {cells.as_posix()} --docs {page.as_posix()}` from the cells in "
        f"`{cells.as_posix()}`, each of which says what command, commit and machine made it. "
        "[attacks.md](attacks.md) tells what the attacks are.",
        "",
    ]
    lines += [*table(_overview(ordered, card)), "", *_WORDS, ""]
    if missing := [name for name in STORIES if name not in card]:
        lines += [f"Not judged yet: {', '.join(missing)}.", ""]
    for world in ordered:
        lines += [f"## {world.name}", "", *(f"- {line}" for line in story(world, card[world.name]))]
        lines += ["", *([_shown(world, "cooperation"), ""] if world.tells_worst else [])]
    lines += ["## All numbers", "", HOW_TO_READ, ""]
    for world in ordered:
        shown = [_shown(world, name) for name in _figures(world) if name != "cooperation"]
        lines += [f"### {world.name} in numbers", "", *tables(world, card[world.name], shown)]
    for base, those in variants.items():
        lines += [f"### {base}, {VARIED}", "", *table(ablation_rows(base, those, worlds, card)), ""]
    return "\n".join(lines)


def _overview(worlds: list[World], card: dict[str, Any]) -> Rows:
    """One row for every world: the verdict of each target, and the number that counts."""
    rows = [["world", *NAMES]]
    for world in worlds:
        found = {target["name"]: target for target in card[world.name]["targets"]}
        told = [
            f"**{t['verdict']}**: {t['short']}" if (t := found.get(name)) else "nothing to compare"
            for name in NAMES
        ]
        rows.append([f"[{world.name}](#{world.name})", *told])
    return rows


def _figures(world: World) -> dict[str, Callable[[World], str]]:
    """Name -> what draws it, the one for newcomers first."""
    found: dict[str, Callable[[World], str]] = {}
    if world.tells_worst:
        found["cooperation"] = cooperation_against_worst
    if world.tells_training:
        found["training"] = training_curves
    if world.tells_worst:
        found["curves"] = learning_curves
    return found


def _shown(world: World, name: str) -> str:
    return f"![{CAPTIONS[name]}]({FIGURES}{world.name}-{name}.svg)"


def story(world: World, card: dict[str, Any]) -> list[str]:
    """Sentences about one world: targets first, the missed ones before all others."""
    lines = [f"**{t['verdict']}**: {t['what']}: {t['found']}." for t in card["targets"]]
    lines.append(_setting(world))
    lines += _returns(card["methods"])
    if OURS in card["methods"]:
        lines += _worst_attack(world, card["methods"][OURS])
        lines += _belief(card["methods"][OURS])
    lines += _doubts(world, card["methods"])
    return lines


def _setting(world: World) -> str:
    cells = [cell for (attack, _, _), cell in world.cells.items() if attack == TOGETHER]
    what = STORIES.get(world.name, "no story is written for this world yet")
    seeds = ", ".join(
        f"{METHODS[method].title} {len(world.of(TOGETHER, method))}" for method in world.methods
    )
    act = "sample their actions" if any(c["sampled"] for c in cells) else "act greedily"
    minutes = np.median([cell["trained_s"] for cell in cells]) / 60 if cells else 0.0
    episodes = max((cell["episodes"] for cell in cells), default=0)
    return (
        f"What it is: {what}. Seeds: {seeds}; teams {act}, {episodes} episodes per cell and agent; "
        f"{minutes:.2g} min of training per team (median)."
    )


def _returns(methods: dict[str, Any]) -> list[str]:
    """Who is best together, and in the worst case."""
    lines = []
    for key, when in (("cooperation", "Nobody corrupted"), ("worst_case", "Worst case")):
        there = {method: own[key] for method, own in methods.items() if own[key]}
        robots = {method: found for method, found in there.items() if method != ORACLE}
        if not robots:
            continue
        best = sorted(robots, key=lambda method: -robots[method][0])[:2]
        named = dict.fromkeys([*best, OURS, ORACLE])
        parts = [f"{METHODS[m].title} {said(there[m])}" for m in named if m in there]
        lines.append(f"{when}: {'; '.join(parts)}.")
    return lines


def _worst_attack(world: World, own: dict[str, Any]) -> list[str]:
    lowest = [(found[0], attack) for attack, found in own["attacks"].items() if found is not None]
    by: dict[str, int] = {}
    for cell in world.of(WORST, OURS).values():
        for agent in cell["agents"].values():
            by[agent["by"]] = by.get(agent["by"], 0) + 1
    lines = []
    if lowest:
        value, attack = min(lowest)
        lines.append(
            f"Beside the worst case, `{attack}` leaves {METHODS[OURS].title} least: {value:.4g}."
        )
    if by:
        most = max(by, key=lambda name: by[name])
        lines.append(
            f"Its worst case was `{most}` for {by[most]} of {sum(by.values())} seeds and agents."
        )
    return lines


def _belief(own: dict[str, Any]) -> list[str]:
    belief = own.get("belief")
    if not belief:
        return []
    auroc, steps = found_out(belief)
    return [
        f"Its beliefs, of the adversary that it was trained with: AUROC {auroc}; steps until half "
        f"of the observers know: {steps}; {belief['blamed']:.1%} of agents are ever blamed where "
        "nobody is corrupted, which is to be given more than half a chance of being an adversary "
        "three times in a row."
    ]


def _doubts(world: World, methods: dict[str, Any]) -> list[str]:
    """What weakens the numbers above."""
    lines = []
    if still := _gained(methods, "attack_still_falling"):
        lines.append(
            f"Doubt: an attack on {still} gained more than {CONVERGED:.0%} of a return "
            "in the last quarter of its training, so the worst case may be lower than written."
        )
    if short := _gained(methods, "training_still_rising"):
        lines.append(
            f"Doubt: {short} gained more than {CONVERGED:.0%} of a return in the last "
            "quarter of training, so longer training may show more."
        )
    few = [METHODS[m].title for m, own in methods.items() if own["seeds"] < 5]
    if few:
        lines.append(
            f"Doubt: fewer than five seeds of {', '.join(few)}; intervals of so few are rough."
        )
    return lines


def _gained(methods: dict[str, Any], key: str) -> str:
    """Titles of the methods whose curve had not converged."""
    return ", ".join(
        METHODS[method].title
        for method, own in methods.items()
        if (own.get(key) or 0.0) > CONVERGED
    )

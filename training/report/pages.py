"""`report.md`, `report.html` and the SVG figures beside them."""

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from training.methods import METHODS
from training.records import write_whole
from training.report import figures
from training.report.ablations import ablation_rows, whole_and_variants
from training.report.scorecard import found_out, said, scorecard
from training.report.table import World, read_results
from training.report.targets import OPEN, VERDICTS

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1d2733; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; }
td { white-space: nowrap; }
td, th { border-bottom: 1px solid #d5dbe1; padding: .3rem .6rem; text-align: right; }
td:first-child, th:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
.met { color: #00694e; } .missed { color: #a03c00; font-weight: 600; }
"""

Rows = list[list[str]]
#: World -> name -> SVG
Pictures = dict[str, dict[str, str]]


def write_report(results: Path, out: Path) -> list[Path]:
    """Write `report.html`, `report.md`, `scorecard.json` and the figures; returns what was written.

    Raises
    ------
    EirError
        `results` holds no cells, or one that cannot be read.
    """
    worlds = read_results(results)
    card = scorecard(worlds)
    out.mkdir(parents=True, exist_ok=True)
    whole, _ = whole_and_variants(worlds)
    pictures = {world.name: _figures(world) for world in whole}
    files = {f"{w}-{name}.svg": svg for w, drawn in pictures.items() for name, svg in drawn.items()}
    files["report.md"] = markdown(worlds, card, pictures)
    files["report.html"] = html(worlds, card, pictures)
    files["scorecard.json"] = json.dumps(card, indent=1) + "\n"
    written = []
    for name, text in files.items():
        write_whole(out / name, text.encode())
        written.append(out / name)
    return written


def _figures(world: World) -> dict[str, str]:
    drawn = {
        "cooperation": figures.cooperation_against_worst(world) if world.tells_worst else None,
        "attacks": figures.bars(world),
        "epsilon": figures.against_epsilon(world),
        "transfer": figures.transfer(world),
        "training": figures.training_curves(world) if world.tells_training else None,
        "curves": figures.learning_curves(world) if world.tells_worst else None,
    }
    return {name: svg for name, svg in drawn.items() if svg is not None}


#: What each figure shows.
CAPTIONS = {
    "cooperation": "What a team is worth by itself, and in the worst case at its weakest agent; up "
    "and right is better.",
    "attacks": "Return under each attack: mean over agents, interquartile mean over seeds, BCa.",
    "epsilon": "Return against the strength of an attack on what one agent sees.",
    "transfer": "Who is hurt by whose adversary: rows are victims, columns where it was trained.",
    "training": "How far training had come: the held-out return, by steps of training; a flat end "
    "means that more of it would not help.",
    "curves": "How far attacks had come: the return of the attacked team, by updates of the "
    "adversary; a flat end means that the attacker has converged.",
}


#: Of ablations: what their table is called.
VARIED = "with settings changed"
#: What stands above all tables.
HOW_TO_READ = (
    "Every seed counts with its mean over the attacked agents. Numbers are interquartile means "
    "over seeds (below four seeds, means) with 95 % BCa intervals, which one seed does not have; "
    "how many seeds stand behind each is in parentheses. The worst case of an agent is what is "
    "left under the strongest of fresh, warm-started, transferred and scripted attacks on it, "
    "chosen on other episodes than those reported. `worst case` is the mean of that over the "
    "agents of a team; `worst case, weakest agent` that of one agent, which is chosen on other "
    "episodes, too: where agents are nearly alike, it may come out above the mean. "
    "`regret to True Type` and `P(EIR-MAPPO is better)` are of the worst case; the first may be "
    "negative, since True Type has no memory and is told nothing under PGD. "
    "`attack still falling` is how much lower the attacked return was in the last quarter of an "
    "attack's training than in the quarter before, and `training still rising` how much higher "
    "the held-out return in the last quarter of a team's, both as shares of the largest return of "
    "the curve: above 0.02, learning had not ended."
)


def verdicts(card: dict[str, Any]) -> list[tuple[str, str]]:
    """The first paragraph of a report: verdict and sentence of every target, missed ones first."""
    told = [
        (found["verdict"], f"{world}: {found['what']}: **{found['verdict']}** ({found['found']})")
        for world, own in card.items()
        for found in own["targets"]
    ]
    told = told or [(OPEN, "these cells answer no target yet")]
    return sorted(told, key=lambda each: VERDICTS.index(each[0]))


def markdown(worlds: list[World], card: dict[str, Any], pictures: Pictures) -> str:
    """The whole report; figures are looked for beside it."""
    lines = ["# Report", "", *(f"- {line}" for _, line in verdicts(card)), ""]
    lines += [HOW_TO_READ, ""]
    whole, variants = whole_and_variants(worlds)
    for world in whole:
        figures = [f"![{CAPTIONS[f]}]({world.name}-{f}.svg)" for f in pictures[world.name]]
        lines += [f"## {world.name}", "", *tables(world, card[world.name], figures)]
    for base, those in variants.items():
        lines += [f"## {base}, {VARIED}", "", *table(ablation_rows(base, those, worlds, card)), ""]
    return "\n".join(lines)


def tables(world: World, card: dict[str, Any], figures: Iterable[str] = ()) -> list[str]:
    """Lines of Markdown: all numbers of a world, with `figures` before those of each attack."""
    lines = [*table(_summary(world, card)), ""]
    if beliefs := _beliefs(card):
        lines += [*table(beliefs), ""]
    for figure in figures:
        lines += [figure, ""]
    return [*lines, *table(_by_attack(world, card)), ""]


def html(worlds: list[World], card: dict[str, Any], pictures: Pictures) -> str:
    """The same as one file that needs nothing else."""
    items = [
        f'<li class="{verdict}">{escape(line.replace("**", ""))}</li>'
        for verdict, line in verdicts(card)
    ]
    parts = ["<h1>Report</h1>", f"<ul>{''.join(items)}</ul>", f"<p>{escape(HOW_TO_READ)}</p>"]
    whole, variants = whole_and_variants(worlds)
    for world in whole:
        own = card[world.name]
        parts += [f"<h2>{escape(world.name)}</h2>", _html_table(_summary(world, own))]
        if beliefs := _beliefs(own):
            parts.append(_html_table(beliefs))
        for name, svg in pictures[world.name].items():
            parts.append(f"<figure>{svg}<figcaption>{escape(CAPTIONS[name])}</figcaption></figure>")
        parts.append(_html_table(_by_attack(world, own)))
    for base, those in variants.items():
        rows = _html_table(ablation_rows(base, those, worlds, card))
        parts += [f"<h2>{escape(base)}, {VARIED}</h2>", rows]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Report</title><style>{_STYLE}</style>"
    )
    return (
        f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
    )


def _summary(world: World, card: dict[str, Any]) -> Rows:
    head = ["method", "seeds", "no attack", "worst case", "worst case, weakest agent"]
    head += ["unseen attacks", "regret to True Type", "P(EIR-MAPPO is better)"]
    head += ["attack still falling", "training still rising"]
    rows = [head]
    for method in world.methods:
        own = card["methods"][method]
        numbers = ["cooperation", "worst_case", "worst_case_lowest_agent", "unseen_mean"]
        plain = ["regret_to_true_type", "probability_that_eir_is_better", "attack_still_falling"]
        plain.append("training_still_rising")
        rows.append(
            [METHODS[method].title, str(own["seeds"]), *(said(own[key]) for key in numbers),
             *("" if own.get(key) is None else f"{own[key]:.3g}" for key in plain)]
        )  # fmt: skip
    return rows


def _by_attack(world: World, card: dict[str, Any]) -> Rows:
    rows = [["attack", *(METHODS[method].title for method in world.methods)]]
    for attack in world.attacks:
        rows.append([attack, *(said(card["methods"][m]["attacks"][attack]) for m in world.methods)])
    return rows


def _beliefs(card: dict[str, Any]) -> Rows:
    rows = [["belief of", "AUROC", "steps to detect", "Brier", "calibration error", "blamed"]]
    for method, own in card["methods"].items():
        if belief := own.get("belief"):
            plain = [f"{belief[key]}" for key in ("brier", "calibration_error", "blamed")]
            rows.append([METHODS[method].title, *found_out(belief), *plain])
    return rows if len(rows) > 1 else []


def table(rows: Rows) -> list[str]:
    """Lines of Markdown; the first row is the head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return [head, "|" + "---|" * len(rows[0]), *body]


def _html_table(rows: Rows) -> str:
    head, *body = rows
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body)
    below = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{top}</tr>{below}</table></div>'

"""Write what is known of the shipped team into the README, from the cells of `eir evaluate`.

    python docs/make_evidence.py

It stands between two marks; the rest of the README is left as it is.
"""

import sys
from pathlib import Path

from training.methods import METHODS
from training.records import write_whole
from training.report.pages import table
from training.report.scorecard import found_out, ranged, scorecard
from training.report.table import read_results
from training.report.targets import COOPERATIVE, ORACLE, OURS

ROOT = Path(__file__).resolve().parents[1]
README, CELLS = ROOT / "README.md", ROOT / "results" / "robustness"
BEGIN, END = "<!-- evidence: begin -->", "<!-- evidence: end -->"
WORLD = "coverage"
#: Attack of the matrix -> what a row of the table is called.
ATTACKS = {
    "fault-word=stop": "stopped robot",
    "fault-word=mute": "mute robot",
    "fault-word=reverse": "reversed robot",
    "random": "random robot",
    "late-switch": "traitor that works until half-time",
}


def evidence(cells: Path = CELLS) -> str:
    """The table, and what follows from it, in Markdown."""
    methods = scorecard([w for w in read_results(cells) if w.name == WORLD])[WORLD]["methods"]
    rows = [["return per episode", *(METHODS[method].title for method in methods)]]
    rows.append(["nobody broken", *(_said(own["cooperation"]) for own in methods.values())])
    for attack, title in ATTACKS.items():
        rows.append([title, *(_said(own["attacks"][attack]) for own in methods.values())])
    rows.append(["worst case", *(_said(own["worst_case"]) for own in methods.values())])
    rows.append(["training seeds", *(str(own["seeds"]) for own in methods.values())])
    ours, plain, oracle = (methods[method] for method in (OURS, COOPERATIVE, ORACLE))
    kept = ours["cooperation"][0] / plain["cooperation"][0]
    gain, gap = (best["worst_case"][0] - plain["worst_case"][0] for best in (ours, oracle))
    auroc, steps = found_out(ours["belief"])
    title, of_plain = METHODS[OURS].title, METHODS[COOPERATIVE].title
    return "\n".join(
        [
            *table(rows),
            "",
            f"- With nobody broken {title} keeps {kept:.1%} of {of_plain}'s return; in the worst "
            f"case it closes {gain / gap:.0%} of the gap between {of_plain} and "
            f"{METHODS[ORACLE].title}, which is told who is broken.",
            f"- AUROC of its belief after faults that start mid-episode: {auroc}.",
            f"- Decisions, of 0.2 s, until half of the others know: {steps}.",
        ]
    )


def _said(found: list[float] | None) -> str:
    return "-" if found is None else ranged(found, ".1f")


def written(text: str, made: str) -> str:
    """`text` with `made` between the marks."""
    if BEGIN not in text or END not in text:
        sys.exit(f"{README} has no lines {BEGIN} and {END} to write between")
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{made}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    write_whole(README, written(README.read_text(encoding="utf-8"), evidence()).encode())

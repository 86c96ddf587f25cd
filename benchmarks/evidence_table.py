"""The evidence as a table: reads `results/coverage`, writes it into the README.

    python -m benchmarks.evidence_table
    python -m benchmarks.evidence_table --scorecard eir-mappo-0 > card.json

The second prints what `eir export --scorecard card.json` keeps in a bundle.

Intervals are 95 % percentile bootstraps on two levels: training seeds are resampled, and within
each the held-out episodes. With few seeds the first level is coarse; the table says how many.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "coverage"
README = ROOT / "README.md"
BEGIN, END = "<!-- evidence: begin -->", "<!-- evidence: end -->"

CELLS = {
    "none": "no fault",
    "stop": "stopped robot",
    "random_action": "random robot",
    "mute": "mute robot",
    "worst": "worst case",
}
_RESAMPLES = 4000


def load(results: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Cells by method, seed and name."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for path in sorted(results.glob("*/*.json")):
        method, seed = path.parent.name.rsplit("-", 1)
        runs = found.setdefault(method, {})
        runs.setdefault(int(seed), {})[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return found


def interval(runs: list[list[float]]) -> tuple[float, float, float]:
    """Mean over runs and its 95 % interval; `runs` holds the episode returns of each seed."""
    rng = np.random.default_rng(0)
    values = [np.asarray(run) for run in runs]
    means = np.array([value.mean() for value in values])
    # the mean of resampled episodes is normal to high accuracy: 512 of them
    errors = np.array([value.std(ddof=1) / np.sqrt(len(value)) for value in values])
    chosen = rng.integers(len(values), size=(_RESAMPLES, len(values)))
    drawn = means[chosen] + errors[chosen] * rng.standard_normal(chosen.shape)
    low, high = np.percentile(drawn.mean(-1), [2.5, 97.5])
    return float(means.mean()), float(low), float(high)


def cell(runs: dict[int, dict[str, Any]], name: str) -> tuple[float, float, float] | None:
    """`interval` of one cell of a method, or None where no seed has it."""
    returns = [run[name]["returns"] for run in runs.values() if name in run]
    return interval(returns) if returns else None


def table(data: dict[str, dict[int, dict[str, Any]]]) -> str:
    """The evidence in Markdown."""
    methods = [method for method in METHODS if method in data]
    head = ["return per episode", *(METHODS[method].title for method in methods)]
    rows = [head, ["---"] * len(head)]
    for name, title in CELLS.items():
        cells = [cell(data[method], name) for method in methods]
        rows.append([title, *(_format(found) for found in cells)])
    rows.append(["training seeds", *(str(len(data[method])) for method in methods)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *_sentences(data)])


def _format(found: tuple[float, float, float] | None) -> str:
    return "-" if found is None else f"{found[0]:.1f} [{found[1]:.1f}, {found[2]:.1f}]"


def _sentences(data: dict[str, dict[int, dict[str, Any]]]) -> list[str]:
    """What follows from the table, with the figures."""

    def mean(method: str, name: str) -> float:
        found = cell(data.get(method, {}), name)
        return float("nan") if found is None else found[0]

    kept = mean("eir-mappo", "none") / mean("mappo", "none")
    gap = mean("true-type", "worst") - mean("mappo", "worst")
    closed = (mean("eir-mappo", "worst") - mean("mappo", "worst")) / gap
    lines = [
        f"- Without faults EIR-MAPPO keeps {kept:.1%} of MAPPO's return; in the worst case it "
        f"closes {closed:.0%} of the gap between MAPPO and True Type.",
    ]
    eir = data.get("eir-mappo", {})
    clamped = [run["clamped"]["worst"]["returns"] for run in eir.values() if "clamped" in run]
    if clamped:
        lines.append(
            f"- With its beliefs clamped to trust, EIR-MAPPO's worst case falls from "
            f"{mean('eir-mappo', 'worst'):.1f} to {interval(clamped)[0]:.1f}."
        )
    return lines + _belief_lines([run["belief"] for run in eir.values() if "belief" in run])


def _belief_lines(beliefs: list[dict[str, Any]]) -> list[str]:
    if not beliefs:
        return []
    words = {"stop": "stopped", "adversary": "adversary", "mute": "mute", "random_action": "random"}
    parts = []
    for kind, title in words.items():
        by_time = [belief["auroc_after_onset"][kind] for belief in beliefs]
        parts.append(
            f"{title} "
            + " / ".join(f"{_mean(t[s] for t in by_time):.3f}" for s in ("1s", "3s", "5s"))
        )
    blamed = _mean(belief["blamed_share"] for belief in beliefs)
    return [
        "- AUROC of the belief 1 / 3 / 5 s after a fault that starts mid-episode: "
        + "; ".join(parts)
        + ".",
        f"- At the calibrated threshold {blamed:.1%} of healthy robot-episodes are ever blamed.",
    ]


def _mean(values: Any) -> float:
    numbers: NDArray[np.float64] = np.array(list(values), np.float64)
    return float(numbers.mean())


def scorecard(run: dict[str, Any]) -> dict[str, Any]:
    """The results of one run, as its bundle carries them."""
    keys = ("mean", "standard_error", "attack", "robot")
    returns = {name: {k: run[name][k] for k in keys if k in run[name]} for name in CELLS}
    belief = {k: run["belief"][k] for k in ("auroc_after_onset", "threshold", "blamed_share")}
    made = {k: run["worst"][k] for k in ("commit", "machine", "made_from")}
    return {"return_per_episode": returns, "belief": belief, "made": made}


def main() -> None:
    """Rewrite the part of the README between the evidence markers, or print a scorecard."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence_table")
    parser.add_argument("--scorecard", metavar="RUN", help="for example eir-mappo-0")
    wanted = parser.parse_args().scorecard
    data = load(RESULTS)
    if wanted:
        method, seed = wanted.rsplit("-", 1)
        print(json.dumps(scorecard(data[method][int(seed)]), indent=1))
        return
    text = README.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        sys.exit(f"{README} has no lines {BEGIN} and {END} to write between")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    made = table(data)
    README.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")
    print(made)


if __name__ == "__main__":
    main()

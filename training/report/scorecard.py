"""What a matrix says about each method, as plain numbers and as sentences about the targets."""

from typing import Any

from training.methods import METHODS
from training.report.statistics import estimate, probability_of_improvement
from training.report.table import BELIEF, TOGETHER, TRAINING, WORST, World

#: Our method, the oracle that is no baseline, and what cooperation is held against.
OURS, ORACLE, COOPERATIVE = "eir-mappo", "true-type", "mappo"
#: Seeds that a claim about intervals needs behind each side.
FEWEST_SEEDS = 3
#: Share of MAPPO's cooperation that our method shall keep.
KEEPS = 0.97
#: How far, by the paper, our method's mean over unseen attacks is above the best baseline's.
PAPER_GAIN = {"toy": 0.0581, "lbf": 0.0588, "smac": 0.2545}


def scorecard(worlds: list[World]) -> dict[str, Any]:
    """All numbers of a report: per world and method, and which targets are met.

    Returns
    -------
    dict
        `{world: {"methods": {method: {...}}, "targets": [{"what", "met", "found"}]}}`; estimates
        are `[interquartile mean, low, high, number of scores]`.
    """
    return {world.name: {"methods": _methods(world), "targets": targets(world)} for world in worlds}


def _methods(world: World) -> dict[str, Any]:
    oracle = world.scores(WORST, ORACLE)
    found = {}
    for method in world.methods:
        worst = world.scores(WORST, method)
        entry: dict[str, Any] = {
            "seeds": len(world.of(TOGETHER, method)),
            "cooperation": _rounded(world.scores(TOGETHER, method)),
            "worst_case": _rounded(worst),
            "worst_case_lowest_agent": _rounded(world.lowest(method)),
            "unseen_mean": _rounded(world.unseen(method)),
            "attacks": {a: _rounded(world.scores(a, method)) for a in world.attacks},
        }
        if oracle and worst:
            entry["regret_to_true_type"] = round(estimate(oracle).value - estimate(worst).value, 4)
        if method != OURS and worst and world.scores(WORST, OURS):
            entry["probability_that_eir_is_better"] = round(
                probability_of_improvement(world.scores(WORST, OURS), worst), 4
            )
        beliefs = list(world.of(BELIEF, method).values())
        if beliefs:
            entry["belief"] = _beliefs(beliefs)
        still = [
            v for cell in world.of(WORST, method).values() for v in cell["still_falling"].values()
        ]
        if still:
            entry["attack_still_falling"] = max(still)
        curves = [cell["still_rising"] for cell in world.of(TRAINING, method).values()]
        if (rising := _mean(curves)) is not None:
            entry["training_still_rising"] = rising
        found[method] = entry
    return found


def _beliefs(cells: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = {word for cell in cells for word in cell["kinds"]}
    return {
        "auroc": {w: _mean([c["kinds"][w]["auroc"] for c in cells]) for w in sorted(kinds)},
        "steps_to_detect": {
            w: _mean([c["kinds"][w]["steps_to_detect"] for c in cells]) for w in sorted(kinds)
        },
        "brier": _mean([c["brier"] for c in cells]),
        "calibration_error": _mean([c["calibration_error"] for c in cells]),
        "blamed": _mean([c["blamed"] for c in cells]),
    }


def targets(world: World) -> list[dict[str, Any]]:
    """Each target that this world can answer: what, whether it is met, and what was found."""
    found = []
    baselines = [m for m in world.methods if m not in (OURS, ORACLE)]
    ours = world.scores(WORST, OURS)
    if ours and baselines:
        rivals = {m: estimate(world.scores(WORST, m)) for m in baselines if world.scores(WORST, m)}
        if rivals:
            best = max(rivals, key=lambda m: rivals[m].value)
            mine = estimate(ours)
            apart = mine.value > rivals[best].value and mine.apart_from(rivals[best])
            seeds = min(len(world.of(WORST, method)) for method in (OURS, best))
            counted = f"{seeds} seed{'s' if seeds > 1 else ''}"
            few = f", of {counted}, too few to tell" if seeds < FEWEST_SEEDS else ""
            found.append(
                _target(
                    "worst case above every baseline, 95 % intervals apart", apart and not few,
                    f"{mine} against {rivals[best]} of {METHODS[best].title}{few}",
                )
            )  # fmt: skip
    together, theirs = world.scores(TOGETHER, OURS), world.scores(TOGETHER, COOPERATIVE)
    if together and theirs:
        a, b = estimate(together).value, estimate(theirs).value
        # returns below 0 (particles): what is kept is measured on the size of the loss
        kept = a / b if b > 0 else 2 - a / b
        found.append(_target("cooperation at least 97 % of MAPPO's", kept >= KEEPS, f"{kept:.1%}"))
    if world.unseen(OURS) and baselines:
        means = {m: estimate(world.unseen(m)).value for m in baselines if world.unseen(m)}
        gain = PAPER_GAIN.get(world.name.partition("-")[0])
        if means and gain is not None:
            rival = max(means, key=lambda m: means[m])
            above = (estimate(world.unseen(OURS)).value - means[rival]) / abs(means[rival])
            found.append(
                _target(
                    f"mean over unseen attacks at least {gain:.2%} above the best baseline",
                    above >= gain, f"{above:+.1%} against {METHODS[rival].title}",
                )
            )  # fmt: skip
    return found


def by_verdict(found: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """`missed` or `met`, and the target, of each of `targets`: the missed ones first."""
    ordered = sorted(found, key=lambda target: bool(target["met"]))
    return [("met" if target["met"] else "missed", target) for target in ordered]


def said(numbers: list[float] | None) -> str:
    """An estimate of the scorecard as text: value [low, high] (scores)."""
    if numbers is None:
        return ""
    value, low, high, count = numbers
    return f"{value:.4g} [{low:.4g}, {high:.4g}] ({count:g})"


def found_out(belief: dict[str, Any]) -> tuple[str, str]:
    """AUROC and steps to detect of the beliefs in a scorecard as text, kind by kind."""
    auroc = ", ".join(f"{word} {value}" for word, value in belief["auroc"].items())
    steps = ", ".join(
        f"{word} {'never' if value is None else format(value, 'g')}"
        for word, value in belief["steps_to_detect"].items()
    )
    return auroc, steps


def _target(what: str, met: bool, found: str) -> dict[str, Any]:
    return {"what": what, "met": bool(met), "found": found}


def _rounded(scores: list[float]) -> list[float] | None:
    if not scores:
        return None
    one = estimate(scores)
    return [round(one.value, 4), round(one.low, 4), round(one.high, 4), one.count]


def _mean(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return round(sum(there) / len(there), 4) if there else None

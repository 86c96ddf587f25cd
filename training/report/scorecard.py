"""What a matrix says about each method and target, as plain numbers."""

from dataclasses import asdict
from typing import Any

from training.matrix import BELIEF, TOGETHER, TRAINING, WORST
from training.report.statistics import estimate, probability_of_improvement
from training.report.table import World
from training.report.targets import FEWEST_SEEDS, ORACLE, OURS, targets


def scorecard(worlds: list[World]) -> dict[str, Any]:
    """All numbers of a report: per world and method, and which targets are met.

    Returns
    -------
    dict
        `{world: {"methods": {method: {...}}, "targets": [...]}}`; a target has the fields of
        `training.report.targets.Target`, an estimate is `[interquartile mean, low, high, number
        of scores]`.
    """
    return {
        world.name: {
            "methods": _methods(world),
            "targets": [asdict(target) for target in targets(world)],
        }
        for world in worlds
    }


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
        ours = world.scores(WORST, OURS)
        # of one pair it would be 0 or 1
        if method != OURS and min(len(ours), len(worst)) >= FEWEST_SEEDS:
            entry["probability_that_eir_is_better"] = round(
                probability_of_improvement(ours, worst), 4
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
            w: _delay([c["kinds"][w]["steps_to_detect"] for c in cells]) for w in sorted(kinds)
        },
        "brier": _mean([c["brier"] for c in cells]),
        "calibration_error": _mean([c["calibration_error"] for c in cells]),
        "blamed": _mean([c["blamed"] for c in cells]),
    }


def said(numbers: list[float] | None) -> str:
    """An estimate of the scorecard as text: value [low, high] (scores); one has no interval."""
    if numbers is None:
        return ""
    return f"{ranged(numbers, '.4g')} ({numbers[-1]:g})"


def ranged(numbers: list[float], form: str) -> str:
    """`said` without the number of scores, each number in `form`."""
    value, low, high, count = numbers
    return f"{value:{form}}" if count < 2 else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def found_out(belief: dict[str, Any]) -> tuple[str, str]:
    """AUROC and steps to detect of the beliefs in a scorecard as text, kind by kind."""
    auroc = ", ".join(
        f"{word} {'unknown' if value is None else format(value, '.3f')}"
        for word, value in belief["auroc"].items()
    )
    steps = ", ".join(
        f"{word} {'not in every seed' if value is None else format(value, '.1f')}"
        for word, value in belief["steps_to_detect"].items()
    )
    return auroc, steps


def _rounded(scores: list[float]) -> list[float] | None:
    if not scores:
        return None
    one = estimate(scores)
    return [round(one.value, 4), round(one.low, 4), round(one.high, 4), one.count]


def _delay(medians: list[float | None]) -> float | None:
    """Mean over seeds; None where half of the observers of any seed never find out.

    A mean of the other seeds alone would be shorter the more often a belief fails.
    """
    return None if None in medians else _mean(medians)


def _mean(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return round(sum(there) / len(there), 4) if there else None

"""The scorecard of one team, from the cells of its matrix: what its bundle carries, signed."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from eir_ros.contract.errors import EirError
from training.matrix import BELIEF, EVERYBODYS, TOGETHER, WORST
from training.report.table import weakest_agent


def team_card(cells: Path, made_from: str) -> dict[str, Any]:
    """Returns per episode and beliefs of the team whose cells lie in the folder `cells`.

    Parameters
    ----------
    made_from
        Digest of the team's checkpoint (`training.provenance.digest`).

    Returns
    -------
    dict
        `return_per_episode`: mean and standard error by kind of fault, as
        `eir bundle verify --scorecard` plays them again, and the `worst` case; other attacks in
        `attacks`; `belief`; `made`: where the numbers come from.

    Raises
    ------
    EirError
        The cells are missing, of another team, or of one that sampled its actions: robots do not.
    """
    found = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in cells.glob("*.json")
    }
    if not {TOGETHER, WORST} <= found.keys():
        raise EirError(
            f"{cells} has no cells '{TOGETHER}' and '{WORST}'; expected the folder of one team in "
            "the results of `eir evaluate`: WORLD/METHOD-SEED."
        )
    together = found[TOGETHER]
    if together["made_from"] != made_from:
        raise EirError(
            f"the cells in {cells} were made from another checkpoint than the one that is "
            f"exported; make them again: {together['command']}."
        )
    if together["sampled"]:
        raise EirError(
            f"the team of {cells} was judged while it sampled its actions, and robots take the "
            "likeliest; judge it with `sampled: false` in its matrix."
        )
    returns: dict[str, dict[str, Any]] = {"none": _mean(together)}
    attacks: dict[str, dict[str, Any]] = {}
    for name, cell in sorted(found.items()):
        if name in EVERYBODYS:
            continue
        word = _fault(cell)
        (returns if word else attacks)[word or name] = _mean(cell)
    robot = weakest_agent(found[WORST])
    worst = found[WORST]["agents"][robot]
    returns["worst"] = {
        "mean": worst["mean"],
        "standard_error": worst["standard_error"],
        "attack": worst["by"],
        "robot": int(robot),
    }
    card: dict[str, Any] = {"return_per_episode": returns, "attacks": attacks}
    if belief := found.get(BELIEF):
        told = ("kinds", "brier", "calibration_error", "blamed")
        card["belief"] = {key: belief[key] for key in told}
    made = ("command", "episodes", "commit", "machine", "made_from")
    return {**card, "made": {key: together[key] for key in made}}


def _fault(cell: dict[str, Any]) -> str | None:
    """The fault that can be played without an adversary, from the start; None: it is not one."""
    if cell["attack"] == "random":
        return "random_action"
    if cell["attack"] == "fault" and cell["settings"].keys() == {"word"}:
        word: str = cell["settings"]["word"]
        return word
    return None


def _mean(cell: dict[str, Any]) -> dict[str, float]:
    """Over the attacked agents, each with as many episodes."""
    agents = cell["agents"].values()
    errors = np.array([agent["standard_error"] for agent in agents])
    mean = float(np.mean([agent["mean"] for agent in agents]))
    error = float(np.sqrt((errors**2).sum()) / len(errors))
    return {"mean": round(mean, 3), "standard_error": round(error, 3)}

"""The cells of a matrix as a table of scores."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eir_ros.contract.errors import EirError
from training.matrix import EVERYBODYS, TRAINING, WORST
from training.methods import METHODS
from training.report.statistics import Estimate, estimate

#: Li et al. 2024, section 5: a random agent, targeted PGD at three radii, and a transfer from each
#: of the seven other methods.
_UNSEEN = ("random", "pgd", "transfer")
UNSEEN_COUNT = 11


@dataclass
class World:
    """All cells of one world.

    Attributes
    ----------
    cells
        By attack, method and seed, as written by `training.cells`.
    """

    name: str
    cells: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)

    @property
    def variant_of(self) -> str | None:
        """The world that this one is a variant of, for an ablation."""
        found: str | None = next(iter(self.cells.values())).get("variant_of")
        return found

    @property
    def methods(self) -> list[str]:
        """Those that were judged, in the order of `METHODS`."""
        there = {method for _, method, _ in self.cells}
        return [method for method in METHODS if method in there]

    @property
    def attacks(self) -> list[str]:
        """All attacks of the list, in alphabetical order; those of transfer last."""
        there = {attack for attack, _, _ in self.cells} - EVERYBODYS
        return sorted(there, key=lambda attack: (attack.startswith("transfer-"), attack))

    def of(self, attack: str, method: str) -> dict[int, dict[str, Any]]:
        """Cells of one attack on one method, by seed."""
        found = {s: c for (a, m, s), c in self.cells.items() if (a, m) == (attack, method)}
        return dict(sorted(found.items()))

    def scores(self, attack: str, method: str) -> list[float]:
        """Mean return of every seed, over the attacked agents: those of a team are no seeds."""
        return [_over_agents(cell) for cell in self.of(attack, method).values()]

    def lowest(self, method: str) -> list[float]:
        """The worst case of the weakest agent, per seed."""
        cells = self.of(WORST, method).values()
        return [float(cell["agents"][weakest_agent(cell)]["mean"]) for cell in cells]

    @property
    def tells_worst(self) -> bool:
        """Whether the worst case of any team is known."""
        return any(what == WORST for what, _, _ in self.cells)

    @property
    def tells_training(self) -> bool:
        """Whether a cell says what a team was worth while it was trained."""
        told = (cell for (what, _, _), cell in self.cells.items() if what == TRAINING)
        return any(cell["healthy"] for cell in told)

    def unseen_attacks(self, method: str) -> list[str]:
        """Those attacks that are among the eleven unseen ones of the paper.

        The adversary that was trained against a team itself is not: that is nearly its worst case.
        """
        own = f"transfer-{method}"
        kinds = [(attack, attack.partition("-")[0]) for attack in self.attacks if attack != own]
        return [a for a, kind in kinds if kind in _UNSEEN and "clean_belief" not in a]

    def unseen(self, method: str) -> list[float]:
        """Mean over the paper's unseen attacks of every seed that has them all."""
        attacks, rows = self.unseen_attacks(method), dict[int, list[float]]()
        for attack in attacks:
            for seed, cell in self.of(attack, method).items():
                rows.setdefault(seed, []).append(_over_agents(cell))
        whole = [row for row in rows.values() if len(row) == len(attacks)]
        return [sum(row) / len(row) for row in whole]

    def estimate(self, attack: str, method: str) -> Estimate | None:
        """Of `scores`; None where there are none."""
        scores = self.scores(attack, method)
        return estimate(scores) if scores else None


def weakest_agent(worst: dict[str, Any]) -> str:
    """The agent whose worst case was lowest on the episodes of refining.

    On those that are reported, the lowest would be lower than it is worth.
    """
    tried = worst["tried"]
    return min(tried, key=lambda agent: min(tried[agent]["refined"].values()))


def _over_agents(cell: dict[str, Any]) -> float:
    means = [float(agent["mean"]) for agent in cell["agents"].values()]
    return sum(means) / len(means)


def read_results(folder: Path) -> list[World]:
    """Every world of which there are cells in `folder`.

    Raises
    ------
    EirError
        There are none, or a file is not a cell.
    """
    worlds: dict[str, World] = {}
    for path, cell in _cells(folder):
        world = worlds.setdefault(cell["world"], World(cell["world"]))
        world.cells[path.stem, cell["method"], cell["seed"]] = cell
    if not worlds:
        raise EirError(
            f"{folder} holds no cells of `eir evaluate` (WORLD/METHOD-SEED/ATTACK.json) and no "
            "recording."
        )
    return list(worlds.values())


def _cells(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.glob("*/*-[0-9]*/*.json")):
        try:
            cell = json.loads(path.read_text(encoding="utf-8"))
            if not {"world", "method", "seed", "made_from"} <= cell.keys():
                raise ValueError("keys are missing")
        except (ValueError, AttributeError) as error:
            raise EirError(
                f"{path} is not a cell of `eir evaluate` ({error}); delete it, and run that again."
            ) from error
        yield path, cell

"""Ablations: worlds that differ from another in a few settings, as rows of one table."""

from collections.abc import Iterable
from typing import Any

from training.methods import METHODS
from training.report.scorecard import found_out, said
from training.report.table import World


def whole_and_variants(worlds: Iterable[World]) -> tuple[list[World], dict[str, list[World]]]:
    """Worlds to tell of by themselves, and the variants of each by its name.

    Variants are rows of a table of ablations even where there are no cells of what they vary.
    """
    whole, variants = [], dict[str, list[World]]()
    for world in worlds:
        if world.variant_of is None:
            whole.append(world)
        else:
            variants.setdefault(world.variant_of, []).append(world)
    return whole, variants


def ablation_rows(
    base: str, variants: list[World], worlds: Iterable[World], card: dict[str, Any]
) -> list[list[str]]:
    """A head, then a row for each variant and method: what was changed, and what it is worth.

    The same methods in `base` come first, where there are cells of that among `worlds`.
    """
    methods = {method for world in variants for method in world.methods}
    unchanged = [world for world in worlds if world.name == base]
    head = ["variant", "what was set", "method", "seeds", "no attack", "worst case"]
    rows = [[*head, "unseen attacks", "AUROC", "steps to detect", "blamed"]]
    for world in [*unchanged, *variants]:
        for method, own in card[world.name]["methods"].items():
            if method not in methods:
                continue
            numbers = [own[key] for key in ("cooperation", "worst_case", "unseen_mean")]
            name = world.name.removeprefix(f"{base}-")
            row = [name, _changes(world, method), METHODS[method].title]
            row += [str(own["seeds"]), *map(said, numbers), *_belief(own.get("belief"))]
            rows.append(row)
    return rows


def _changes(world: World, method: str) -> str:
    found = next(cell for (_, m, _), cell in world.cells.items() if m == method).get("set", {})
    return ", ".join(f"`{key}={value}`" for key, value in found.items()) or "nothing"


def _belief(found: dict[str, Any] | None) -> list[str]:
    return [*found_out(found), f"{found['blamed']:.3g}"] if found else ["", "", ""]

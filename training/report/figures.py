"""The figures of a report as SVG, each drawn from the same table that stands beside it.

Colours are Okabe and Ito's, and every method has a mark of its own, so nothing is said by colour
alone.
"""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.matrix import TOGETHER, TRAINING, WORST
from training.methods import METHODS
from training.plot import FEW_POINTS
from training.report.statistics import Estimate, estimate
from training.report.table import World

#: Colour and mark of each method.
LOOKS = dict(
    zip(
        METHODS,
        [
            ("#000000", "s"), ("#e69f00", "^"), ("#cc79a7", "v"), ("#56b4e9", "D"),
            ("#f0e442", "P"), ("#009e73", "X"), ("#d55e00", "o"), ("#0072b2", "*"),
        ],
        strict=True,
    )
)  # fmt: skip

#: Outlines in an SVG, and numbers in them up to their hundredths.
_PATH, _DECIMALS = re.compile(r' d="[^"]*"'), re.compile(r"(\d\.\d\d)\d+")


def title_of(method: str) -> str:
    """How tables call a method."""
    return METHODS[method].title


def cooperation_against_worst(world: World) -> str:
    """One point per method: its return by itself against the least that an attack leaves of it."""

    def draw(axes: Axes) -> None:
        for method in world.methods:
            together, worst = world.scores(TOGETHER, method), world.lowest(method)
            if not together or not worst:
                continue
            across, up = estimate(together), estimate(worst)
            colour, mark = LOOKS[method]
            axes.errorbar(
                across.value, up.value, [[up.value - up.low], [up.high - up.value]],
                [[across.value - across.low], [across.high - across.value]],
                color=colour, marker=mark, markersize=9, markeredgecolor="black", capsize=3,
                label=title_of(method),
            )  # fmt: skip
        axes.set_xlabel("return without attack")
        axes.set_ylabel("return in the worst case, weakest agent")
        axes.legend(fontsize=8)

    return _svg(draw, 6.4, 4.2)


def bars(world: World) -> str:
    """Interquartile mean and 95 % interval of every method under every attack."""
    attacks = [TOGETHER, *world.attacks, WORST]

    def draw(axes: Axes) -> None:
        width = 0.8 / max(1, len(world.methods))
        for k, method in enumerate(world.methods):
            found = [world.estimate(attack, method) for attack in attacks]
            for place, one in enumerate(found):
                if one is not None:
                    _bar(axes, place - 0.4 + (k + 0.5) * width, width, one, method)
            axes.bar([0], [0], color=LOOKS[method][0], label=title_of(method))
        axes.set_xticks(range(len(attacks)), attacks, rotation=35, ha="right", fontsize=8)
        axes.set_ylabel("return")
        axes.axhline(0.0, color="black", linewidth=0.6)
        axes.legend(fontsize=7, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    return _svg(draw, max(7.0, 0.75 * len(attacks)), 4.4)


def _bar(axes: Axes, place: float, width: float, one: Estimate, method: str) -> None:
    axes.bar(place, one.value, width, color=LOOKS[method][0], edgecolor="black", linewidth=0.3)
    axes.errorbar(
        place, one.value, [[one.value - one.low], [one.high - one.value]],
        color="black", linewidth=0.8, capsize=1.5,
    )  # fmt: skip


def against_epsilon(world: World) -> str | None:
    """Return against the radius of targeted PGD; None where it was not played at two or more."""
    radii = sorted(
        {
            (float(cell["settings"].get("epsilon", 0.5)), attack)
            for (attack, _, _), cell in world.cells.items()
            if cell.get("attack") == "pgd" and not cell["settings"].get("clean_belief")
        }
    )
    if len(radii) < 2:
        return None

    def draw(axes: Axes) -> None:
        for method in world.methods:
            colour, mark = LOOKS[method]
            names = [(0.0, TOGETHER), *radii]
            found = [(r, world.estimate(name, method)) for r, name in names]
            there = [(r, one) for r, one in found if one is not None]
            at = [r for r, _ in there]
            axes.plot(
                at, [one.value for _, one in there], color=colour, marker=mark,
                markeredgecolor="black", label=title_of(method),
            )  # fmt: skip
            low, high = [one.low for _, one in there], [one.high for _, one in there]
            axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlabel("radius of targeted PGD on one agent's observation")
        axes.set_ylabel("return")
        axes.legend(fontsize=8)

    return _svg(draw, 6.4, 4.0)


def transfer(world: World) -> str | None:
    """Method x method: the return of each victim under the adversary trained against each other."""
    sources = [a.removeprefix("transfer-") for a in world.attacks if a.startswith("transfer-")]
    sources = [method for method in METHODS if method in sources]
    if not sources:
        return None
    table = np.full((len(world.methods), len(sources)), np.nan)
    for i, victim in enumerate(world.methods):
        for j, source in enumerate(sources):
            found = world.estimate(f"transfer-{source}", victim)
            table[i, j] = np.nan if found is None else found.value

    def draw(axes: Axes) -> None:
        axes.imshow(table, cmap="cividis", aspect="auto")
        middle = np.nanmean([np.nanmin(table), np.nanmax(table)])
        for (i, j), value in np.ndenumerate(table):
            if np.isfinite(value):
                ink = "white" if value < middle else "black"
                axes.text(j, i, f"{value:.3g}", ha="center", va="center", color=ink, fontsize=8)
        names = [title_of(method) for method in sources]
        axes.set_xticks(range(len(sources)), names, rotation=35, ha="right", fontsize=8)
        victims = [title_of(method) for method in world.methods]
        axes.set_yticks(range(len(victims)), victims, fontsize=8)
        axes.set_xlabel("adversary trained against")
        axes.set_ylabel("victim")

    return _svg(draw, 6.8, 0.9 + 0.45 * len(world.methods) + 0.8)


def learning_curves(world: World) -> str:
    """Return of the victims while adversaries learned, one line per seed and start."""

    def draw(axes: Axes) -> None:
        for method in world.methods:
            colour, _ = LOOKS[method]
            label: str | None = title_of(method)
            for cell in world.of(WORST, method).values():
                for start, curve in cell["curves"].items():
                    style = "-" if start.endswith("fresh") else ":"
                    mark = _mark(method, curve)
                    axes.plot(curve, style, color=colour, linewidth=1.0, label=label, **mark)
                    label = None
        axes.set_xlabel("updates of the adversary (solid: fresh, dotted: warm)")
        axes.set_ylabel("return of the frozen team")
        if axes.has_data():  # a world may have been judged by scripted attacks alone
            axes.legend(fontsize=8)

    return _svg(draw, 6.8, 4.0)


def training_curves(world: World) -> str:
    """Held-out return of every method while it was trained, the mean over seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for method in world.methods:
        cells = [cell for cell in world.of(TRAINING, method).values() if cell["healthy"]]
        # what a seed was measured at: runs of one recipe share it
        found[method] = [cell for cell in cells if cell["steps"] == cells[0]["steps"]]

    def draw(axes: Axes) -> None:
        for method, cells in found.items():
            colour, _ = LOOKS[method]
            for what, style in (("healthy", "-"), ("attacked", ":")):
                curves = [cell[what] for cell in cells if len(cell[what]) == len(cell["steps"])]
                if curves:
                    label = title_of(method) if what == "healthy" else None
                    mean, mark = np.mean(curves, axis=0), _mark(method, cells[0]["steps"])
                    if what == "attacked":
                        mark["markerfacecolor"] = "none"
                    axes.plot(
                        cells[0]["steps"], mean, style, color=colour, lw=1.2, label=label, **mark
                    )
        few = any(_mark(m, cells[0]["steps"]) for m, cells in found.items() if cells)
        styles = ("solid, filled", "dotted, hollow") if few else ("solid", "dotted")
        axes.set_xlabel(
            f"environment steps of training ({styles[0]}: no attack, {styles[1]}: attacked)"
        )
        axes.set_ylabel("held-out return")
        axes.legend(fontsize=8)

    return _svg(draw, 6.8, 4.0)


def _mark(method: str, points: Sequence[Any]) -> dict[str, Any]:
    """Marks for a curve of so few points that no line would be seen; else none."""
    return {"marker": LOOKS[method][1]} if len(points) <= FEW_POINTS else {}


def _svg(draw: Callable[[Axes], Any], width: float, height: float) -> str:
    """A figure as SVG text that is the same for the same data."""
    with mpl.rc_context({"svg.hashsalt": "eir", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure((width, height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    found = text.getvalue()
    # a hundredth of a point is finer than any screen, and half of the size
    return _PATH.sub(_shortened, found[found.index("<svg") :])


def _shortened(path: re.Match[str]) -> str:
    return _DECIMALS.sub(r"\1", path[0])

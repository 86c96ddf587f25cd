"""Learning curves: the mean over seeds of each method, with its 95 % confidence band."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from training.recipe import Recipe, read_recipe
from training.records import METRICS, RECIPE, Row, read_metrics
from training.summary import find_runs

FORMATS = (".svg", ".png")
#: Colours that people who confuse red and green tell apart (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_CONFIDENCE = 0.95
#: Points up to which a curve gets marks: of one alone there is no line to be seen.
FEW_POINTS = 2

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """A run that is read for plotting."""

    folder: Path
    recipe: Recipe
    rows: list[Row]

    def curve(self, metric: str) -> tuple[Floats, Floats]:
        """Environment steps, and the metric there, (n,) each."""
        steps = self.recipe.batch * self.recipe.steps
        points = [(row["iteration"] * steps, row[metric]) for row in self.rows if metric in row]
        x, y = np.array(points).reshape(-1, 2).T
        return x, y


@dataclass(frozen=True)
class Band:
    """Mean over seeds and its confidence interval, all (n,); one seed has no interval."""

    x: Floats
    mean: Floats
    low: Floats
    high: Floats
    seeds: int


def read_tracks(places: Iterable[Path]) -> list[Track]:
    """The runs in `places`: folders of runs, or folders that hold some.

    Raises
    ------
    EirError
        A place holds no runs, or a run that cannot be read.
    """
    found: dict[Path, Track] = {}
    for place in places:
        folders = list(find_runs(place))
        if not folders:
            raise EirError(f"there are no runs in {place}; expected a folder of `eir train`.")
        for folder in folders:
            rows = read_metrics(folder / METRICS)
            if not rows:
                raise EirError(f"{folder} has no metrics yet; leave it out until it has.")
            found[folder.resolve()] = Track(folder, read_recipe(folder / RECIPE), rows)
    return list(found.values())


def default_metrics(tracks: Sequence[Track]) -> list[str]:
    """Returns without faults and under attack: of held-out seeds, if all runs have them.

    Under the attacks that all of them met: a team that trained without an adversary was attacked
    at random only, and would look better than one that was attacked by its own.
    """
    modes = {track.recipe.evaluation.mode for track in tracks}
    mode = f"evaluation/{modes.pop() if len(modes) == 1 else 'sampled'}/"
    common = set.intersection(*map(_known, tracks))
    if mode + "healthy" in common:
        met = mode + FaultKind.ADVERSARY.word in common
        return [mode + "healthy", mode + ("attacked" if met else FaultKind.RANDOM_ACTION.word)]
    found: list[str] = [name for name in ("return/healthy", "return/attacked") if name in common]
    if not found:
        raise EirError(f"these runs share no returns; choose with --metric among {_names(tracks)}.")
    return found


def groups_of(tracks: Sequence[Track]) -> dict[str, list[Track]]:
    """Runs that differ in their seed only, by what tells them from the others.

    Raises
    ------
    EirError
        Two runs of one group have the same seed: they are one run, twice.
    """
    alike: dict[str, list[Track]] = {}
    for track in tracks:
        key = track.recipe.model_copy(update={"seed": 0}).model_dump_json()
        alike.setdefault(key, []).append(track)
    labels = _labels([group[0].recipe for group in alike.values()])
    found = dict(zip(labels, alike.values(), strict=True))
    for label, group in found.items():
        seeds = [track.recipe.seed for track in group]
        twice = next((track for track in group if seeds.count(track.recipe.seed) > 1), None)
        if twice is not None:
            raise EirError(
                f"{twice.folder} and another run of {label} both have seed {twice.recipe.seed}: "
                "they would count twice. Leave one of them out."
            )
    return found


def _labels(recipes: Sequence[Recipe]) -> list[str]:
    """The method of each, and what else tells it from the others of this method."""
    several = len({recipe.name for recipe in recipes}) > 1
    found = []
    for recipe in recipes:
        label = f"{recipe.name} {recipe.method}" if several else str(recipe.method)
        rivals = [
            other for other in recipes
            if (other.name, other.method) == (recipe.name, recipe.method) and other is not recipe
        ]  # fmt: skip
        if rivals:
            own = [d for d in rivals[0].differences(recipe) if not d.startswith("seed ")]
            label += " (" + "; ".join(_shown(d) for d in own) + ")"
        found.append(label)
    return found


def _shown(difference: str) -> str:
    """`policy.clip is 0.1 there, 0.2 here` as `policy.clip 0.2`."""
    key, _, values = difference.partition(" is ")
    return f"{key} {values.rpartition(' there, ')[2].removesuffix(' here')}"


def band(curves: Sequence[tuple[Floats, Floats]]) -> Band:
    """Mean and Student's 95 % interval over seeds, where all of them have been.

    Seeds that were measured at other steps are interpolated linearly between theirs.
    """
    first = max(x[0] for x, _ in curves)
    last = min(x[-1] for x, _ in curves)
    x = np.unique(np.concatenate([x for x, _ in curves]))
    x = x[(x >= first) & (x <= last)]
    values = np.stack([np.interp(x, *curve) for curve in curves])
    mean, n = values.mean(0), len(values)
    if n < 2:
        return Band(x, mean, mean, mean, n)
    half = stats.t.ppf(0.5 + _CONFIDENCE / 2, n - 1) * values.std(0, ddof=1) / np.sqrt(n)
    return Band(x, mean, mean - half, mean + half, n)


def smoothed(values: Floats, width: int) -> Floats:
    """Mean of the last `width` points at each point, fewer at the beginning."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - width, 0)
    return (total[end] - total[start]) / (end - start)


def draw(tracks: Sequence[Track], metrics: Sequence[str], smooth: int = 1) -> Figure:
    """One panel for each metric, one curve with its band for each group of runs."""
    groups = groups_of(tracks)
    figure = Figure(figsize=(1.2 + 4.2 * len(metrics), 3.6), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        _panel(axes, groups, metric, smooth)
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", frameon=False,
        ncols=min(len(handles), max(1, 5 * len(metrics) // 2)), fontsize="small",
        title=_caption(groups), title_fontsize="small",
    )  # fmt: skip
    return figure


def _caption(groups: dict[str, list[Track]]) -> str:
    """What a curve is: one of a single seed is no mean, and has no band."""
    seeds = [len(group) for group in groups.values()]
    if max(seeds) == 1:
        return "one seed each"
    single = ", where there are two seeds or more" if min(seeds) == 1 else ""
    return f"mean over seeds, with its 95 % band{single}"


def _panel(axes: Axes, groups: dict[str, list[Track]], metric: str, smooth: int) -> None:
    seeds_y: list[Floats] = []
    bands: list[Band] = []
    for number, (label, group) in enumerate(groups.items()):
        curves = [track.curve(metric) for track in group]
        curves = [(x, smoothed(y, smooth)) for x, y in curves if len(x)]
        if not curves:
            continue
        seeds_y += [y for _, y in curves]
        found, colour = band(curves), COLOURS[number % len(COLOURS)]
        bands.append(found)
        seeds = f"{found.seeds} seed{'s' if found.seeds > 1 else ''}"
        style = "-" if number < len(COLOURS) else "--"
        mark = "o" if len(found.x) <= FEW_POINTS else ""
        axes.plot(
            found.x, found.mean, style, color=colour, label=f"{label}, {seeds}", lw=1.5, marker=mark
        )
        axes.fill_between(found.x, found.low, found.high, color=colour, alpha=0.2, lw=0)
        if mark and found.seeds > 1:  # a band of one point has no area
            axes.vlines(found.x, found.low, found.high, color=colour, alpha=0.4, lw=3)
    axes.set_ylim(*_limits(np.concatenate(seeds_y), bands))
    axes.set_title(metric, fontsize="medium")
    axes.set_xlabel("environment steps" + (f", mean of {smooth} points" if smooth > 1 else ""))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.get_major_formatter().set_powerlimits((-3, 4))  # type: ignore[attr-defined]


def _limits(seeds_y: Floats, bands: Sequence[Band]) -> tuple[float, float]:
    """Every seed in sight, and of the bands what does not dwarf them: two seeds make a wide one."""
    low, high = float(seeds_y.min()), float(seeds_y.max())
    room = (high - low) or 1.0
    bottom = max(min(float(b.low.min()) for b in bands), low - room / 2)
    top = min(max(float(b.high.max()) for b in bands), high + room / 2)
    return min(bottom, low) - 0.05 * room, max(top, high) + 0.05 * room


def plot(places: Iterable[Path], out: Path, metrics: Sequence[str] = (), smooth: int = 1) -> None:
    """Draw the runs in `places` into `out`, an SVG or a PNG by its name.

    Raises
    ------
    EirError
        No runs, a metric that none of them has, another kind of file, or it cannot be written.
    """
    if out.suffix not in FORMATS:
        raise EirError(f"{out}: expected a name that ends in {' or '.join(FORMATS)}.")
    tracks = read_tracks(places)
    chosen = list(metrics) or default_metrics(tracks)
    known = set().union(*map(_known, tracks))
    for metric in chosen:
        if metric not in known:
            near = difflib.get_close_matches(metric, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {_names(tracks)}."
            raise EirError(f"no run has the metric '{metric}'; {hint}")
    # text that stays text, and the same file for the same runs
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "eir"}):
        figure = draw(tracks, chosen, smooth)
        partial = out.with_name(f"{out.stem}.partial{out.suffix}")
        try:
            date = {"Date": None} if out.suffix == ".svg" else {}
            figure.savefig(partial, dpi=150, metadata=date)
            partial.replace(out)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise EirError(f"{out} cannot be written ({error.strerror}).") from error


def _known(track: Track) -> set[str]:
    return {key for row in track.rows for key in row} - {"iteration"}


def _names(tracks: Sequence[Track]) -> str:
    return ", ".join(sorted(set().union(*map(_known, tracks))))

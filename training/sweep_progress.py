"""A sweep as it is seen: one line for each run."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from training.engine import check
from training.summary import Summary, summarise
from training.sweep import Member, Verdict, run_sweep

#: Where there is no terminal, a run is reported whenever it has done one more of so many parts.
PARTS = 10


def sweep_with_progress(runs: Sequence[Member], **engine: Any) -> bool:
    """Train all runs with one line of progress each; whether none of them failed.

    Parameters
    ----------
    engine
        `engine`, `jobs` and `address` of `training.engine.run_units`.
    """
    check(engine["engine"], engine["address"])
    console = Console()
    width = max(len(member.unit.name) for member in runs)
    columns = (TextColumn("{task.fields[name]}"), BarColumn(bar_width=20))
    with Progress(
        *columns, TextColumn("{task.description}"), console=console, disable=not console.is_terminal
    ) as bars:
        console.print(f"{len(runs)} runs", soft_wrap=True)
        lines = _Lines(console, bars, runs, width)
        try:
            with _sigterm_as_ctrl_c():
                verdicts = run_sweep(runs, lines.show, **engine)
        except KeyboardInterrupt:
            console.print("stopped, every run saved; the same command goes on", soft_wrap=True)
            return True
    failed = [verdict for verdict in verdicts if verdict.trouble]
    for verdict in failed:
        console.print(_trouble(verdict), soft_wrap=True, markup=False)
    done = sum(verdict.summary.state == "done" for verdict in verdicts)
    console.print(f"{done} of {len(runs)} runs done, {len(failed)} failed", soft_wrap=True)
    return not failed


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Either ends the sweep: its runs are asked to save, and waited for."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Lines:
    """The lines of all runs: bars on a terminal, print-outs from time to time elsewhere."""

    def __init__(
        self, console: Console, bars: Progress, runs: Sequence[Member], width: int
    ) -> None:
        self._console, self._bars = console, bars
        self._lock = threading.Lock()
        self._width = width
        self._tasks: dict[str, TaskID] = {}
        self._reported: dict[str, tuple[str, bool, int]] = {}
        for member in runs:
            name = member.unit.name
            self._tasks[name] = bars.add_task(
                "waiting", total=member.recipe.iterations, name=name.ljust(width)
            )
            self.show(member, summarise(member.folder))

    def show(self, member: Member, summary: Summary) -> None:
        """Tell how a run gets on; called from several threads."""
        name, total = member.unit.name, member.recipe.iterations
        line = line_of(summary, total)
        with self._lock:
            self._bars.update(self._tasks[name], completed=summary.iteration, description=line)
            begun = summary.iteration > 0
            milestone = (summary.state, begun, summary.iteration * PARTS // total)
            if self._bars.disable and milestone != self._reported.get(name):
                self._reported[name] = milestone
                self._console.print(f"{name.ljust(self._width)}  {line}", soft_wrap=True)


def line_of(summary: Summary, total: int) -> str:
    """Where a run stands."""
    if summary.state == "none":
        return "waiting"
    parts = [summary.state, f"{summary.iteration}/{total}"]
    first = "held-out return" if summary.held_out else "return"
    for title, value in ((first, summary.healthy), ("under attack", summary.attacked)):
        if value is not None:
            parts.append(f"{title} {value:.4g}")
    if summary.state == "running" and summary.steps_per_s is not None:
        parts.append(f"{summary.steps_per_s:.0f} steps/s")
    return "  ".join(parts)


def _trouble(verdict: Verdict) -> str:
    """Which run failed, and the end of what its process said."""
    last = "\n  ".join(verdict.trouble.splitlines()[-5:])
    return f"{verdict.member.unit.name} failed:\n  {last}"

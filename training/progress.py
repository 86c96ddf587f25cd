"""A progress bar around training."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from training.checkpoint import Run
from training.methods import METHODS
from training.recipe import Recipe
from training.train import train


def run_with_progress(recipe: Recipe, out: Path) -> Run:
    """Train and show return, return under attack, belief accuracy, speed and time left.

    On a terminal this is a bar; elsewhere a line every tenth iteration.
    """
    console = Console()
    title = METHODS[recipe.method].title
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=recipe.iterations, visible=False)

        def announce(run: Run) -> None:
            # only now: a folder that is refused shows its sentence alone
            bar.update(task, completed=run.iteration, visible=True)
            console.print(
                f"{title}, seed {recipe.seed}, {recipe.iterations} iterations, in {out}",
                soft_wrap=True,
            )

        def watch(run: Run, metrics: dict[str, float]) -> None:
            line = _line(run, metrics)
            bar.update(task, completed=run.iteration, description=line)
            if bar.disable and run.iteration % 10 == 0:
                console.print(line, soft_wrap=True)

        run = train(recipe, out, watch, announce)
    done = "done" if run.iteration >= recipe.iterations else "stopped, saved"
    console.print(f"{done} at iteration {run.iteration} after {run.wall_s / 60:.1f} min")
    return run


def _line(run: Run, metrics: dict[str, float]) -> str:
    parts = [f"iteration {run.iteration}/{run.recipe.iterations}"]
    for key, title in (("return/healthy", "return"), ("return/attacked", "under attack")):
        if key in metrics:
            parts.append(f"{title} {metrics[key]:.1f}")
    if "belief/accuracy" in metrics:
        parts.append(f"belief {metrics['belief/accuracy']:.1%}")
    return "  ".join([*parts, f"{metrics['steps_per_s']:.0f} steps/s"])

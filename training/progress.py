"""A progress bar around training."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from training import ranks
from training.checkpoint import Run
from training.game import make_game
from training.methods import METHODS
from training.players import Staff
from training.recipe import Recipe
from training.train import train

#: Where there is no terminal, a line is printed after every so many iterations.
EVERY = 10


def run_with_progress(recipe: Recipe, out: Path, staff: Staff | None = None) -> Run:
    """Train and show return, return under attack, belief accuracy, speed and time left.

    On a terminal this is a bar; elsewhere a line every tenth iteration. Evaluations get a line.
    """
    console = Console(quiet=ranks.index() > 0)
    title = METHODS[recipe.method].title
    columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=recipe.iterations, visible=False)

        def announce(run: Run) -> None:
            # only now: a folder that is refused shows its sentence alone
            bar.update(task, completed=run.iteration, visible=True)
            console.print(
                f"{title}, seed {recipe.seed}, {begins(run)}, in {out}",
                soft_wrap=True,
            )
            if unseen := untrained_rest(recipe):
                console.print(unseen, soft_wrap=True)

        def watch(run: Run, metrics: dict[str, float]) -> None:
            line = training_line(run, metrics)
            bar.update(task, completed=run.iteration, description=line)
            if bar.disable and run.iteration % EVERY == 0:
                console.print(line, soft_wrap=True)
            if found := evaluation_line(run, metrics):
                console.print(found, soft_wrap=True)

        run = train(recipe, out, watch, announce, staff)
    done = "done" if run.iteration >= recipe.iterations else "stopped, saved"
    best = f", best score at {run.best_iteration}" if run.best_score is not None else ""
    console.print(f"{done} at iteration {run.iteration} after {run.wall_s / 60:.1f} min{best}")
    return run


def begins(run: Run) -> str:
    """Whether a run is begun, or where it goes on."""
    total = run.recipe.iterations
    if not run.iteration:
        return f"{total} iterations"
    if run.iteration < total:
        return f"going on after iteration {run.iteration} of {total}"
    return f"all {total} iterations done before"


def untrained_rest(recipe: Recipe) -> str:
    """What to say of a recipe that ends its rollouts before an episode may end; else nothing."""
    game = make_game(recipe, 1)
    horizon = game.horizon
    game.close()
    if recipe.steps >= horizon:
        return ""
    return (
        f"an episode may take {horizon} steps, and the team will only know the first "
        f"{recipe.steps}: every iteration starts fresh ones and plays `steps` of them"
    )


def training_line(run: Run, metrics: Mapping[str, float]) -> str:
    """What the last iteration's episodes were worth, how fast it goes, and for how long."""
    total = run.recipe.iterations
    parts = [f"{run.iteration}/{total}"]
    for key, title in (("return/healthy", "return"), ("return/attacked", "under attack")):
        if key in metrics:
            parts.append(f"{title} {metrics[key]:.4g}")
    if "belief/accuracy" in metrics:
        parts.append(f"belief {metrics['belief/accuracy']:.1%}")
    left = timedelta(seconds=round(run.wall_s / run.iteration * (total - run.iteration)))
    return "  ".join([*parts, f"{metrics['steps_per_s']:.0f} steps/s", f"{left} left"])


def evaluation_line(run: Run, metrics: Mapping[str, float]) -> str:
    """What a team is worth on held-out seeds; empty where that was not measured."""
    parts = []
    for mode in ("greedy", "sampled"):
        if f"evaluation/{mode}/healthy" in metrics:
            healthy, attacked = (metrics[f"evaluation/{mode}/{k}"] for k in ("healthy", "attacked"))
            parts.append(f"{mode} return {healthy:.4g}, under attack {attacked:.4g}")
    if not parts:
        return ""
    best = ", the best so far" if run.best_iteration == run.iteration else ""
    return f"held-out seeds at {run.iteration}: {'; '.join(parts)}{best}"

"""The training loop: collect, learn, log, checkpoint; stops cleanly and resumes exactly."""

import csv
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch
import yaml
from torch.utils.tensorboard import SummaryWriter

from eir_ros.contract.errors import EirError
from training import checkpoint, provenance, ranks
from training.checkpoint import Run
from training.game import make_game
from training.recipe import Recipe
from training.rollout import Collector, Rollout, first_returns
from training.team import BeliefSource

#: Called after every iteration with the run and its metrics.
Watcher = Callable[[Run, dict[str, float]], None]
#: Called with the run once it is opened, before its first iteration.
Opened = Callable[[Run], None]


def train(
    recipe: Recipe,
    out: Path,
    watch: Watcher = lambda run, metrics: None,
    opened: Opened = lambda run: None,
) -> Run:
    """Train `recipe` in the folder `out`, or go on with the run that is there.

    Writes `recipe.yaml`, `checkpoint.pt`, `metrics.csv` and TensorBoard events. SIGINT and
    SIGTERM save a checkpoint after the present iteration and return.

    Raises
    ------
    EirError
        `out` cannot be written, holds a run of another recipe, or a loss is not a number (the
        last good checkpoint stays).
    """
    torch.set_num_threads(1)
    run = _open(recipe, out)
    opened(run)
    collector = make_collector(run)
    stop = _StopRequest()
    log = _Log(out, run.iteration)
    try:
        while run.iteration < recipe.iterations and not stop.requested:
            started = time.perf_counter()
            metrics = iterate(run, collector)
            run.wall_s += time.perf_counter() - started
            log.write(run.iteration, metrics)
            if run.iteration % recipe.checkpoint_every == 0:
                checkpoint.save(run, out / checkpoint.FILE)
            watch(run, metrics)
        checkpoint.save(run, out / checkpoint.FILE)
    finally:
        log.close()
        stop.restore()
        collector.game.close()
    return run


def make_collector(run: Run) -> Collector:
    """What plays one shard of the run's batch at a time."""
    recipe, learner = run.recipe, run.learner
    faults = recipe.faults if learner.attacked else None
    game = make_game(recipe, recipe.batch // recipe.shards, faults)
    return Collector(
        game, learner.team, run.adversary, run.critic, recipe.type_of_kind,
        bend=learner.bend, transitions=learner.transitions,
    )  # fmt: skip


def iterate(run: Run, collector: Collector) -> dict[str, float]:
    """One rollout and one update. All randomness comes from (seed, iteration, shard)."""
    recipe, started = run.recipe, time.perf_counter()
    progress = run.iteration / recipe.iterations
    # Only a belief that is learned from the types may be replaced by them. A latent belief is part
    # of the policy: it must act in the rollout as it will be run again in the update.
    fade = recipe.belief.teacher_forcing if run.team.source is BeliefSource.LEARNED else 0.0
    teacher = max(0.0, 1.0 - progress / fade) if fade else 0.0
    seed = [recipe.seed, run.iteration]
    rollout = Rollout.join(
        [
            collector.collect([*seed, shard], recipe.steps, teacher)
            for shard in ranks.own_shards(recipe.shards)
        ]
    )
    metrics = run.learner.update(rollout, progress, [*seed, 2])
    metrics = _agreed(metrics | _returns(rollout))
    _check(run, metrics)
    run.iteration += 1
    steps = recipe.batch * recipe.steps
    metrics["steps_per_s"] = steps / (time.perf_counter() - started)
    return metrics


def _agreed(metrics: dict[str, float]) -> dict[str, float]:
    """The mean over ranks, where they differ."""
    values = torch.tensor(list(metrics.values()), dtype=torch.float64)
    mean = ranks.total(values) / ranks.count()
    return dict(zip(metrics, mean.tolist(), strict=True))


def _check(run: Run, metrics: dict[str, float]) -> None:
    """Stop before a bad update is saved."""
    bad = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if bad:
        raise EirError(
            f"{', '.join(bad)} is not a number at iteration {run.iteration}; the last good "
            "checkpoint is kept. Lower the learning rates of the recipe."
        )
    for name, value in metrics.items():
        # what is learned from must be what acted: every ratio starts at 1, up to rounding
        assert not name.endswith("first_ratio_error") or value < 1e-3, f"{name} is {value}"


def _returns(rollout: Rollout) -> dict[str, float]:
    """Mean return of the first episode of each environment, healthy and corrupted ones apart."""
    returns = first_returns(rollout)
    first = (rollout.ended.cumsum(0) - rollout.ended.long()) == 0
    corrupted = ((rollout.types != 0).any(-1) & first).any(0)
    found = {"return/all": returns.mean().item()}
    for name, mask in (("healthy", ~corrupted), ("attacked", corrupted)):
        count = ranks.total(mask.sum())
        if count:
            found[f"return/{name}"] = (ranks.total((returns * mask).sum()) / count).item()
    return found


def _open(recipe: Recipe, out: Path) -> Run:
    """The run of `out`: continued if there is one, fresh otherwise."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise EirError(
            f"{out} cannot be written ({error.strerror}); choose another folder with --out."
        ) from error
    if (out / checkpoint.FILE).exists():
        run = checkpoint.load(out / checkpoint.FILE)
        if run.recipe != recipe:
            found = "; ".join(run.recipe.differences(recipe))
            raise EirError(
                f"{out} holds a run of another recipe: {found}. Choose another folder with --out, "
                "or set what the run there has."
            )
        return run
    (out / "recipe.yaml").write_text(
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8"
    )
    run = checkpoint.fresh(recipe)
    run.commit, run.machine = provenance.commit(), provenance.machine()
    return run


class _StopRequest:
    """Turns SIGINT and SIGTERM into a flag that the loop reads between iterations."""

    def __init__(self) -> None:
        self.requested = False
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class _Log:
    """`metrics.csv` and TensorBoard. A resumed run drops rows that it is about to write again."""

    def __init__(self, out: Path, iteration: int) -> None:
        self._path = out / "metrics.csv"
        self._rows: list[dict[str, float]] = []
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                self._rows = [
                    {key: float(value) for key, value in row.items() if value != ""}
                    for row in csv.DictReader(file)
                    if int(float(row["iteration"])) <= iteration
                ]
        self._events = SummaryWriter(str(out / "events"), purge_step=iteration or None)

    def write(self, iteration: int, metrics: dict[str, float]) -> None:
        self._rows.append({"iteration": iteration, **metrics})
        for name, value in metrics.items():
            self._events.add_scalar(name, value, iteration)
        if iteration % 10 == 0:
            self.flush()

    def flush(self) -> None:
        columns = list(dict.fromkeys(key for row in self._rows for key in row))
        partial = self._path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self._rows)
        partial.replace(self._path)

    def close(self) -> None:
        self.flush()
        self._events.close()

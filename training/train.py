"""The training loop: collect, learn, evaluate, write; stops cleanly and resumes exactly."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from eir_ros.contract.errors import EirError
from training import checkpoint, folder, mishap, ranks
from training.checkpoint import Run
from training.keeping import Keeper
from training.mishap import NotANumberError
from training.players import Players, Staff
from training.recipe import Recipe
from training.rollout import Order, Rollout, first_returns
from training.stopping import StopRequest
from training.team import BeliefSource

#: Place of the update among the random streams of an iteration; the others are the shards'.
UPDATE = 2

#: Called after every iteration with the run and its metrics, on the first rank.
Watcher = Callable[[Run, dict[str, float]], None]
#: Called with the run once it is opened, before its first iteration.
Opened = Callable[[Run], None]


def train(
    recipe: Recipe,
    out: Path,
    watch: Watcher = lambda run, metrics: None,
    opened: Opened = lambda run: None,
    staff: Staff | None = None,
) -> Run:
    """Train `recipe` in the folder `out`, or go on with the run that is there.

    Writes the files that docs/training.md lists. SIGINT and SIGTERM save a checkpoint after the
    present iteration and return.

    Parameters
    ----------
    staff
        Who plays the rollouts; None: this process.

    Raises
    ------
    EirError
        `out` cannot be written, is in use, or holds a run of another recipe; the disk is full;
        something is not a number (the last good checkpoint stays, and the batch is kept); there is
        no such device, or the work cannot be shared out as asked; or another rank is lost.
    KeyboardInterrupt
        A second Ctrl-C; the last checkpoint stays.
    """
    torch.set_num_threads(1)
    leads = ranks.index() == 0
    with folder.opened(recipe, out) as run, StopRequest() as stop:
        shards = _own_share(run)
        opened(run)
        players = (staff or Staff()).players(run, shards)
        keeper = Keeper(run, out) if leads else None
        try:
            while run.iteration < recipe.iterations and not ranks.any_of(stop.requested):
                started = time.perf_counter()
                metrics = iterate(run, players)
                if keeper is not None:
                    metrics |= keeper.evaluation()
                run.wall_s += time.perf_counter() - started
                if keeper is not None:
                    with stop.writing():
                        keeper.keep(metrics)
                    watch(run, metrics)
            if keeper is not None:
                with stop.writing():
                    keeper.save()
        except NotANumberError as error:
            raise _explained(error, run, out) if leads else error from error
        finally:
            players.close()
            if keeper is not None:
                keeper.close()
    return run


def _own_share(run: Run) -> int:
    """How many shards this rank plays; refuses what this machine or the method cannot do."""
    recipe = run.recipe
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise EirError(
            "the recipe asks for the device 'cuda', and torch finds no GPU here (torch "
            f"{torch.__version__}). Use --set device=cpu, or a torch that is built for this GPU."
        )
    if run.learner.transitions and recipe.device == "cuda":
        raise EirError(
            f"{recipe.method} learns from a replay buffer in the machine's memory, on the CPU. "
            "Use --set device=cpu."
        )
    return len(ranks.own_shards(recipe.shards))


def _explained(error: NotANumberError, run: Run, out: Path) -> EirError:
    """What happened, what is left, and what to do."""
    last = out / checkpoint.FILE
    kept = f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint yet"
    try:
        path = mishap.save(error, run, out)
    except OSError as trouble:
        batch = f"the batch that made it could not be kept ({trouble.strerror})"
    else:
        batch = f"the batch that made it is {path} (`python -m training.repeat {path}` repeats it)"
    return EirError(f"{error}; {kept}, {batch}. Lower the learning rates of the recipe.")


def iterate(run: Run, players: Players) -> dict[str, float]:
    """One rollout and one update. All randomness comes from (seed, iteration, shard)."""
    started = time.perf_counter()
    run.learner.begin(run.iteration)
    metrics = learn(run, collect(run, players))
    steps = run.recipe.batch * run.recipe.steps
    metrics["steps_per_s"] = steps / (time.perf_counter() - started)
    return metrics


def collect(run: Run, players: Players) -> Rollout:
    """Have this rank's part of the batch of the present iteration played."""
    recipe = run.recipe
    # Only a belief that is learned from the types may be replaced by them. A latent belief is part
    # of the policy: it must act in the rollout as it will be run again in the update.
    fade = recipe.belief.teacher_forcing if run.team.source is BeliefSource.LEARNED else 0.0
    teacher = max(0.0, 1.0 - run.iteration / recipe.iterations / fade) if fade else 0.0
    orders = [
        Order([recipe.seed, run.iteration, _stream(shard)], recipe.steps, teacher)
        for shard in ranks.own_shards(recipe.shards)
    ]
    return Rollout.join(players.play(orders))


def _stream(shard: int) -> int:
    """Place of a shard among the random streams of an iteration."""
    return shard + (shard >= UPDATE)


def learn(run: Run, rollout: Rollout) -> dict[str, float]:
    """Update on `rollout`, and count the iteration.

    Raises
    ------
    NotANumberError
        A metric or a weight is not finite.
    """
    progress = run.iteration / run.recipe.iterations
    device = run.recipe.device
    with run.learner.computing_on(device):
        seed = [run.recipe.seed, run.iteration, UPDATE]
        metrics = run.learner.update(rollout.to(device), progress, seed)
    metrics = _agreed(metrics | _returns(rollout))
    _check(run, metrics, rollout)
    run.iteration += 1
    return metrics


def _agreed(metrics: dict[str, float]) -> dict[str, float]:
    """The mean over ranks, where they differ."""
    values = torch.tensor(list(metrics.values()), dtype=torch.float64)
    mean = ranks.total(values) / ranks.count()
    return dict(zip(metrics, mean.tolist(), strict=True))


def _check(run: Run, metrics: dict[str, float], rollout: Rollout) -> None:
    """Stop before a bad update is saved."""
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    # the last step may have broken weights that no loss has seen yet
    for name, network in run.learner.networks.items():
        if not all(value.isfinite().all() for value in network.state_dict().values()):
            bad.append(f"a weight of the {name} network")
    if bad:
        raise NotANumberError(sorted(bad), run.iteration, rollout)
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

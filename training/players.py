"""Who plays the shards of a batch: this process, processes beside it, or actors on a Ray cluster.

All randomness of a shard comes from its own seed. So its rollout is the same whoever plays it, and
one that is lost with its worker is played again.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np
import torch

from eir_ros.contract.errors import EirError
from eir_ros.contract.orphans import die_with_parent
from training import checkpoint, engine
from training.checkpoint import Run
from training.game import make_game
from training.recipe import Recipe
from training.rollout import Collector, Order, Rollout

#: Time that a worker has to end by itself [s].
_PATIENCE_S = 5.0
#: Arrays by name, and by the name of their network or of a rollout's column.
Arrays = dict[str, Any]


class LostError(Exception):
    """A worker has ended; says how."""


def make_collector(run: Run) -> Collector:
    """What plays one shard of the run's batch at a time."""
    recipe, learner = run.recipe, run.learner
    faults = recipe.faults if learner.attacked else None
    game = make_game(recipe, recipe.batch // recipe.shards, faults)
    return Collector(
        game, learner.team, run.adversary, run.critic, recipe.type_of_kind,
        bend=learner.bend, transitions=learner.transitions,
    )  # fmt: skip


class Players(Protocol):
    """Play shards with the networks of a run as they are now; a `Collector` is one."""

    def play(self, orders: Sequence[Order]) -> list[Rollout]:
        """The rollouts of `orders`, in their order."""

    def close(self) -> None:
        """Free worlds and workers."""


class Twin:
    """The networks of a run once more, in a world of their own, wherever that may be."""

    def __init__(self, recipe: Recipe) -> None:
        torch.set_num_threads(1)
        self._run = checkpoint.fresh(recipe)
        self._collector = make_collector(self._run)

    def play(self, weights: Arrays, orders: Sequence[Order]) -> list[Arrays]:
        """Rollouts of `orders` with `weights`, as arrays."""
        for name, network in self._run.learner.networks.items():
            network.load_state_dict({k: torch.from_numpy(v) for k, v in weights[name].items()})
        return [arrays_of(rollout.tensors()) for rollout in self._collector.play(orders)]


class Worker(ABC):
    """A twin in another process."""

    @abstractmethod
    def ask(self, weights: Any, orders: Sequence[Order]) -> None:
        """Begin to play."""

    @abstractmethod
    def answer(self) -> list[Arrays]:
        """What came of it; `LostError` where the worker has ended."""

    @abstractmethod
    def close(self) -> None:
        """End it."""


class Crew:
    """Several workers, each with an equal share of the shards.

    Parameters
    ----------
    run
        Whose networks they play with.
    start
        Starts the worker of a number.
    count
        How many.
    share
        Makes the weights ready to be sent to all of them.
    end
        Called when all have ended.
    """

    def __init__(
        self, run: Run, start: Callable[[int], Worker], count: int,
        share: Callable[[Arrays], Any] = lambda weights: weights,
        end: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._run, self._start, self._share, self._end = run, start, share, end
        self._workers: list[Worker] = []
        try:
            for k in range(count):
                self._workers.append(start(k))
        except BaseException:
            self.close()
            raise

    def play(self, orders: Sequence[Order]) -> list[Rollout]:
        """The rollouts of `orders`; those of a worker that was lost are played by another.

        Raises
        ------
        EirError
            That one was lost, too.
        """
        networks = self._run.learner.networks.items()
        weights = self._share({name: arrays_of(net.state_dict()) for name, net in networks})
        count = len(self._workers)
        for k, worker in enumerate(self._workers):
            worker.ask(weights, orders[k::count])
        found: list[Rollout | None] = [None] * len(orders)
        for k in range(count):
            found[k::count] = [_rollout(arrays) for arrays in self._answer(k, weights, orders)]
        return [rollout for rollout in found if rollout is not None]

    def _answer(self, k: int, weights: Any, orders: Sequence[Order]) -> list[Arrays]:
        share = orders[k :: len(self._workers)]
        try:
            return self._workers[k].answer()
        except LostError as error:
            print(f"worker {k} {error}; another plays its shards again", file=sys.stderr)
            self._workers[k].close()
        self._workers[k] = self._start(k)
        self._workers[k].ask(weights, share)
        try:
            return self._workers[k].answer()
        except LostError as error:
            raise EirError(
                f"worker {k} {error}, and so did the one before it. The last checkpoint stays: the "
                "same command goes on from there; with fewer --workers there is more memory each."
            ) from error

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.close()
        self._end()


class Process(Worker):
    """A worker process on this machine, which ends when its parent does."""

    def __init__(self, recipe: Recipe, k: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=work, args=(theirs, recipe, os.getpid()), name=f"player-{k}", daemon=True
        )
        self._process.start()
        theirs.close()  # so that the pipe ends with the worker

    def ask(self, weights: Any, orders: Sequence[Order]) -> None:
        """Send the order; a worker that has ended is found when its answer is read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._pipe.send((weights, orders))

    def answer(self) -> list[Arrays]:
        """Read the answer."""
        try:
            good, answer = self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise LostError(self._how_it_ended()) from error
        if not good:
            raise RuntimeError(f"in a worker:\n{answer}")
        found: list[Arrays] = answer
        return found

    def close(self) -> None:
        """Close the pipe, which ends the worker."""
        self._pipe.close()
        self._process.join(_PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _how_it_ended(self) -> str:
        self._process.join(_PATIENCE_S)
        code = self._process.exitcode
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit status {code}"


def work(pipe: Connection, recipe: Recipe, parent: int) -> None:
    """What a worker process does until its pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    die_with_parent(parent, signal.SIGKILL)
    twin: Twin | None = None
    with contextlib.suppress(EOFError, OSError):  # the parent has closed, or is gone
        while True:
            weights, orders = pipe.recv()
            try:
                twin = twin or Twin(recipe)
                answer: tuple[bool, Any] = True, twin.play(weights, orders)
            except Exception:
                answer = False, traceback.format_exc()
            pipe.send(answer)


class Actor(Worker):
    """A worker on a Ray cluster."""

    def __init__(self, ray: Any, recipe: Recipe) -> None:
        self._ray = ray
        self._actor = ray.remote(num_cpus=1)(Twin).remote(recipe)
        self._answer: Any = None

    def ask(self, weights: Any, orders: Sequence[Order]) -> None:
        """Send the order."""
        self._answer = self._actor.play.remote(weights, orders)

    def answer(self) -> list[Arrays]:
        """Wait for the answer."""
        try:
            found: list[Arrays] = self._ray.get(self._answer)
        except self._ray.exceptions.RayTaskError:
            raise  # an error of ours
        except self._ray.exceptions.RayError as error:
            raise LostError(f"was lost ({str(error).strip().partition(chr(10))[0]})") from error
        return found

    def close(self) -> None:
        """Give its place back."""
        self._ray.kill(self._actor)


@dataclass(frozen=True)
class Staff:
    """Who shall play the shards.

    Attributes
    ----------
    workers
        Processes beside this one, or actors; 0: this process plays, or on Ray one actor per shard.
    engine, address
        See `training.engine.run_units`.

    Raises
    ------
    EirError
        There is no such engine, or an address is given that it has no use for.
    """

    workers: int = 0
    engine: str = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        engine.check(self.engine, self.address)

    def players(self, run: Run, shards: int) -> Players:
        """Those who play `shards` shards of `run`.

        Raises
        ------
        EirError
            More workers than shards, or no Ray.
        """
        workers, recipe = self.workers, run.recipe
        if workers > shards:
            raise EirError(
                f"{workers} workers cannot share out {shards} shards; use --workers {shards}, or "
                f"set the recipe's 'shards' to a multiple of {workers}."
            )
        if self.engine == "ray":
            ray = engine.connect(workers or shards, self.address)
            count = workers or shards
            return Crew(run, lambda k: Actor(ray, recipe), count, ray.put, ray.shutdown)
        if workers:
            return Crew(run, lambda k: Process(recipe, k), workers)
        return make_collector(run)


def arrays_of(tensors: Arrays) -> Arrays:
    """Arrays in place of tensors, at any depth."""
    return {
        name: arrays_of(value) if isinstance(value, dict) else np.asarray(value)
        for name, value in tensors.items()
    }


def _rollout(arrays: Arrays) -> Rollout:
    def tensors(arrays: Arrays) -> Arrays:
        return {
            # what Ray hands out cannot be written to
            name: tensors(value) if isinstance(value, dict) else torch.from_numpy(np.copy(value))
            for name, value in arrays.items()
        }

    return Rollout.of_tensors(tensors(arrays))

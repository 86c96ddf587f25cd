"""Worker processes that step rows of a batch in shared memory, and die with their parent.

A worker hears of its parent's end in three ways: the pipe that it takes its orders from closes;
the parent's sentinel fires in a thread, also while a step runs; and on Linux the kernel kills it.
The shared memory has no name in the file system, so nothing is left behind even by SIGKILL.
"""

import contextlib
import ctypes
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

from eir_ros.contract.errors import EirError
from eir_ros.contract.orphans import die_with_parent
from sim.adapter import Arrays, Row, Shape, array_types

#: Time that a worker has to end by itself [s].
_PATIENCE_S = 5.0
#: A cache line: no two arrays share one.
_ALIGNMENT = 64


class Job(NamedTuple):
    """What a worker is told when it starts."""

    #: cloudpickle of (what makes an environment, what draws one or None)
    functions: bytes
    shape: Shape
    batch: int
    #: Its rows of the batch, [first, last)
    first: int
    last: int
    reward: str
    parent: int
    #: Whether the parent's thread that starts the worker lives as long as the parent
    bound_to_thread: bool


class Crew:
    """Worker processes with equal shares of a batch.

    Raises
    ------
    EirError
        A worker cannot make its environments.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        scene: Callable[[Any], Any] | None,
        shape: Shape,
        batch: int,
        workers: int,
        reward: str,
    ) -> None:
        spawn = multiprocessing.get_context("spawn")
        memory = spawn.RawArray(ctypes.c_char, _layout(shape, batch)[1])
        self.arrays = _views(memory, shape, batch)
        bounds = np.linspace(0, batch, workers + 1).astype(int).tolist()
        job = Job(
            cloudpickle.dumps((make, scene)),
            shape,
            batch,
            0,
            batch,
            reward,
            os.getpid(),
            threading.current_thread() is threading.main_thread(),
        )
        self._pipes: list[multiprocessing.connection.Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self.close = weakref.finalize(self, _stop, self._pipes, self._processes)
        self._jobs = [
            job._replace(first=first, last=last) for first, last in itertools.pairwise(bounds)
        ]
        try:
            for k, share in enumerate(self._jobs):
                ours, theirs = spawn.Pipe()
                process = spawn.Process(
                    target=work, args=(theirs, memory, share), name=f"sim-worker-{k}", daemon=True
                )
                process.start()
                theirs.close()  # so that the pipe ends with the worker
                self._pipes.append(ours)
                self._processes.append(process)
            self._answers(range(workers))
        except BaseException:
            self.close()
            raise

    def reset(self, seeds: list[int | None]) -> None:
        """Reset every row with its seed."""
        self._tell("reset", {k: seeds[j.first : j.last] for k, j in enumerate(self._jobs)})

    def step(self, hold: bool) -> None:
        """Step every row."""
        self._tell("step", dict.fromkeys(range(len(self._jobs)), hold))

    def scene(self, index: int) -> Any:
        """Scene of one row."""
        k = next(k for k, job in enumerate(self._jobs) if job.first <= index < job.last)
        return self._tell("scene", {k: index - self._jobs[k].first})[0]

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid or 0 for process in self._processes]

    def _tell(self, word: str, details: Mapping[int, Any]) -> list[Any]:
        """Give an order with its details to some workers; return their answers."""
        try:
            for k, detail in details.items():
                self._send(k, word, detail)
            return self._answers(details)
        except EirError:
            raise
        except BaseException:  # Ctrl-C: answers would be taken for those of the next order
            self.close()
            raise

    def _send(self, k: int, word: str, detail: Any) -> None:
        if not self.close.alive:
            raise EirError("the environment has been closed; make another.")
        # one that has ended is found when its answer is read
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._pipes[k].send((word, detail))

    def _answers(self, ks: Iterable[int]) -> list[Any]:
        """The workers' answers; every one is read before the first failure is raised."""
        answers, failures = [], []
        for k in ks:
            try:
                good, answer, trace = self._pipes[k].recv()
            except (EOFError, ConnectionResetError):
                good, answer, trace = False, self._how_it_ended(k), ""
            answers.append(answer)
            if not good:
                failures.append((k, answer, trace))
        if failures:
            k, sentence, trace = failures[0]
            job = self._jobs[k]
            error = EirError(
                f"worker {k} (environments {job.first} to {job.last - 1}) failed: {sentence}"
            )
            if trace:
                error.add_note(f"In the worker:\n{trace}")
            raise error
        return answers

    def _how_it_ended(self, k: int) -> str:
        process = self._processes[k]
        process.join(_PATIENCE_S)
        code = process.exitcode
        if code is not None and code < 0:
            return f"it was killed by {signal.Signals(-code).name}; make the environment anew"
        return (
            f"it ended with exit status {code}; a script that makes workers must do so under "
            '`if __name__ == "__main__":`'
        )


def _stop(
    pipes: list[multiprocessing.connection.Connection],
    processes: list[multiprocessing.process.BaseProcess],
) -> None:
    for pipe in pipes:
        pipe.close()
    for process in processes:
        process.join(_PATIENCE_S)
        if process.is_alive():
            process.kill()
            process.join()


def work(pipe: multiprocessing.connection.Connection, memory: Any, job: Job) -> None:
    """What a worker does until its pipe closes."""
    _die_with_parent(job)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    rows: list[Row] = []
    scene: Any = None
    arrays = _views(memory, job.shape, job.batch)

    def carry_out(word: str, detail: Any) -> Any:
        nonlocal scene
        if word == "make":
            make, scene = cloudpickle.loads(job.functions)
            for b in range(job.first, job.last):
                rows.append(Row(make(), job.shape, arrays, b, job.reward))
        elif word == "reset":
            for row, seed in zip(rows, detail, strict=True):
                row.reset(seed)
        elif word == "step":
            for row in rows:
                row.step(hold=detail)
        elif word == "scene":
            return scene(rows[detail].env)
        return None

    order = ("make", None)
    try:
        while True:
            pipe.send(_outcome(carry_out, order))
            order = pipe.recv()
    except (EOFError, OSError):  # the parent has closed, or is gone
        for row in rows:
            row.env.close()


def _outcome(carry_out: Callable[..., Any], order: tuple[str, Any]) -> tuple[bool, Any, str]:
    try:
        return True, carry_out(*order), ""
    except Exception as error:
        last = traceback.format_exception_only(error)[-1].strip()
        return False, last, traceback.format_exc()


def _die_with_parent(job: Job) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    # the kernel looks at the thread that started us, which may end long before the process
    if job.bound_to_thread:
        die_with_parent(job.parent, signal.SIGKILL)


def _layout(shape: Shape, batch: int) -> tuple[dict[str, int], int]:
    """Where each array begins, and how much they take together [bytes]."""
    offsets, end = {}, 0
    for name, (size, dtype) in array_types(shape, batch).items():
        offsets[name] = end
        length = int(np.prod(size)) * np.dtype(dtype).itemsize
        end += -(-length // _ALIGNMENT) * _ALIGNMENT
    return offsets, max(end, 1)


def _views(memory: Any, shape: Shape, batch: int) -> Arrays:
    offsets, _ = _layout(shape, batch)
    return Arrays(
        **{
            name: np.frombuffer(
                memory, dtype, count=int(np.prod(size)), offset=offsets[name]
            ).reshape(size)
            if np.prod(size)
            else np.zeros(size, dtype)
            for name, (size, dtype) in array_types(shape, batch).items()
        }
    )

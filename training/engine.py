"""Where units of work run: in local processes, or on a Ray cluster.

A unit is a command that writes its own files and can be started again: done work is found and
kept. So a worker that is lost costs one unit at most, and that unit is tried once more.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Final

from eir_ros.contract.errors import EirError
from eir_ros.contract.orphans import die_with_parent

#: The engines by name.
ENGINES: Final = ("local", "ray")
#: How often a unit whose process was killed or lost is started in all.
ATTEMPTS: Final = 2
#: Time between the request to end and the end by force [s].
GRACE_S: Final = 20.0
#: How long a cluster may take to accept a connection [s].
_KNOCK_S: Final = 5.0
#: How much of a unit's output is kept [bytes].
_TAIL: Final = 2000
#: A unit computes in one thread: several run side by side.
_ONE_THREAD: Final = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")
}


@dataclass(frozen=True)
class Unit:
    """One idempotent process that writes its own files."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a unit ended.

    Attributes
    ----------
    returncode
        Of its last process; -n where signal n ended it, None where the worker was lost with it.
    wall_s
        Time that its last process took [s].
    tail
        The last of what it printed, or why there is nothing.
    """

    name: str
    ok: bool
    returncode: int | None
    wall_s: float
    tail: str


#: Called in the caller's thread whenever a unit has ended.
Watcher = Callable[[Outcome], None]
#: Place of a unit, and how it ended, as the units end.
Outcomes = Generator[tuple[int, Outcome], None, None]


def run_units(
    units: Sequence[Unit],
    engine: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    on_done: Watcher | None = None,
) -> list[Outcome]:
    """Run all units and return how each ended, in their order.

    A unit that fails (a status that is not 0) is reported and not tried again: it would fail
    again. One whose process was killed, or whose worker was lost, is.

    Parameters
    ----------
    engine
        `local`: processes of this machine, which end with this one. `ray`: tasks of Ray.
    jobs
        Units at a time; default: one per processor. A cluster decides by itself.
    address
        Of a running Ray cluster, for example `auto` or `10.0.0.5:6379`; None starts one here, on
        the loopback. On a cluster every machine needs this checkout, this interpreter and the
        folders that the units write to, under the same paths.

    Raises
    ------
    EirError
        Another engine, an address without Ray, or Ray is missing or cannot be reached.
    """
    check(engine, address)
    started = _local(units, jobs) if engine == "local" else _on_ray(units, jobs, address)
    found: dict[int, Outcome] = {}
    with contextlib.closing(started) as outcomes:
        for place, outcome in outcomes:
            found[place] = outcome
            if on_done is not None:
                on_done(outcome)
    return [found[place] for place in range(len(units))]


def check(engine: str, address: str | None) -> None:
    """Refuse what names no engine; `EirError` says what does."""
    if engine not in ENGINES:
        raise EirError(f"there is no engine '{engine}'; expected {' or '.join(ENGINES)}.")
    if address is not None and engine != "ray":
        raise EirError(f"an address ({address}) is for the engine 'ray'; add --engine ray.")


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _local(units: Sequence[Unit], jobs: int | None) -> Outcomes:
    living = _Living()
    pool = ThreadPoolExecutor(jobs or processors(), thread_name_prefix="unit")
    futures: dict[Future[Outcome], int] = {}
    try:
        for place, unit in enumerate(units):
            futures[pool.submit(_persist, unit, os.getcwd(), living)] = place
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:  # of the work, or by Ctrl-C, or because the caller gave up
        pool.shutdown(wait=False, cancel_futures=True)
        living.end()
        pool.shutdown()


def _persist(unit: Unit, folder: str, living: "_Living") -> Outcome:
    """Run a unit, and once more if something killed its process."""
    for _ in range(ATTEMPTS):
        outcome = living.run(unit, folder)
        if living.ending or (outcome.returncode or 0) >= 0:
            break
    return outcome


class _Living:
    """The processes that run now; each leads a group of its own, so its children end with it."""

    def __init__(self) -> None:
        self.ending = False
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def run(self, unit: Unit, folder: str) -> Outcome:
        """Run a unit's process to its end in `folder`."""
        started = time.perf_counter()
        with tempfile.TemporaryFile() as output:
            try:
                process = self._start(unit, folder, output)
            except OSError as error:
                return Outcome(unit.name, False, None, 0.0, f"cannot be started: {error}")
            code = process.wait()
            with self._lock:
                self._processes.discard(process)
            tail = _last(output)
        return Outcome(unit.name, code == 0, code, time.perf_counter() - started, tail)

    def _start(self, unit: Unit, folder: str, output: BinaryIO) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self.ending:
                raise InterruptedError("the run is ending")
            process = subprocess.Popen(
                unit.command,
                cwd=folder,
                env={**os.environ, **_ONE_THREAD},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGTERM),
            )
            self._processes.add(process)
        return process

    def end(self) -> None:
        """Ask every process to end, and make those end that do not within `GRACE_S`."""
        with self._lock:
            self.ending = True
            processes = list(self._processes)
        _signal(processes, signal.SIGTERM)
        limit = time.monotonic() + GRACE_S
        try:
            for process in processes:
                process.wait(max(0.0, limit - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            _signal(processes, signal.SIGKILL)


def _signal(processes: list["subprocess.Popen[bytes]"], number: signal.Signals) -> None:
    for process in processes:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)


def _last(output: BinaryIO) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL))
    return output.read().decode(errors="replace").strip()


def connect(jobs: int | None = None, address: str | None = None) -> Any:
    """Ray, connected to the cluster at `address`, or to one of `jobs` processors started here.

    Ray asks for a token of everybody who connects (`RAY_AUTH_MODE=token`, its default): a cluster
    of one's own makes one by itself, another cluster's is expected in `RAY_AUTH_TOKEN`.

    Raises
    ------
    EirError
        Ray is not installed, or there is no cluster that lets us in.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise EirError(
            "the engine 'ray' needs Ray, which is not installed. In the checkout: "
            f"{sys.executable} -m pip install -c constraints.txt -e '.[train,ray]'"
        ) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own: dict[str, Any] = {
        "address": "local",
        "num_cpus": jobs or processors(),
        "include_dashboard": False,
        "_node_ip_address": "127.0.0.1",
    }
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address is not None:
            _knock(address)
        with _muffled():
            ray.init(**(own if address is None else {"address": address}), **quiet)
    except Exception as error:
        raise EirError(
            f"no Ray cluster could be reached at {address or 'this machine'}: {error}. Start one "
            "with `ray start --head`, and give its address and RAY_AUTH_TOKEN."
        ) from error
    if handler != signal.SIG_DFL:
        # Ray's own would end us without saving
        signal.signal(signal.SIGTERM, handler)
    module: Any = ray
    return module


def _knock(address: str) -> None:
    """Raise an OSError if nobody listens at `address`: Ray would wait for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


@contextlib.contextmanager
def _muffled() -> Iterator[None]:
    """Keep what Ray prints about itself while it starts from the terminal."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
        contextlib.redirect_stdout(nowhere),
    ):
        yield


def _on_ray(units: Sequence[Unit], jobs: int | None, address: str | None) -> Outcomes:
    ray = connect(jobs, address)
    try:
        task = ray.remote(num_cpus=1, max_retries=0)(_as_task)
        folder = os.getcwd()
        waiting = {task.remote(unit, folder): (place, 1) for place, unit in enumerate(units)}
        while waiting:
            [done], _ = ray.wait(list(waiting), num_returns=1)
            place, attempt = waiting.pop(done)
            try:
                outcome = ray.get(done)
            except ray.exceptions.RayError as error:
                reason = str(error).strip().partition("\n")[0]
                outcome = Outcome(units[place].name, False, None, 0.0, f"worker lost: {reason}")
            killed = outcome.returncode is None or outcome.returncode < 0
            if killed and attempt < ATTEMPTS:
                waiting[task.remote(units[place], folder)] = (place, attempt + 1)
            else:
                yield place, outcome
    finally:  # kills the workers, and the kernel ends the units with them
        ray.shutdown()


def _as_task(unit: Unit, folder: str) -> Outcome:
    return _Living().run(unit, folder)

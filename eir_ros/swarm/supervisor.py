"""Starts the processes of a plan, keeps them running, and ends them all.

For machines without a launch system. One thread, no polling: signals, ends of processes (pidfd)
and the operator's lines wake one `selectors` loop. Linux only, as pidfd and PR_SET_PDEATHSIG are.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from eir_ros.contract.report import ProcessExit
from eir_ros.swarm.plan import Process

#: Time between the request to end and the end by force [s].
GRACE_S: Final = 10.0
#: Waiting time before the 1st, 2nd, ... restart in a row [s]; the last one repeats.
_BACK_OFF_S: Final = (0.1, 0.5, 1.0, 1.5)
#: A process that lived this long was healthy: its next restart is a first one again [s].
_HEALTHY_S: Final = 20.0
#: After this many restarts in a row without a healthy life, something is wrong for good.
_GIVE_UP: Final = 6
#: Status of a node that was given something wrong: to start it again would not help.
_REFUSED: Final = 2

_PR_SET_PDEATHSIG: Final = 1
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Outcome:
    """How a run ended."""

    #: Every end of every process, in the order of the plan, then of time.
    exits: tuple[ProcessExit, ...]
    restarts: int
    #: Why the run ended, for the user.
    reason: str
    #: A process refused what it was given, or what it found, and so ended the run.
    refused: bool = False

    @property
    def clean(self) -> bool:
        """Whether every process ended by itself with status 0."""
        return all(end.exit == 0 for end in self.exits)


@dataclass
class _Life:
    """One running child."""

    process: Process
    popen: "subprocess.Popen[bytes]"
    pidfd: int
    started: float
    unfinished_line: bytes = b""


@dataclass
class _History:
    """What is remembered of a process over its lives."""

    exits: list[int] = field(default_factory=list)
    #: Restarts since the last healthy life.
    in_a_row: int = 0
    #: Monotonic time of the next start; None: none is due.
    due: float | None = None


class Supervisor:
    """Runs one plan to its end.

    Parameters
    ----------
    plan
        What to run; started in this order, at once.
    run_dir
        Existing folder for parameter files and logs.
    environment
        Environment of the processes.
    say
        Takes each line that is meant for the operator.
    duration_s
        Ends the run after this wall time [s]; 0: never. For plans without a world.
    grace_s
        Time between the request to end and the end by force [s].
    """

    def __init__(
        self,
        plan: Sequence[Process],
        run_dir: Path,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        duration_s: float = 0.0,
        grace_s: float = GRACE_S,
    ) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._environment = environment
        self._say = say
        self._duration_s = duration_s
        self._grace_s = grace_s
        self._history = {process.name: _History() for process in plan}
        self._lives: dict[str, _Life] = {}
        self._selector = selectors.DefaultSelector()
        self._restarts = 0
        self._reason = ""
        self._refused = False
        self._end_at: float | None = None
        self._kill_at: float | None = None

    def run(self) -> Outcome:
        """Start everything and return when all of it has ended. Call it in the main thread."""
        with self._listening_to_signals():
            try:
                for process in self._plan:
                    self._start(process)
                if self._duration_s > 0:
                    self._end_at = time.monotonic() + self._duration_s
                while self._lives or self._next_start() is not None:
                    self._wait()
            except BaseException:
                self._kill()
                for life in self._lives.values():
                    life.popen.wait()
                raise
        self._selector.close()
        exits = [
            ProcessExit(name=process.name, exit=status)
            for process in self._plan
            for status in self._history[process.name].exits
        ]
        return Outcome(tuple(exits), self._restarts, self._reason, self._refused)

    def _wait(self) -> None:
        """Sleep until something happens, and deal with it."""
        times = [t for t in (self._next_start(), self._end_at, self._kill_at) if t is not None]
        timeout = max(0.0, min(times) - time.monotonic()) if times else None
        for key, _ in self._selector.select(timeout):
            key.data()
        now = time.monotonic()
        if self._end_at is not None and now >= self._end_at:
            self._stop(f"{self._duration_s:g} s are over")
        if self._kill_at is not None and now >= self._kill_at:
            late = ", ".join(self._lives)
            self._say(f"{late}: not ended {self._grace_s:g} s after the request; killed")
            self._kill()
        for process in self._plan:
            due = self._history[process.name].due
            if due is not None and now >= due:
                self._restarts += 1
                self._start(process)

    def _log(self, process: Process) -> Path:
        return self._run_dir / "log" / f"{process.file_stem}.log"

    def _next_start(self) -> float | None:
        due = [history.due for history in self._history.values() if history.due is not None]
        return min(due, default=None)

    # Lives

    def _start(self, process: Process) -> None:
        self._history[process.name].due = None
        parameters = self._run_dir / f"{process.file_stem}.yaml"
        parameters.write_text(process.parameter_text(), encoding="utf-8")
        log_path = self._log(process)
        log_path.parent.mkdir(exist_ok=True)
        with log_path.open("ab" if self._history[process.name].exits else "wb") as log:
            popen = subprocess.Popen(
                process.command(parameters),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if process.speaks else log,
                stderr=log,
                env={**self._environment, **process.secrets},
                # out of reach of the terminal's Ctrl-C: it is for us to pass on
                start_new_session=True,
                preexec_fn=_tie_to_parent(os.getpid()),
            )
        life = _Life(process, popen, os.pidfd_open(popen.pid), time.monotonic())
        self._lives[process.name] = life
        self._selector.register(life.pidfd, selectors.EVENT_READ, lambda: self._ended(life))
        if popen.stdout is not None:
            os.set_blocking(popen.stdout.fileno(), False)
            self._selector.register(
                popen.stdout, selectors.EVENT_READ, lambda: self._pass_on_speech(life)
            )

    def _pass_on_speech(self, life: _Life) -> None:
        """Say the complete lines that are there; stop listening at the end of the stream."""
        stream = life.popen.stdout
        if stream is None or stream.closed:
            return
        data = stream.read()
        *lines, life.unfinished_line = (life.unfinished_line + (data or b"")).split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace"))
        if data == b"" or life.popen.returncode is not None:
            self._selector.unregister(stream)
            stream.close()

    def _ended(self, life: _Life) -> None:
        process, popen = life.process, life.popen
        # the zombie still holds its process id, so this reaches its own left-overs only
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        status = popen.wait()
        self._pass_on_speech(life)
        self._selector.unregister(life.pidfd)
        os.close(life.pidfd)
        del self._lives[process.name]
        self._history[process.name].exits.append(status)
        if self._reason:
            return
        if status == _REFUSED and (process.ends_run or process.restart):
            self._refused = True
            self._stop(self._failure(process, status))
        elif process.ends_run:
            self._stop("the mission is over" if status == 0 else self._failure(process, status))
        elif not process.restart:
            self._say(f"{self._failure(process, status)}; the run goes on without it")
        else:
            self._schedule_restart(life, status)

    def _failure(self, process: Process, status: int) -> str:
        """Say how a process ended, with the last line of its log: often the reason."""
        if status < 0:
            return f"{process.name} was ended by signal {-status} ({signal.strsignal(-status)})"
        lines = self._log(process).read_text(encoding="utf-8", errors="replace").split("\n")
        if status == _REFUSED:
            said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
            if said:
                return f"{process.name}: {said[-1].strip()}"
        last = next((line for line in reversed(lines) if line.strip()), "no line in its log")
        return f"{process.name} ended with status {status} ({last.strip()})"

    def _schedule_restart(self, life: _Life, status: int) -> None:
        history = self._history[life.process.name]
        now = time.monotonic()
        if now - life.started >= _HEALTHY_S:
            history.in_a_row = 0
        ending = self._failure(life.process, status)
        if history.in_a_row >= _GIVE_UP:
            self._stop(f"{ending}, again and again")
            return
        delay = _BACK_OFF_S[min(history.in_a_row, len(_BACK_OFF_S) - 1)]
        history.in_a_row += 1
        history.due = now + delay
        self._say(f"{ending}; started again in {delay:g} s")

    # The end

    @contextlib.contextmanager
    def _listening_to_signals(self) -> Iterator[None]:
        """Turn signals into bytes on a socket that the loop watches."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._signalled(ours))
        previous_fd = signal.set_wakeup_fd(theirs.fileno())
        previous = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_fd)
            self._selector.unregister(ours)
            ours.close()
            theirs.close()

    def _signalled(self, ours: socket.socket) -> None:
        for number in ours.recv(64):
            if number in _SIGNALS and self._reason:
                self._say("asked to end again: killing what still runs")
                self._kill()
            elif number in _SIGNALS:
                self._stop(signal.Signals(number).name)

    def _stop(self, reason: str) -> None:
        """Ask every process to end; the first reason is kept."""
        if self._reason:
            return
        self._reason = reason
        self._end_at = None
        self._kill_at = time.monotonic() + self._grace_s
        for history in self._history.values():
            history.due = None
        self._signal_all(signal.SIGINT)

    def _kill(self) -> None:
        self._reason = self._reason or "the supervisor failed"
        self._kill_at = None
        for history in self._history.values():
            history.due = None
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for life in self._lives.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(life.pidfd, number)


def _tie_to_parent(parent: int) -> Callable[[], None]:
    """Return what a child does between fork and exec.

    It asks the kernel for SIGTERM when its parent dies, however that dies; and it holds back
    requests to end until the node says that it can handle them (`nodes.run` lets them in), so
    that Ctrl-C during the imports ends as cleanly as later.
    """
    libc: Any = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

    return prepare

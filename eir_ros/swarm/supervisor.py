"""Starts the processes of a plan, keeps them running, and ends them all.

For machines without a launch system. One thread, no polling: signals, ends of processes (pidfd),
signs of life, orders and the operator's lines wake one `selectors` loop.
"""

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eir_ros.contract.errors import EirError
from eir_ros.contract.report import ProcessExit
from eir_ros.swarm.child import Child
from eir_ros.swarm.control import ControlServer, Order
from eir_ros.swarm.last_words import REFUSED, last_words
from eir_ros.swarm.process import Process

#: Time between the request to end and the end by force [s].
GRACE_S: Final = 10.0
#: Waiting time before the 1st, 2nd, ... restart in a row [s]; the last one repeats.
_BACK_OFF_S: Final = (0.1, 0.5, 1.0, 1.5)
#: A process that lived this long was healthy: its next restart is a first one again [s].
_HEALTHY_S: Final = 20.0
#: After this many restarts in a row without a healthy life, something is wrong for good.
_GIVE_UP: Final = 6

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
class _History:
    """What is remembered of a process over its lives."""

    exits: list[int] = field(default_factory=list)
    #: Restarts since the last healthy life.
    in_a_row: int = 0
    #: Monotonic time of the next start; None: none is due.
    due: float | None = None
    #: It came up once, so what it was given is right.
    proven: bool = False
    #: Asked to end while the run goes on: monotonic time of the end by force.
    leaving: float | None = None
    #: The computer lets nobody start it again, and the operator knows.
    stuck: bool = False


class Supervisor:
    """Runs one plan to its end.

    Parameters
    ----------
    plan
        What to run; started in this order, at once.
    run_dir
        Existing folder for parameter files, logs and the socket of `eir robot`.
    environment
        Environment of the processes.
    say
        Takes each line that is meant for the operator.
    duration_s
        Ends the run after this wall time [s]; 0: never. For plans without a world.
    grace_s
        Time between the request to end and the end by force [s].
    absent
        Robots whose processes are only started by an order.
    """

    def __init__(
        self,
        plan: Sequence[Process],
        run_dir: Path,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        duration_s: float = 0.0,
        grace_s: float = GRACE_S,
        absent: Collection[str] = (),
    ) -> None:
        self._plan = plan
        self._run_dir = run_dir
        self._environment = environment
        self._say = say
        self._duration_s = duration_s
        self._grace_s = grace_s
        self._absent = absent
        self._history = {process.name: _History() for process in plan}
        self._lives: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._restarts = 0
        self._reason = ""
        self._refused = False
        self._end_at: float | None = None
        self._kill_at: float | None = None

    def run(self) -> Outcome:
        """Start everything and return when all of it has ended. Call it in the main thread."""
        with self._listening_to_signals(), self._listening_to_orders():
            try:
                for process in self._plan:
                    if process.robot not in self._absent:
                        self._start(process)
                if self._duration_s > 0:
                    self._end_at = time.monotonic() + self._duration_s
                while self._lives or self._next_start() is not None:
                    self._wait()
            except BaseException:
                self._abandon()
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
        times, now = [*self._deadlines()], time.monotonic()
        timeout = max(0.0, min(times) - now) if times else None
        # whatever came before `now` is heard before it is judged who was silent until then: whoever
        # stops us for a while, a terminal that takes no more lines as well, silences nobody else
        for key, _ in self._selector.select(timeout):
            key.data()
        if self._end_at is not None and now >= self._end_at:
            self._stop(f"{self._duration_s:g} s are over")
        if self._kill_at is not None and now >= self._kill_at:
            late = ", ".join(self._lives)
            self._say(f"{late}: not ended {self._grace_s:g} s after the request; killed")
            self._kill()
        for life in self._lives.values():
            self._look_after(life, now)
        for process in self._plan:
            due = self._history[process.name].due
            if due is not None and now >= due:
                self._start_again(process)

    def _deadlines(self) -> Iterator[float]:
        """When something is to be done, whatever happens until then [s; steady clock]."""
        yield from (t for t in (self._next_start(), self._end_at, self._kill_at) if t is not None)
        if not self._reason:
            for name, life in self._lives.items():
                leaving = self._history[name].leaving
                yield life.silent_at if leaving is None else leaving

    def _look_after(self, life: Child, now: float) -> None:
        """End by force what hangs, or does not leave; `_ended` does the rest."""
        history = self._history[life.process.name]
        history.proven |= life.heard is not None
        if self._reason:
            return
        if history.leaving is not None and now >= history.leaving:
            life.signal(signal.SIGKILL)
            history.leaving = now + self._grace_s
        elif history.leaving is None and now >= life.silent_at and not life.is_excused(now):
            what = "has not come up" if life.heard is None else "hangs"
            self._say(f"{life.process.name} {what}: no sign of life for {now - life.last_s:.1f} s")
            life.signal(signal.SIGKILL)
            life.patient_until = now + self._grace_s

    def _log(self, process: Process) -> Path:
        return self._run_dir / "log" / f"{process.file_stem}.log"

    def _next_start(self) -> float | None:
        due = [history.due for history in self._history.values() if history.due is not None]
        return min(due, default=None)

    # Lives

    def _start(self, process: Process) -> None:
        """Give a process a life; `EirError` where the computer does not let us."""
        history = self._history[process.name]
        history.due = history.leaving = None
        log = self._log(process)
        first, again = (self._run_dir / f"{process.file_stem}{end}.yaml" for end in ("", ".again"))
        try:
            if not history.exits:
                # all that is ever written, so that a full disk keeps nobody from a second life
                first.write_text(process.parameter_text(), encoding="utf-8")
                if process.once:
                    again.write_text(process.parameter_text(again=True), encoding="utf-8")
                log.parent.mkdir(exist_ok=True)
                log.unlink(missing_ok=True)
            parameters = again if history.exits and process.once else first
            self._lives[process.name] = Child(
                process, parameters, log, self._environment, self._selector, self._ended, self._say
            )
        except OSError as error:
            raise EirError(f"{process.name} cannot be started: {error}.") from error

    def _start_again(self, process: Process) -> None:
        history = self._history[process.name]
        try:
            self._start(process)
        except EirError as error:
            # the others have nothing to do with it, and gates among them hold their robots
            history.due = time.monotonic() + _BACK_OFF_S[-1]
            if not history.stuck:
                self._say(f"{error} This is tried again and again.")
            history.stuck = True
            return
        history.stuck = False
        self._restarts += 1

    def _ended(self, life: Child) -> None:
        process = life.process
        status = life.bury()
        del self._lives[process.name]
        history = self._history[process.name]
        history.exits.append(status)
        if self._reason or history.leaving is not None:
            return
        if status == REFUSED and (process.ends_run or process.restart) and not history.proven:
            self._refused = True
            self._stop(self._failure(process, status))
        elif process.ends_run:
            self._refused = status == REFUSED
            self._stop("the mission is over" if status == 0 else self._failure(process, status))
        elif process.vital and status == REFUSED:
            self._stop(self._failure(process, status))
        elif not process.restart or status == REFUSED:
            self._say(f"{self._failure(process, status)}; the run goes on without it")
        else:
            self._schedule_restart(life, status)

    def _failure(self, process: Process, status: int) -> str:
        return last_words(process.name, status, self._log(process))

    def _schedule_restart(self, life: Child, status: int) -> None:
        history = self._history[life.process.name]
        now = time.monotonic()
        if now - life.started >= _HEALTHY_S:
            history.in_a_row = 0
        ending = self._failure(life.process, status)
        if history.in_a_row >= _GIVE_UP:
            if history.proven and not life.process.vital:
                # the others have nothing to do with it
                self._say(f"{ending}, again and again; the run goes on without it")
            else:
                self._stop(f"{ending}, again and again")
            return
        delay = _BACK_OFF_S[min(history.in_a_row, len(_BACK_OFF_S) - 1)]
        history.in_a_row += 1
        history.due = now + delay
        self._say(f"{ending}; started again in {delay:g} s")

    # Robots that come and go

    @contextlib.contextmanager
    def _listening_to_orders(self) -> Iterator[None]:
        server = ControlServer(self._run_dir, self._selector, self._obey)
        try:
            yield
        finally:
            server.close()

    def _obey(self, order: Order) -> str:
        """Carry out an order of `eir robot`; return what to answer."""
        if order.do == "list":
            return "\n".join(self._state(process) for process in self._plan)
        robots = list(dict.fromkeys(process.robot for process in self._plan if process.robot))
        if order.robot not in robots:
            raise EirError(
                f"'{order.robot}' has no processes in this run; it has {', '.join(robots)}. A "
                "policy is made for its team: for another one end the run, change the roster and "
                "start again."
            )
        if self._reason:
            raise EirError(f"the run is ending: {self._reason}.")
        own = [process for process in self._plan if process.robot == order.robot]
        return self._add(order.robot, own) if order.do == "add" else self._remove(order.robot, own)

    def _add(self, robot: str, own: Sequence[Process]) -> str:
        if any(self._history[p.name].leaving is not None and p.name in self._lives for p in own):
            raise EirError(f"{robot} is still leaving; try again in a moment.")
        idle = [p for p in own if p.name not in self._lives and self._history[p.name].due is None]
        if not idle:
            raise EirError(f"{robot} is here already; nothing was started.")
        for process in idle:
            self._history[process.name].in_a_row = 0
            self._start(process)
        self._say(f"{robot} is added: {', '.join(process.name for process in idle)}")
        return f"{robot} is added."

    def _remove(self, robot: str, own: Sequence[Process]) -> str:
        here = [p for p in own if p.name in self._lives or self._history[p.name].due is not None]
        if not here:
            raise EirError(f"{robot} is not here; nothing was ended.")
        for process in here:
            history = self._history[process.name]
            history.due, history.leaving = None, time.monotonic() + self._grace_s
            if process.name in self._lives:
                self._lives[process.name].signal(signal.SIGINT)
        self._say(f"{robot} is removed: {', '.join(process.name for process in here)}")
        return f"{robot} is removed."

    def _state(self, process: Process) -> str:
        history, life = self._history[process.name], self._lives.get(process.name)
        if life is not None:
            word = "starting" if life.heard is None else "running"
            word = word if history.leaving is None else "leaving"
        else:
            word = "waits for its restart" if history.due is not None else "not running"
        return f"{process.name}: {word}, {len(history.exits)} ended"

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
        self._signal_all(signal.SIGINT)

    def _abandon(self) -> None:
        """End everything because the supervisor itself failed; robots are told to stand first."""
        self._reason = self._reason or "the supervisor failed"
        self._signal_all(signal.SIGINT)
        end = time.monotonic() + self._grace_s
        for life in self._lives.values():
            life.wait(end - time.monotonic())
        self._kill()
        for life in self._lives.values():
            life.bury()

    def _kill(self) -> None:
        self._kill_at = None
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for history in self._history.values():
            history.due = None
        for name, life in self._lives.items():
            # asked a second time, a node that is cleaning up would die of it
            if number == signal.SIGKILL or self._history[name].leaving is None:
                life.signal(number)

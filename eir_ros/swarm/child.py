"""One life of one process: started, listened to, signalled and buried. Linux only."""

import contextlib
import os
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from eir_ros.contract.orphans import die_with_parent
from eir_ros.swarm.alive import ALIVE_VARIABLE
from eir_ros.swarm.process import Process

#: Longest wait for the first sign of life: imports and bundles on a busy computer [s].
START_S: Final = 60.0


class Child:
    """A running process of the plan.

    Parameters
    ----------
    process
        What to run; its parameter file exists.
    parameters, log
        Paths of its parameter file, and of the log to append to.
    environment
        Its environment, but for the process's own secrets.
    selector
        Watches for its end, its signs of life and its words; the data of each key is called.
    on_end, say
        Called when it has ended, and with each complete line that it says.
    """

    def __init__(
        self,
        process: Process,
        parameters: Path,
        log: Path,
        environment: Mapping[str, str],
        selector: selectors.BaseSelector,
        on_end: Callable[["Child"], None],
        say: Callable[[str], None],
    ) -> None:
        self.process = process
        self.started = time.monotonic()
        #: When the last sign of life came [s; steady clock]; None before the first.
        self.heard: float | None = None
        #: Its silence is not looked at before [s; steady clock].
        self.patient_until = 0.0
        self._selector, self._say = selector, say
        self._unfinished_line = b""
        self._pulse, theirs = os.pipe()
        os.set_blocking(self._pulse, False)
        try:
            with log.open("ab") as output:
                self._popen = subprocess.Popen(
                    process.command(parameters),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if process.speaks else output,
                    stderr=output,
                    env={**environment, ALIVE_VARIABLE: str(theirs), **process.secrets},
                    # out of reach of the terminal's Ctrl-C: it is for us to pass on
                    start_new_session=True,
                    pass_fds=(theirs,),
                    preexec_fn=_tie_to_parent(os.getpid()),
                )
        except BaseException:
            os.close(self._pulse)
            raise
        finally:
            os.close(theirs)
        self._pidfd = os.pidfd_open(self._popen.pid)
        self._schedule: int | None = None
        with contextlib.suppress(FileNotFoundError):  # a kernel that does not keep count
            self._schedule = os.open(f"/proc/{self._popen.pid}/schedstat", os.O_RDONLY)
        self._times_then = (0.0, 0.0)
        selector.register(self._pidfd, selectors.EVENT_READ, lambda: on_end(self))
        selector.register(self._pulse, selectors.EVENT_READ, self._feel_pulse)
        if self._popen.stdout is not None:
            os.set_blocking(self._popen.stdout.fileno(), False)
            selector.register(self._popen.stdout, selectors.EVENT_READ, self._pass_on_speech)

    @property
    def silent_at(self) -> float:
        """When its silence means that it hangs [s; steady clock]."""
        return max(self.patient_until, self.last_s + self._patience_s)

    @property
    def _patience_s(self) -> float:
        return START_S if self.heard is None else self.process.patience_s

    @property
    def last_s(self) -> float:
        """When it was last known to be well [s; steady clock]."""
        return self.started if self.heard is None else self.heard

    def is_excused(self, now: float) -> bool:
        """Whether it is silent because it was ready to run and not let; moves `silent_at` if so.

        On a computer with too much to do, to start it again would only add to that. What counts
        is the main thread, which gives the signs of life; a process that is stopped, waits for
        something or runs in circles is not kept waiting.
        """
        ran_s, waited_s = (x - y for x, y in zip(self._times(), self._times_then, strict=True))
        excused_until = self.last_s + self._patience_s + waited_s
        if self._is_ready():
            # the kernel counts a wait when it is over
            excused_until = max(excused_until, now + self._patience_s - ran_s)
        self.patient_until = max(self.patient_until, excused_until)
        return now < self.patient_until

    def _times(self) -> tuple[float, float]:
        """For how long it ran and was kept waiting on a run queue, since its start [s]."""
        if self._schedule is not None:
            with contextlib.suppress(ProcessLookupError):
                ran, waited, *_ = os.pread(self._schedule, 64, 0).split()
                return int(ran) * 1e-9, int(waited) * 1e-9
        return self._times_then

    def _is_ready(self) -> bool:
        """Whether it runs now, or would if it were let."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self._popen.pid}/stat").read_text(encoding="utf-8")
            return status.rpartition(")")[2].split()[0] == "R"
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, to this process and no other."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, timeout_s: float) -> None:
        """Wait for its end, not longer than this [s]; `bury` it afterwards."""
        select.select([self._pidfd], [], [], max(0.0, timeout_s))

    def bury(self) -> int:
        """Return the status of a process that has ended; nothing of it is left afterwards."""
        # the zombie still holds its process id, so this reaches its own left-overs only
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        status = self._popen.wait()
        self._feel_pulse()
        self._pass_on_speech()
        for descriptor in (self._pidfd, self._pulse):
            self._forget(descriptor)
            os.close(descriptor)
        if self._schedule is not None:
            os.close(self._schedule)
        return status

    def _feel_pulse(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if os.read(self._pulse, 4096):
                self.heard, self._times_then = time.monotonic(), self._times()
            else:
                # closed at the other end: it would be ready for ever
                self._forget(self._pulse)

    def _forget(self, descriptor: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(descriptor)

    def _pass_on_speech(self) -> None:
        """Say the complete lines that are there; stop listening at the end of the stream."""
        stream = self._popen.stdout
        if stream is None or stream.closed:
            return
        data = stream.read()
        *lines, self._unfinished_line = (self._unfinished_line + (data or b"")).split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace"))
        if data == b"" or self._popen.returncode is not None:
            self._selector.unregister(stream)
            stream.close()


def _tie_to_parent(parent: int) -> Callable[[], None]:
    """Return what a child does between fork and exec.

    It asks the kernel for SIGTERM when its parent dies, however that dies; and it holds back
    requests to end until the node says that it can handle them (`nodes.run` lets them in), so
    that Ctrl-C during the imports ends as cleanly as later.
    """

    def prepare() -> None:
        die_with_parent(parent, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

    return prepare

"""Faults that act on a process: the agent's, found beside the process that injects them.

Whoever starts the processes of a robot, `eir swarm` or `ros2 launch`, is the parent of them all, so
the agent of a robot is the sibling whose command line says so. Nobody else's process is touched.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.timeline import Span

#: What names the executable in a command line: its module, or its file in `lib/eir_ros`.
_AGENT: Final = ("eir_ros.nodes.agent", "agent")


class AgentProcess:
    """Stops, resumes and kills the agent of `robot`."""

    def __init__(self, robot: str) -> None:
        self._namespace = f"__ns:=/{robot}"
        self._robot = robot
        self._span: Span | None = None
        #: Of the process that was stopped; a handle, so that it is no other when it is resumed.
        self._stopped: int | None = None

    def update(self, span: Span | None) -> str:
        """Take the present fault; what was done to the agent, for a log, or nothing.

        Raises
        ------
        EirError
            There is no agent to do it to.
        """
        if span == self._span:
            return ""
        before, self._span = self._span, span
        if before is not None and before.kind is FaultKind.HANG:
            self.resume()
        if span is None or span.kind not in (FaultKind.HANG, FaultKind.CRASH):
            return ""
        handle = self._open()
        if span.kind is FaultKind.CRASH:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
            return f"the agent of {self._robot} is killed"
        signal.pidfd_send_signal(handle, signal.SIGSTOP)
        self._stopped = handle
        return f"the agent of {self._robot} is stopped"

    def resume(self) -> None:
        """Let a stopped agent go on, if it is still there."""
        if self._stopped is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._stopped, signal.SIGCONT)
        os.close(self._stopped)
        self._stopped = None

    def _open(self) -> int:
        for pid in _siblings():
            with contextlib.suppress(OSError):
                handle = os.pidfd_open(pid)
                # looked at again, now that the number cannot become another process's
                if self._is_agent(pid):
                    return handle
                os.close(handle)
        raise EirError(
            f"no agent of {self._robot} was started beside this process, so there is none to stop "
            "or kill; start both by `eir swarm` or `ros2 launch`."
        )

    def _is_agent(self, pid: int) -> bool:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        named = any(word == _AGENT[0] or Path(word).name == _AGENT[1] for word in words)
        return named and self._namespace in words


def _siblings() -> Iterator[int]:
    """Processes of the same parent as this one."""
    parent = os.getppid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # the name in parentheses may hold anything
                state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(state[1]) == parent:
                    yield int(entry.name)

"""Spin the nodes of one process until a signal, and end it without a traceback."""

import contextlib
import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable

import rclpy
from rclpy.exceptions import InvalidHandle, ParameterException
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from eir_ros.contract.errors import EirError
from eir_ros.nodes import sealed
from eir_ros.swarm.alive import Pulse

RCLError = rclpy_implementation.RCLError
UnknownROSArgsError = rclpy_implementation.UnknownROSArgsError

#: A process that has not ended so long after the signal says where its threads are [s].
_LATE_S = 6.0
#: Signals within so long are one request [s].
_SAME_S = 1.0


class FinishedError(Exception):
    """Raised by a callback when the node's work is done: the process ends with status 0."""


def run(factory: Callable[[], Iterable[Node]], args: list[str] | None = None) -> int:
    """Spin the nodes that `factory` makes in one thread; return the exit status.

    SIGINT and SIGTERM end the loop between two callbacks and the status is 0. Arguments that ROS
    refuses and an `EirError` of the factory or of a callback are one line on stderr and status 2.
    Anything else is a bug and keeps its traceback.
    """
    try:
        return _run(factory, args)
    finally:
        # a lifecycle node is kept by cycles, and with it the DDS participant: left to the C++ exit
        # handlers, it now and then crashes or hangs there, racing with its own threads
        gc.unfreeze()
        gc.collect()
        with contextlib.suppress(RCLError):
            rclpy.try_shutdown()
        # the interpreter takes its handlers away before it ends, and the same Ctrl-C may still come
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(factory: Callable[[], Iterable[Node]], args: list[str] | None) -> int:
    stop = _Stop()
    try:
        _begin(args)
        _spin(factory, stop)
    except (FinishedError, ExternalShutdownException, ShutdownException):
        return 0
    except (EirError, ParameterException) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2
    except (RCLError, InvalidHandle):
        # a context that goes down under a running take or wait
        if not stop.asked:
            raise
    return 0


def _begin(args: list[str] | None) -> None:
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except UnknownROSArgsError as error:
        raise EirError(f"unknown arguments after --ros-args: {error}") from error
    except RCLError as error:
        # a parameter file that is none, a malformed remapping, a ROS_DOMAIN_ID that is no number
        reason, *_ = str(error).removeprefix("failed to initialize rcl: ").split(", at /")
        raise EirError(f"ROS 2 refuses what the node was started with: {reason}") from error


def _spin(factory: Callable[[], Iterable[Node]], stop: "_Stop") -> None:
    pulse = Pulse()
    executor = SingleThreadedExecutor()
    nodes: list[Node] = []
    try:
        for node in factory():
            nodes.append(node)
            executor.add_node(node)
        if sealed.is_wanted():
            sealed.check()
        stop.wakes(executor)
        # what exists by now stays: keep it out of every later collection
        gc.collect()
        gc.freeze()
        while not stop.asked:
            pulse.beat()
            executor.spin_once(timeout_sec=pulse.wait_s)
    finally:
        stop.wakes(None)
        executor.shutdown()
        for node in nodes:
            with contextlib.suppress(RCLError, InvalidHandle):
                node.destroy_node()


class _Stop:
    """Signals as a flag and a wake-up of the executor, instead of an exception anywhere.

    rclpy's own handler raises KeyboardInterrupt, which can surface in the middle of taking a
    message. A Python handler alone would only run when the wait returns; so the interpreter writes
    the signal into a pipe, and a thread that reads it wakes the executor. A second signal ends
    the process at once, whatever it is doing; within a second it is the same Ctrl-C, which the
    terminal and a launch system may both pass on.
    """

    def __init__(self) -> None:
        self.asked = False
        self._executor: SingleThreadedExecutor | None = None
        self._pipe, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
            signal.siginterrupt(number, False)
        # a starter may hold signals back until somebody here listens
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def wakes(self, executor: SingleThreadedExecutor | None) -> None:
        """Wake this executor at a signal; None: none, and keep nothing of the last one alive."""
        self._executor = executor

    def _watch(self) -> None:
        os.read(self._pipe, 1)
        # what still holds the process by then stands in its log, for whoever must kill it
        faulthandler.dump_traceback_later(_LATE_S)
        self.asked = True
        self._wake()
        asked_s = time.monotonic()
        while time.monotonic() - asked_s < _SAME_S:
            os.read(self._pipe, 1)
        os._exit(130)

    def _wake(self) -> None:
        executor = self._executor
        if executor is not None:
            with contextlib.suppress(RCLError, InvalidHandle, AttributeError):
                executor.create_task(lambda: None)

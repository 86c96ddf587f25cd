"""Carries a schedule out on a running swarm, and says on /diagnostics what it does and sees."""

import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool

from benchmarks.chaos.garbage import INPUTS, make
from benchmarks.chaos.invariants import MARK
from benchmarks.chaos.schedule import Kind, Strike
from benchmarks.chaos.swarm import Swarm
from eir_ros.nodes import messages, qos

#: Messages per second of a flood, and of garbage.
FLOOD_HZ, GARBAGE_HZ = 1000.0, 20.0
_BEAT_S: Final = 0.1
#: How often is looked who runs [s].
_LOOK_S: Final = 0.2
#: By which a clock jumps [s].
_JUMP_S: Final = 3600


class Actor:
    """Strikes, and keeps watch while it does."""

    def __init__(self, swarm: Swarm, team: Sequence[str], seed: int) -> None:
        self._swarm, self._rng = swarm, np.random.default_rng([seed, 1])
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = Node("chaos", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clock = messages.time_of(0)
        self._node.create_subscription(Clock, "/clock", self._on_clock, qos.CLOCK)
        self._marks = self._node.create_publisher(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self._estop = self._node.create_publisher(Bool, "/swarm/estop", qos.ESTOP)
        self._faults = {r: AsyncParameterClient(self._node, f"/{r}/fault") for r in team}
        self._here: dict[str, int] = {}
        self._next_beat = self._next_look = 0.0
        #: How many times it was told that the recorder should still be there.
        self.beats = 0

    def _on_clock(self, message: Clock) -> None:
        # what jumps is not the mission's time
        if message.clock.sec < _JUMP_S:
            self._clock = message.clock

    def wait_for_start(self, timeout_s: float) -> bool:
        """Whether the robots move, at last after `timeout_s`."""
        end = time.monotonic() + timeout_s
        while self._clock.sec < 1 and time.monotonic() < end and self._swarm.runs:
            self._executor.spin_once(timeout_sec=0.05)
        return self._clock.sec >= 1

    def run(self, strikes: Sequence[Strike], duration_s: float, say: Callable[[str], None]) -> None:
        """Carry the schedule out; it takes `duration_s`."""
        begun = time.monotonic()
        for strike in strikes:
            self.watch(begun + strike.at_s - time.monotonic())
            say(str(strike))
            self._mark("strike", strike)
            self._strike(strike)
            self._mark("over", strike)
        self.watch(begun + duration_s - time.monotonic())

    def watch(self, duration_s: float, act: Callable[[], None] | None = None) -> None:
        """Look who runs, tell that time goes on, and `act` again and again, for a while."""
        end = time.monotonic() + duration_s
        while (now := time.monotonic()) < end:
            if now >= self._next_beat:
                self._next_beat = now + _BEAT_S
                self.beats += 1
                self._tell(event="beat", number=self.beats)
            if now >= self._next_look:
                self._next_look = now + _LOOK_S
                self._look()
            if act is not None:
                act()
            self._executor.spin_once(timeout_sec=0.0 if act else min(0.05, end - now))

    def _look(self) -> None:
        now = {name: child.pid for name, child in self._swarm.processes().items()}
        for name, pid in now.items():
            if self._here and self._here.get(name) != pid:
                self._tell(event="back", target=name)
        for name, pid in self._here.items():
            if now.get(name) != pid:
                self._tell(event="gone", target=name)
        # who is on its way back was there, too
        self._here = now

    def _mark(self, event: str, strike: Strike) -> None:
        self._tell(event=event, kind=strike.kind, target=strike.target, what=strike.what)

    def _tell(self, **values: Any) -> None:
        self._marks.publish(messages.diagnostics(self._clock, messages.status(MARK, values)))

    def _strike(self, strike: Strike) -> None:
        match strike.kind:
            case Kind.KILL | Kind.HANG:
                struck = self._swarm.processes().get(strike.target)
                number = signal.SIGKILL if strike.kind is Kind.KILL else signal.SIGSTOP
                if struck is not None:
                    struck.send_signal(number)
            case Kind.INVALID:
                topic, spoil = strike.what.split()
                self._pour(strike, topic, spoil, GARBAGE_HZ)
            case Kind.FLOOD:
                self._pour(strike, strike.what, "plain", FLOOD_HZ)
            case Kind.CLOCK:
                self._jump(strike.for_s)
            case Kind.TIME:
                # ahead only: set back, DDS would wait for the hour to come round again
                self._swarm.set_ahead(strike.target, _JUMP_S)
            case Kind.FLAP:
                self._swarm.plug(strike.target, into=False)
                self.watch(strike.for_s)
                self._swarm.plug(strike.target, into=True)
            case Kind.FAULT:
                self._break(strike.target, strike.what)
                self.watch(strike.for_s)
                self._break(strike.target, "none")
            case Kind.ESTOP:
                self._estop.publish(Bool(data=True))
                self.watch(strike.for_s)
                self._estop.publish(Bool(data=False))

    def _pour(self, strike: Strike, topic: str, spoil: str, rate_hz: float) -> None:
        """Send messages that somebody else should send, or that nobody should."""
        kind, profile = INPUTS[topic]
        publisher = self._node.create_publisher(kind, f"/{strike.target}/{topic}", profile)
        due = time.monotonic()

        def send() -> None:
            nonlocal due
            if time.monotonic() < due:
                time.sleep(0.0005)
                return
            due += 1.0 / rate_hz
            publisher.publish(make(topic, spoil, strike.target, self._clock, self._rng))

        self.watch(strike.for_s, send)
        self._node.destroy_publisher(publisher)

    def _jump(self, for_s: float) -> None:
        """An hour ahead, and back to what the world says."""
        publisher = self._node.create_publisher(Clock, "/clock", qos.CLOCK)
        self.watch(0.3)
        ahead = messages.time_of(messages.nanoseconds_of(self._clock) + _JUMP_S * 1_000_000_000)
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            publisher.publish(Clock(clock=ahead))
            self.watch(0.25)
        self._node.destroy_publisher(publisher)

    def _break(self, robot: str, kind: str) -> None:
        client = self._faults[robot]
        if client.services_are_ready():
            client.set_parameters([Parameter("kind", value=kind)])

    def kill_recorder(self) -> None:
        """SIGKILL, between two beats."""
        self._swarm.processes()["recorder"].send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

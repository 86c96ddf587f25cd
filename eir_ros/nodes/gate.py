"""The gate of one robot as a lifecycle node: the last hand on the wheel before the motors.

The rules are in `eir_ros.safety`. With the parameter `with_fault` the robot's fault node runs in
the same process, in front of the gate like everybody else.
"""

import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from eir_ros.contract.frames import Pose, compose
from eir_ros.contract.lease import REMAINS_S
from eir_ros.nodes import clouds, messages, qos, realtime
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.estop import EStopListener
from eir_ros.nodes.gate_report import GateReport
from eir_ros.nodes.gate_settings import Parameters
from eir_ros.nodes.graph import Shared
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import run
from eir_ros.nodes.trust_report import decode as decode_trust
from eir_ros.safety.gate import Allowed, Gate, Track
from eir_ros.safety.order import InOrder

#: How long after the last command, and how often from then on, the gate looks again [s].
WATCHDOG_S: Final = 0.05

#: Before every input is there, nothing is said: a base that nobody drives stands by itself.
_NOT_YET: Final = ("no_command", "no_odom", "no_tracks")

#: What only one node may send: another one's commands pass the gate by, and of two that sense none
#: is to be trusted.
_OWNED: Final = ("cmd_vel", "cmd_vel_faulty", "odom", "tracks")


class GateNode(LifecycleNode):
    """See the module; publishes nothing before it is active.

    Raises
    ------
    EirError
        A parameter is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("gate", **options)
        self.settings = declare(self, Parameters)
        self._gate = Gate(self.settings.limits())
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._simulated = self.get_parameter("use_sim_time").value
        self._stamp_s = 0.0
        self._quarantined: frozenset[int] = frozenset()
        self._active = False
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        if self.settings.autostart:
            for transition in (self.trigger_configure, self.trigger_activate):
                if transition() != TransitionCallbackReturn.SUCCESS:
                    raise RuntimeError(f"{transition.__name__} failed")
        realtime.request(self, self.settings.realtime_priority)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Connect; the e-stop is heard from here on."""
        self._told = GateReport(self.settings.robot)
        self._open_at: float | None = None
        publish = self.create_lifecycle_publisher
        self._command_pub = publish(TwistStamped, "cmd_vel", qos.COMMAND)
        self._diagnostics_pub = publish(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self._events_pub = publish(DiagnosticArray, "gate_events", qos.EVENT)
        self._outputs = [self._command_pub, self._diagnostics_pub, self._events_pub]
        self._inputs = [*EStopListener(self, self._on_estop).subscriptions]
        if self._gate.limits.separation_m > 0:
            self._sense(PointCloud2, "tracks", self._on_tracks)
            self._inputs.append(
                self.create_subscription(DiagnosticArray, "trust", self._on_trust, qos.EVENT)
            )
        if self._gate.limits.obstacle_m > 0:
            self._sense(PointCloud2, "obstacles", self._on_obstacles)
        self._sense(Odometry, "odom", self._on_odometry)
        self._inputs.append(
            self.create_subscription(TwistStamped, "cmd_vel_faulty", self._on_command, qos.COMMAND)
        )
        self._shared = Shared(self, _OWNED, REMAINS_S)
        self._watchdog = self.create_timer(WATCHDOG_S, self._on_silence, clock=self._steady)
        self._reporter = self.create_timer(1.0, self._report, clock=self._steady)
        return super().on_configure(state)

    def _sense(self, kind: Any, topic: str, callback: Callable[[Any], None]) -> None:
        profile = qos.sensor(max(0.5, 2 * self.settings.command_timeout_s))
        self._inputs.append(
            self.create_subscription(
                kind, topic, callback, profile, qos_overriding_options=qos.OVERRIDES
            )
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let commands through from now on; what came before does not count."""
        estop = self._gate.estop
        self._gate = Gate(self.settings.limits())
        self._gate.estop = estop
        self._gate.quarantine(self._quarantined)
        self._stamps: dict[str, Time] = {}
        self._odom_frame = ""
        self._order = {name: InOrder() for name in ("odom", "tracks", "obstacles", "command")}
        #: In lockstep, the command whose senses are not here yet.
        self._waiting: TwistStamped | None = None
        #: The newest command, until the motors have been told.
        self._pending: TwistStamped | None = None
        self._sensed_s = {"odom": -math.inf, "tracks": -math.inf}
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stand, then say nothing more."""
        self._stand()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of every topic."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stand and let go."""
        if self._active:
            self.on_deactivate(state)
        self._release()
        return super().on_shutdown(state)

    def destroy_node(self) -> None:
        """Stand before the process ends."""
        if self._active:
            self._stand()
        super().destroy_node()

    def _stand(self) -> None:
        self._active = False
        self._send(Allowed(0.0, 0.0, "no_command"))
        # what gets lost on the way is sent again, but not by a publisher that is gone
        self._command_pub.wait_for_all_acked(Duration(seconds=0.2))

    def _release(self) -> None:
        for timer in list(self.timers):
            self.destroy_timer(timer)
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._inputs, self._outputs = [], []

    # Inputs

    def _on_estop(self, on: bool) -> None:
        pressed, self._gate.estop = on and not self._gate.estop, on
        if self._active and pressed:
            self._send(self._gate.send(self._now()))

    def _in_order(self, name: str, stamp: Time) -> bool:
        """Whether a message is heard: the node is active, and no later one has come before."""
        return self._active and self._order[name].accepts(_seconds(stamp))

    def _is_news(self, name: str, stamp: Time) -> bool:
        """Whether a sense that is heard knows anything new.

        A driver that repeats itself does not; but simulated time may well stand still.
        """
        if not self._in_order(name, stamp):
            return False
        last = self._stamps.get(name)
        self._stamps[name] = stamp
        return self._simulated or stamp != last

    def _on_odometry(self, message: Odometry) -> None:
        stamp, frame = message.header.stamp, message.header.frame_id
        if not self._is_news("odom", stamp):
            return
        try:
            messages.check_origin(frame, self.settings.odom_in_map)
            if self._odom_frame not in ("", frame):
                raise InvalidMessageError(f"was in '{self._odom_frame}' and is in '{frame}' now")
            x, y, yaw = messages.decode_odometry(message).pose
        except InvalidMessageError as error:
            # as good as none: it goes stale
            self._told.invalid("odom", error)
            return
        self._odom_frame = frame
        self._told.odom_age(self.get_clock().now().nanoseconds / 1e9 - _seconds(stamp))
        place = compose(self.settings.odom_in_map, (x, y, yaw))
        self._gate.odometry(*place, now=self._now(stamp))
        self._sensed_at("odom", stamp)

    def _on_tracks(self, message: PointCloud2) -> None:
        seen = self._tracks("tracks", message)
        if seen is not None:
            self._gate.tracks(seen, self._now(message.header.stamp))
            self._sensed_at("tracks", message.header.stamp)

    def _on_trust(self, message: DiagnosticArray) -> None:
        """Keep a larger distance from whom this robot's own agent has quarantined."""
        with contextlib.suppress(InvalidMessageError):
            self._quarantined = decode_trust(message).quarantined
            self._gate.quarantine(self._quarantined)

    def _on_obstacles(self, message: PointCloud2) -> None:
        seen = self._tracks("obstacles", message)
        if seen is not None:
            self._gate.obstacles(seen.values(), self._now(message.header.stamp))

    def _tracks(self, name: str, message: PointCloud2) -> dict[int, Track] | None:
        """What a cloud shows, by id, in the map; None where it is as good as none."""
        header = message.header
        if not self._is_news(name, header.stamp):
            return None
        try:
            if self._odom_frame and header.frame_id != self._odom_frame:
                raise InvalidMessageError(f"are in '{header.frame_id}', not '{self._odom_frame}'")
            points = clouds.decode(message, clouds.TRACKS)
        except InvalidMessageError as error:
            self._told.invalid(name, error)
            return None
        origin = self.settings.odom_in_map
        turned: Pose = (0.0, 0.0, origin[2])
        return {
            number: Track(*compose(origin, (x, y, 0.0))[:2], *compose(turned, (vx, vy, 0.0))[:2])
            for number, x, y, _, vx, vy, _ in points.tolist()
        }

    def _sensed_at(self, name: str, stamp: Time) -> None:
        self._sensed_s[name] = _seconds(stamp)
        if self._waiting is not None and self._knows(self._waiting):
            self._answer(self._waiting)

    def _knows(self, message: TwistStamped) -> bool:
        """Whether the senses of the tick of a command are here."""
        tick_s = _seconds(message.header.stamp)
        blind = self._gate.limits.separation_m <= 0
        return self._sensed_s["odom"] == tick_s and (blind or self._sensed_s["tracks"] == tick_s)

    def _on_command(self, message: TwistStamped) -> None:
        if self._only_listens() or not self._in_order("command", message.header.stamp):
            return
        if self.settings.lockstep and not self._knows(message):
            self._waiting = message
            return
        self._answer(message)

    def _answer(self, message: TwistStamped) -> None:
        self._waiting = None
        now = self._now(message.header.stamp)
        try:
            v, w = map(float, messages.decode_twist(message))
        except InvalidMessageError:
            v = w = math.nan
        self._gate.command(v, w, now)
        self._watchdog.reset()
        self._pending = message
        self._told.command()
        self._tell_motors(now)

    def _on_silence(self) -> None:
        # in lockstep only a command is answered: an old one would pass for that of another tick
        if self._active and not self.settings.lockstep and not self._only_listens():
            self._tell_motors(self._now())

    def _tell_motors(self, now: float) -> None:
        """Send what may be sent, if it is due: an answer to a command, or less than the last."""
        allowed = self._gate.decide(now)
        self._note(allowed)
        answers = self._pending
        if allowed.reason in _NOT_YET or not (answers or allowed.reason):
            return
        if not (self.settings.lockstep or self._gate.due(allowed, now)):
            return
        self._pending = None
        self._gate.send(now)
        if answers is not None and not allowed.reason:
            self._command_pub.publish(answers)
        else:
            self._send(allowed, answers)

    def _only_listens(self) -> bool:
        """Whether the gate has just started, and an e-stop that somebody keeps may be on its way.

        A release does not end this early, because it may be older than a stop that is found later.
        """
        now = self._steady_s()
        if self._open_at is None:
            # counted from the first callback: starting the process may take longer than the wait
            self._open_at = now + self.settings.estop_wait_s
        return now < self._open_at and not self._gate.estop

    # Outputs

    def _send(self, allowed: Allowed, answers: TwistStamped | None = None) -> None:
        if answers is not None:
            header = answers.header
            stamp, frame = header.stamp, header.frame_id
        else:
            stamp, frame = self.get_clock().now().to_msg(), f"{self.settings.robot}/base_link"
        self._command_pub.publish(messages.encode_twist(np.array(allowed[:2]), stamp, frame))

    def _note(self, allowed: Allowed) -> None:
        event = self._told.note(allowed, self._gate.asked)
        if event is not None:
            if allowed.reason in ("estop", *GateReport.SILENT):
                self.get_logger().warning(f"stops the robot: {allowed.reason}")
            stamp = self.get_clock().now().to_msg()
            self._events_pub.publish(messages.diagnostics(stamp, event))

    def _report(self) -> None:
        for line in self._told.shared(self._shared.look(self._steady_s())):
            self.get_logger().error(line)
        status = self._told.status(self._gate)
        self._diagnostics_pub.publish(messages.diagnostics(self.get_clock().now().to_msg(), status))

    def _now(self, stamp: Time | None = None) -> float:
        """Steady time [s], which never stands still nor jumps, whatever the simulation does.

        In lockstep the time of the messages, so that the same run has the same brakes.
        """
        if not self.settings.lockstep:
            return self._steady_s()
        if stamp is not None:
            self._stamp_s = _seconds(stamp)
        return self._stamp_s

    def _steady_s(self) -> float:
        return self._steady.now().nanoseconds * 1e-9


def _seconds(stamp: Time) -> float:
    return messages.nanoseconds_of(stamp) * 1e-9


def _nodes() -> Iterator[Node]:
    gate = GateNode()
    yield gate
    if gate.settings.with_fault:
        # only here, so that a gate without faults does not load what a fault needs
        from eir_ros.nodes.fault import FaultNode

        yield FaultNode()


def main() -> None:
    """Run the gate, with the fault node if asked for, as a process of its own."""
    sys.exit(run(_nodes))


if __name__ == "__main__":
    main()

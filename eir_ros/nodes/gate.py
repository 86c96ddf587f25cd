"""The gate of one robot as a lifecycle node: the last hand on the wheel before the motors.

The rules are in `eir_ros.safety.gate`. With the parameter `with_fault` the robot's fault node runs
in the same process, in front of the gate like everybody else.
"""

import math
import sys
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from pydantic import Field as Setting
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.frames import Pose, compose
from eir_ros.nodes import messages, qos, realtime
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.estop import EStopListener
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import run
from eir_ros.safety.gate import Allowed, Gate, GateLimits

#: How long after the last command, and how often from then on, the gate looks again [s].
WATCHDOG_S: Final = 0.05

#: Before every input is there, nothing is said: a base that nobody drives stands by itself.
_NOT_YET: Final = ("no_command", "no_odom")

#: Reasons that mean: an input that should be there is not.
_SILENT: Final = ("stale_command", "invalid_command", "stale_odom")


class Parameters(Schema):
    """Parameters of the gate node."""

    robot: str = Setting(description="Name of this robot")
    max_speed: float = Setting(0.5, ge=0.01, le=5.0, description="[m/s]")
    max_yaw_rate: float = Setting(3.0, ge=0.01, le=20.0, description="[rad/s]")
    max_deceleration: float = Setting(
        3.0, ge=0.01, le=50.0, description="Of the stop that follows silence [m/s^2]"
    )
    command_timeout_s: float = Setting(
        0.25, ge=0.01, le=600.0, description="Older commands and odometry are stale"
    )
    reaction_s: float = Setting(
        0.3, ge=0.01, le=5.0, description="From measuring a pose until the next command acts"
    )
    fence: tuple[float, ...] = Setting(
        (), description="xmin, ymin, xmax, ymax of the area to stay in [m; map]; empty: no fence"
    )
    odom_in_map: Pose = Setting(
        (0.0, 0.0, 0.0), description="Origin x, y, yaw of the odometry [m, m, rad; map]"
    )
    estop_wait_s: float = Setting(
        1.0,
        ge=0.0,
        le=60.0,
        description="After its start only listen for so long, for an e-stop that is kept [s]",
    )
    with_fault: bool = Setting(False, description="Run the robot's fault node in this process")
    realtime_priority: int = realtime.PRIORITY
    autostart: bool = Setting(True, description="Configure and activate without being told")

    def limits(self) -> GateLimits:
        """The numbers of the rules; `EirError` when they make no sense together."""
        values = {name: getattr(self, name) for name in GateLimits.model_fields}
        return validate(values | {"fence": self.fence or None}, GateLimits, where="gate")


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
        self._commands = self._reduced = self._stale = 0
        self._open_at: float | None = None
        self._reason = self._last_reason = ""
        publish, subscribe = self.create_lifecycle_publisher, self.create_subscription
        self._command_pub = publish(TwistStamped, "cmd_vel", qos.COMMAND)
        self._diagnostics_pub = publish(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self._outputs = [self._command_pub, self._diagnostics_pub]
        self._inputs = [
            *EStopListener(self, self._on_estop).subscriptions,
            subscribe(
                Odometry,
                "odom",
                self._on_odometry,
                qos.sensor(max(0.5, 2 * self.settings.command_timeout_s)),
                qos_overriding_options=qos.OVERRIDES,
            ),
            subscribe(TwistStamped, "cmd_vel_faulty", self._on_command, qos.COMMAND),
        ]
        self._watchdog = self.create_timer(WATCHDOG_S, self._on_silence, clock=self._steady)
        self._reporter = self.create_timer(1.0, self._report, clock=self._steady)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let commands through from now on; what came before does not count."""
        estop = self._gate.estop
        self._gate = Gate(self.settings.limits())
        self._gate.estop = estop
        self._pose_stamp: Time | None = None
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
        self._publish(Allowed(0.0, 0.0, "no_command"))
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
            self._publish(self._gate.decide(self._now()))

    def _on_odometry(self, message: Odometry) -> None:
        if not self._active:
            return
        stamp = message.header.stamp
        if stamp == self._pose_stamp and not self._simulated:
            # a driver that repeats itself knows nothing new; simulated time may well stand still
            return
        self._pose_stamp = stamp
        try:
            x, y, yaw = messages.decode_odometry(message).pose
        except InvalidMessageError:
            # as good as none: it goes stale
            return
        self._gate.odometry(*compose(self.settings.odom_in_map, (x, y, yaw)), now=self._now())

    def _on_command(self, message: TwistStamped) -> None:
        now = self._now()
        if self._only_listens(now) or not self._active:
            return
        try:
            v, w = map(float, messages.decode_twist(message))
        except InvalidMessageError:
            v = w = math.nan
        self._gate.command(v, w, now)
        self._commands += 1
        self._watchdog.reset()
        allowed = self._gate.decide(now)
        self._note(allowed)
        if not allowed.reason:
            self._command_pub.publish(message)
            return
        self._reduced += 1
        if allowed.reason not in _NOT_YET:
            self._publish(allowed, message)

    def _on_silence(self) -> None:
        now = self._now()
        if self._only_listens(now) or not self._active:
            return
        allowed = self._gate.decide(now)
        self._note(allowed)
        if allowed.reason and allowed.reason not in _NOT_YET:
            self._publish(allowed)

    def _only_listens(self, now: float) -> bool:
        """Whether the gate has just started, and an e-stop that somebody keeps may be on its way.

        A release does not end this early, because it may be older than a stop that is found later.
        """
        if self._open_at is None:
            # counted from the first callback: starting the process may take longer than the wait
            self._open_at = now + self.settings.estop_wait_s
        return now < self._open_at and not self._gate.estop

    # Outputs

    def _publish(self, allowed: Allowed, answers: TwistStamped | None = None) -> None:
        if answers is not None:
            header = answers.header
            stamp, frame = header.stamp, header.frame_id
        else:
            stamp, frame = self.get_clock().now().to_msg(), f"{self.settings.robot}/base_link"
        self._command_pub.publish(messages.encode_twist(np.array(allowed[:2]), stamp, frame))

    def _note(self, allowed: Allowed) -> None:
        if allowed.reason == self._reason:
            return
        if allowed.reason in _SILENT:
            self._stale += 1
        if allowed.reason in (*_SILENT, "estop"):
            self.get_logger().warning(f"stops the robot: {allowed.reason}")
        self._reason = allowed.reason
        self._last_reason = allowed.reason or self._last_reason

    def _report(self) -> None:
        reason = self._gate.decide(self._now()).reason
        values = {
            "state": reason or "nominal",
            "commands": self._commands,
            "reduced": self._reduced,
            "stale": self._stale,
            "last_reason": self._last_reason,
            "estop": self._gate.estop,
        }
        found = messages.status(
            f"{self.settings.robot}/gate",
            values,
            hardware_id=self.settings.robot,
            message=reason or "nominal",
            level=DiagnosticStatus.WARN if reason else DiagnosticStatus.OK,
        )
        self._diagnostics_pub.publish(messages.diagnostics(self.get_clock().now().to_msg(), found))

    def _now(self) -> float:
        """Steady time [s]: never stands still, never jumps, whatever the simulation does."""
        return self._steady.now().nanoseconds * 1e-9


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

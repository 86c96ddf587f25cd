"""The agent of one robot as a lifecycle node: senses by topics, decides, commands.

Everything that is not ROS is in `eir_ros.policy.agent_core` and `eir_ros.nodes.inbox`.
"""

import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from eir_ros.contract.errors import EirError
from eir_ros.contract.frames import MAP
from eir_ros.contract.trust import parse_order
from eir_ros.contract.types import teammates
from eir_ros.nodes import clouds, messages, qos, realtime
from eir_ros.nodes.agent_report import Counters, belief_points, decision_status
from eir_ros.nodes.agent_settings import Parameters
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.inbox import Inbox
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import run
from eir_ros.nodes.trust_report import TrustReport
from eir_ros.policy.agent_core import CALM, Answer, Decided, load_agent
from eir_ros.safety.trust import Ladder, Step


class Agent(LifecycleNode):
    """See the module; publishes nothing before it is active.

    Raises
    ------
    EirError
        A parameter is wrong, or, with `autostart`, the bundle is refused.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("agent", **options)
        self.settings = declare(self, Parameters, changeable=frozenset({"trust_order"}))
        if self.settings.robot not in self.settings.team:
            raise EirError(
                f"robot '{self.settings.robot}' is not in the team {', '.join(self.settings.team)}."
            )
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._active = self._stopped = False
        self._inputs, self._outputs = list[Any](), list[Any]()
        self._refusal: EirError | None = None
        if self.settings.autostart:
            for transition in (self.trigger_configure, self.trigger_activate):
                if transition() != TransitionCallbackReturn.SUCCESS:
                    raise self._refusal or RuntimeError(f"{transition.__name__} failed")
        self.add_on_set_parameters_callback(self._on_check)
        realtime.request(self, self.settings.realtime_priority)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, verify and try the bundle; refuse with a sentence."""
        try:
            self._configure()
        except EirError as error:
            self._refusal = error
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:
            # rclpy would swallow it
            traceback.print_exc()
            return TransitionCallbackReturn.ERROR
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start a mission from the prior belief."""
        self._restart()
        self.get_logger().info("active; every belief starts from its prior")
        self._active = True
        self._reporter.reset()
        self._watchdog.reset()
        done = super().on_activate(state)
        self._tell_trust(None)
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stand, then say nothing more."""
        self._stand("ended")
        self._sleep()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the bundle and of every topic."""
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
            self._stand("ended")
        super().destroy_node()

    def _configure(self) -> None:
        settings = self.settings
        keys = Path(settings.trusted_keys) if settings.trusted_keys else None
        index = settings.team.index(settings.robot)
        ladder, mates = settings.ladder(), len(settings.team) - 1
        bundle, self._core = load_agent(
            settings.bundle,
            keys,
            index,
            len(settings.team),
            lambda threshold: Ladder(ladder, mates, threshold),
        )
        manifest = bundle.manifest
        self._inbox = Inbox(manifest.task, index, settings.odom_in_map)
        self._mates = teammates(len(settings.team))[index]
        self._trust = TrustReport(settings.robot, settings.team, self._mates)
        self._identity = f"{manifest.name} v{manifest.version} {bundle.digest[:12]}"
        self._base_frame = f"{settings.robot}/base_link"
        self._counters = Counters()
        self._restart()
        self._connect()

    def _connect(self) -> None:
        deadline_s = self.settings.input_deadline_s
        sensor = qos.sensor(deadline_s)
        self._outputs = [
            self.create_lifecycle_publisher(kind, topic, profile)
            for kind, topic, profile in (
                (TwistStamped, "cmd_vel_policy", qos.COMMAND),
                (PointCloud2, "beliefs", qos.EVENT),
                (DiagnosticArray, "decision", qos.EVENT),
                (DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS),
                (DiagnosticArray, "trust", qos.EVENT),
            )
        ]
        self._command_pub, self._beliefs_pub, self._decision_pub = self._outputs[:3]
        self._report_pub, self._trust_pub = self._outputs[3:]
        self._inputs = [
            self.create_subscription(
                kind, topic, callback, sensor, qos_overriding_options=qos.OVERRIDES
            )
            for kind, topic, callback in (
                (Odometry, "odom", self._on_odometry),
                (PointCloud2, "tracks", self._on_tracks),
                (PointCloud2, "sites", self._on_sites),
            )
        ]
        self._inputs.append(
            self.create_subscription(DiagnosticArray, "gate_events", self._on_gate, qos.EVENT)
        )
        # activation and every complete tick wind it up, so it only fires when inputs are missing
        self._watchdog = self.create_timer(deadline_s, self._on_silence, clock=self._steady)
        self._reporter = self.create_timer(1.0, self._report, clock=self._steady)
        self._sleep()

    def _sleep(self) -> None:
        self._active = False
        self._watchdog.cancel()
        self._reporter.cancel()

    def _release(self) -> None:
        for timer in list(self.timers):
            self.destroy_timer(timer)
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._inputs, self._outputs = [], []

    def _restart(self) -> None:
        """Begin a mission: beliefs from the prior, nothing received yet."""
        self._core.reset()
        self._counters.since_prior = 0
        self._inbox.forget()
        self._last_command: TwistStamped | None = None
        self._odom_frame = ""
        self._last_seen = np.zeros((len(self._mates), 2))

    # Inputs

    def _on_odometry(self, message: Odometry, info: dict[str, int]) -> None:
        if not self._active:
            return
        stamp = message.header.stamp
        last = self._last_command
        if last is not None and last.header.stamp == stamp:
            # sent again, because time stands still or somebody missed the answer
            self._watchdog.reset()
            self._command_pub.publish(last)
            return
        tick = self._inbox.tick_of(messages.nanoseconds_of(stamp))
        if self._inbox.went_back(tick):
            self._restart()
            self._tell_trust(None)
        try:
            messages.check_origin(message.header.frame_id, self.settings.odom_in_map)
            self._inbox.odometry(tick, messages.decode_odometry(message))
        except InvalidMessageError as error:
            self._refuse(f"odom {error}", tick)
            return
        self._odom_frame = message.header.frame_id
        self._answer(info)

    def _on_tracks(self, message: PointCloud2, info: dict[str, int]) -> None:
        self._on_cloud("tracks", message, info, self._odom_frame or message.header.frame_id)

    def _on_sites(self, message: PointCloud2, info: dict[str, int]) -> None:
        self._on_cloud("sites", message, info, MAP)

    def _on_cloud(self, name: str, message: PointCloud2, info: dict[str, int], frame: str) -> None:
        if not self._active:
            return
        tick = self._inbox.tick_of(messages.nanoseconds_of(message.header.stamp))
        try:
            if message.header.frame_id != frame:
                raise InvalidMessageError(f"are in '{message.header.frame_id}', not in '{frame}'")
            if name == "tracks":
                self._inbox.tracks(tick, clouds.decode(message, clouds.TRACKS))
            else:
                self._inbox.sites(tick, clouds.decode(message, clouds.SITES))
        except InvalidMessageError as error:
            self._refuse(f"{name} {error}", tick)
            return
        self._answer(info)

    def _on_gate(self, message: DiagnosticArray) -> None:
        """Learn from the own gate, and so no later than it, that the e-stop ended."""
        for status in message.status:
            self._stopped = messages.values_of(status).get("reason") == "estop"

    def _refuse(self, problem: str, tick: int) -> None:
        """Hold, because an input of `tick` cannot be trusted."""
        self._counters.stale(problem)
        self._send(self._core.hold(problem), messages.time_of(self._inbox.stamp_of(tick)))

    def _on_silence(self) -> None:
        """Hold, because no tick has become complete for the length of the deadline."""
        problem = self._inbox.missing()
        if self._last_command is None:
            # there is nobody to stop yet, but whoever looks why this robot does not move is told
            self._counters.tell(f"no tick has been complete yet: {problem}")
            return
        self._counters.stale(problem)
        self._stand(problem)

    # Answers

    def _answer(self, info: dict[str, int]) -> None:
        """Command, then tell, if the tick is complete; `info` is of the message that came last.

        Trust is told before: the gate shall know whom to keep off when the command comes to it.
        """
        before = self._inbox.answered
        found = self._inbox.take()
        if found is None:
            return
        tick, sensed = found
        self._counters.missed_ticks += self._inbox.between(before, tick)
        answer = self._core.tick(tick, sensed, self._stopped)
        stamp = messages.time_of(self._inbox.stamp_of(tick))
        for step in answer.decided.steps if answer.decided is not None else ():
            self._tell_trust(step)
        self._send(answer, stamp)
        # both clocks are the system's: DDS knows no other
        tick_ms = max(0.0, (time.time_ns() - info["received_timestamp"]) / 1e6)
        self._watchdog.reset()
        counters = self._counters
        counters.tick_ms.add(tick_ms)
        counters.overruns += tick_ms > self._core.task.tick_s * 1e3
        if answer.held not in CALM:
            counters.stale(answer.held)
        self._last_seen[sensed.visible] = sensed.tracks[sensed.visible, :2]
        if answer.decided is not None:
            self._tell(answer.decided, sensed.visible, tick_ms, stamp)

    def _send(self, answer: Answer, stamp: Time) -> None:
        """Answer the tick of that time."""
        self._last_command = messages.encode_twist(answer.command, stamp, self._base_frame)
        self._command_pub.publish(self._last_command)

    def _stand(self, reason: str) -> None:
        """Command a stop that answers no tick."""
        command, now = self._core.hold(reason).command, self.get_clock().now().to_msg()
        self._command_pub.publish(messages.encode_twist(command, now, self._base_frame))

    def _tell(self, decided: Decided, visible: NDArray[np.bool_], ms: float, stamp: Time) -> None:
        self._counters.decisions += 1
        self._counters.since_prior += 1
        self._counters.inference_us.add(decided.step.inference_us)
        points = belief_points(self._mates, self._last_seen, visible, decided)
        self._beliefs_pub.publish(clouds.encode(points, stamp, MAP))
        status = decision_status(
            self.settings.robot,
            self._core.task.actions,
            decided,
            ms,
            self.settings.publish_observation,
        )
        self._decision_pub.publish(messages.diagnostics(stamp, status))

    # Trust

    def _on_check(self, parameters: list[Parameter]) -> SetParametersResult:
        """Take the operator's word, or refuse it with a sentence."""
        try:
            for parameter in parameters:
                if parameter.name == "trust_order":
                    self._obey(parameter.value)
        except EirError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _obey(self, text: str) -> None:
        if not self._active:
            raise EirError("the agent is not active, and begins by cooperating with everybody.")
        name, level, reason = parse_order(text)
        time_s = max(0, self._inbox.answered) * self._core.task.tick_s
        for step in self._ladder.override(self._trust.mate(name), level, reason, time_s):
            self._tell_trust(step)

    @property
    def _ladder(self) -> Ladder:
        ladder = self._core.trust
        assert isinstance(ladder, Ladder)
        return ladder

    def _tell_trust(self, step: Step | None) -> None:
        status = self._trust.status(self._ladder, step)
        self._trust_pub.publish(messages.diagnostics(self.get_clock().now().to_msg(), status))
        if step is not None:
            self.get_logger().warning(f"trust: {status.message}")

    def _report(self) -> None:
        status = self._counters.status(
            self.settings.robot,
            bundle=self._identity,
            tracks_source=self.settings.tracks_source,
            trust=self._trust.levels(self._ladder),
            state="stopped" if self._stopped else "holds" if self._ladder.holds else "active",
        )
        self._report_pub.publish(messages.diagnostics(self.get_clock().now().to_msg(), status))


def main() -> int:
    """Entry point of the executable `agent`."""
    return run(lambda: [Agent()])


if __name__ == "__main__":
    sys.exit(main())

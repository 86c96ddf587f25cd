"""The fault node of one robot: breaks it on purpose, by schedule or by an operator's hand.

    ros2 param set /r2/fault kind stop        # none: clears it

It stands between agent and gate, so a faulty robot keeps its brakes. What it does is in
`eir_ros.faults.injector`; what it did is ground truth on /swarm/faults.
"""

import contextlib
import sys
import threading
from pathlib import Path
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from pydantic import Field as Setting
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from eir_ros.contract.config import Schema
from eir_ros.contract.coverage import CoverageTask, Sensed
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.frames import Pose
from eir_ros.faults.injector import DECIDING, Injector
from eir_ros.faults.timeline import Timeline, read_schedule
from eir_ros.nodes import clouds, messages, qos
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.inbox import Inbox
from eir_ros.nodes.managed import ManagedNode
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import run
from eir_ros.policy.bundle import Bundle, check_team, load_bundle

#: No haste: a corrupted robot that lost its senses is stopped by the gate like any other.
_SENSES: Final = qos.sensor(10.0)


class Parameters(Schema):
    """Parameters of the fault node; `kind` may be set at any time."""

    robot: str = Setting(description="Name of this robot, as in the team")
    team: tuple[str, ...] = Setting(description="Names of all robots in roster order")
    kind: str = Setting(
        "none", description=f"The present fault: {', '.join(kind.word for kind in FaultKind)}"
    )
    schedule: tuple[str, ...] = Setting(
        (), description="Faults ROBOT:KIND[@START[-END]] [s]; those of other robots are ignored"
    )
    seed: int = Setting(0, ge=0, description="Seed of all random faults")
    bundle: str = Setting("", description="Bundle with the adversary; empty: no such fault")
    trusted_keys: str = Setting("", description="Folder of trusted public keys; empty: shipped")
    odom_in_map: Pose = Setting(
        (0.0, 0.0, 0.0), description="Origin x, y, yaw of the odometry [m, m, rad; map]"
    )
    autostart: bool = Setting(True, description="Configure and activate without being told")


class FaultNode(ManagedNode):
    """See the module. Mission time is simulated time, or the time since this node started.

    Raises
    ------
    EirError
        A parameter is wrong, the bundle is refused, or a fault needs an adversary it has not.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("fault", **options)
        self.settings = declare(self, Parameters, changeable=frozenset({"kind"}))
        self.add_on_set_parameters_callback(self._on_check)
        self.add_post_set_parameters_callback(self._on_set)
        self.bring_up(self.settings.autostart)

    def configure(self) -> None:
        """Load what the faults need, and connect."""
        settings = self.settings
        if settings.robot not in settings.team:
            raise EirError(
                f"robot '{settings.robot}' is not in the team {', '.join(settings.team)}."
            )
        self._bundle = self._load_bundle()
        index = settings.team.index(settings.robot)
        task = self._bundle.manifest.task if self._bundle else CoverageTask()
        task = task.model_copy(update={"num_robots": len(settings.team)})
        timeline = Timeline(read_schedule(settings.schedule, settings.team)[settings.robot])
        self._inbox = Inbox(task, index, settings.odom_in_map)
        self._injector = Injector(task, index, timeline, (settings.seed, index))
        simulated = self.get_parameter("use_sim_time").value
        self._mission_start_ns = 0 if simulated else self.get_clock().now().nanoseconds
        self._prepare_scheduled(FaultKind.parse(settings.kind))
        self._connect()

    def activate(self) -> None:
        """Tell the truth, and let commands through from now on."""
        self._announce()

    def _load_bundle(self) -> Bundle | None:
        if not self.settings.bundle:
            return None
        keys = Path(self.settings.trusted_keys) if self.settings.trusted_keys else None
        bundle = load_bundle(self.settings.bundle, trusted_keys=keys)
        check_team(bundle.manifest, len(self.settings.team))
        return bundle

    def _prepare_scheduled(self, present: FaultKind) -> None:
        """Get ready for every fault that is known now, before anything moves."""
        timeline = self._injector.timeline
        if present is not FaultKind.NONE:
            timeline.set(present, self._mission_s(self.get_clock().now().nanoseconds))
        self._sensing = False
        for kind in {span.kind for span in timeline.spans}:
            self._check(kind)
            if kind is FaultKind.ADVERSARY:
                self._load_adversary()
            self._sense_for(kind)

    def _connect(self) -> None:
        self._received: TwistStamped | None = None
        self._held: TwistStamped | None = None
        self._sent: TwistStamped | None = None
        self._sensed: Sensed | None = None
        self._command_pub = self.create_publisher(TwistStamped, "cmd_vel_faulty", qos.COMMAND)
        self._truth_pub = self.create_publisher(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        self.create_subscription(TwistStamped, "cmd_vel_policy", self._on_command, qos.COMMAND)

    # The operator's hand

    def _on_check(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in parameters:
                if parameter.name == "kind":
                    if not self.active:
                        raise EirError("this node is not active, and breaks nothing.")
                    self._check(FaultKind.parse(parameter.value))
        except EirError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_set(self, parameters: list[Parameter]) -> None:
        for parameter in parameters:
            if parameter.name == "kind":
                self._set(FaultKind.parse(parameter.value))

    def _set(self, kind: FaultKind) -> None:
        self._injector.timeline.set(kind, self._mission_s(self.get_clock().now().nanoseconds))
        self._sense_for(kind)
        if kind is FaultKind.ADVERSARY and self._injector.adversary is None:
            # onnxruntime takes half a second to import, and the gate shares this thread
            threading.Thread(target=self._load_adversary, daemon=True).start()
        self.get_logger().warning(f"operator sets fault: {kind.word}")
        self._announce()

    def _check(self, kind: FaultKind) -> None:
        """Refuse what this robot cannot play."""
        if kind is not FaultKind.ADVERSARY:
            return
        if self._bundle is None:
            raise EirError("fault 'adversary' needs a bundle; set the parameter 'bundle'.")
        if self._bundle.adversary is None:
            raise EirError(
                f"fault 'adversary' needs adversary.onnx, but bundle "
                f"'{self._bundle.manifest.name}' has none; choose another kind or bundle."
            )

    def _load_adversary(self) -> None:
        # only here, so that robots without this fault do without onnxruntime in this process
        from eir_ros.policy.runtime import AdversaryRuntime, UnusableObservation

        assert self._bundle is not None
        seed = np.random.SeedSequence([self.settings.seed, self._inbox.index, FaultKind.ADVERSARY])
        try:
            runtime = AdversaryRuntime(self._bundle, seed)
        except EirError as error:
            self.get_logger().error(str(error))
            return

        def adversary(observation: NDArray[np.float32], index: int) -> int | None:
            try:
                return runtime.step(observation, index)
            except UnusableObservation as error:
                # the gate lives in this process: a fault must not take the brakes along
                self.get_logger().warning(f"adversary: {error}", throttle_duration_sec=5.0)
                return None

        self._injector.adversary = adversary

    def _announce(self) -> None:
        """Ground truth: all faults of this robot, those to come as well.

        It replaces what was said before, so a robot without any says so: an earlier life of this
        node may have left a fault that nobody injects any more.
        """
        now, spans = self.get_clock().now().to_msg(), self._injector.timeline.spans
        self._truth_pub.publish(messages.encode_faults(self.settings.robot, spans, now))

    # Commands

    def _on_command(self, message: TwistStamped) -> None:
        if not self.active:
            return
        last, self._received = self._received, message
        if message == last:
            # sent again because somebody missed it: a tick counts once
            if self._held is None:
                self._command_pub.publish(self._sent)
            return
        if last is not None and message.header.stamp == last.header.stamp and _stands(message):
            # the agent takes back what it said for this tick, and no fault stands in the way
            self._held, self._sent = None, message
            self._command_pub.publish(message)
            return
        if self._held is not None:
            self._forward(self._held)
        if self._injector.deciding(self._mission_s(messages.nanoseconds_of(message.header.stamp))):
            self._held = message
            self._answer()
        else:
            self._forward(message)

    def _answer(self) -> None:
        """Forward the command that waits for what is sensed at its tick, once that is here."""
        taken = self._inbox.take()
        if taken is not None:
            self._sensed = taken[1]
        if self._held is not None and self._inbox.answered >= self._tick_of(self._held):
            self._forward(self._held)

    def _forward(self, message: TwistStamped) -> None:
        self._held = None
        header, twist = message.header, message.twist
        command = self._injector.apply(
            self._mission_s(messages.nanoseconds_of(header.stamp)),
            np.array([twist.linear.x, twist.angular.z]),
            self._sensed,
            decide=self._tick_of(message) % self._inbox.task.decision_ticks == 0,
        )
        self._sent = messages.encode_twist(command, header.stamp, header.frame_id)
        self._command_pub.publish(self._sent)

    def _tick_of(self, message: TwistStamped | Odometry | PointCloud2) -> int:
        return self._inbox.tick_of(messages.nanoseconds_of(message.header.stamp))

    def _mission_s(self, nanoseconds: int) -> float:
        return (nanoseconds - self._mission_start_ns) * 1e-9

    # Senses

    def _sense_for(self, kind: FaultKind) -> None:
        """Listen to the robot's senses from the first fault on that decides by them."""
        if kind not in DECIDING or self._sensing:
            return
        self._sensing = True
        for message_type, topic, callback in (
            (Odometry, "odom", self._on_odometry),
            (PointCloud2, "tracks", self._on_tracks),
            (PointCloud2, "sites", self._on_sites),
        ):
            self.create_subscription(
                message_type, topic, callback, _SENSES, qos_overriding_options=qos.OVERRIDES
            )

    def _on_odometry(self, message: Odometry) -> None:
        tick = self._tick_of(message)
        if self._inbox.went_back(tick):
            self._inbox.forget()
        with contextlib.suppress(InvalidMessageError):
            self._inbox.odometry(tick, messages.decode_odometry(message))
            self._answer()

    def _on_tracks(self, message: PointCloud2) -> None:
        with contextlib.suppress(InvalidMessageError):
            self._inbox.tracks(self._tick_of(message), clouds.decode(message, clouds.TRACKS))
            self._answer()

    def _on_sites(self, message: PointCloud2) -> None:
        with contextlib.suppress(InvalidMessageError):
            self._inbox.sites(self._tick_of(message), clouds.decode(message, clouds.SITES))
            self._answer()


def _stands(message: TwistStamped) -> bool:
    return message.twist == Twist()


def main() -> None:
    """Run the fault node as a process of its own."""
    sys.exit(run(lambda: [FaultNode()]))


if __name__ == "__main__":
    main()

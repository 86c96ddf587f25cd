"""The monitor as a node: listens to everything, shows it, takes the operator's orders.

What is shown, detected and reported is plain Python in `eir_ros.monitor`. The operator page's
server runs in a thread of its own; its orders are carried out here, by the executor's thread.
"""

import json
import math
import os
import queue
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from pydantic import Field as Setting
from pydantic import field_validator
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError
from eir_ros.contract.fault_parameters import in_words
from eir_ros.contract.faults import FaultKind, parse_by_hand
from eir_ros.contract.frames import Pose, compose
from eir_ros.contract.report import FaultSpan
from eir_ros.faults.timeline import Span
from eir_ros.monitor import orders
from eir_ros.monitor.counters import Counters
from eir_ros.monitor.detections import Judge
from eir_ros.monitor.hello import hello
from eir_ros.monitor.ladder import read_trust
from eir_ros.monitor.markers import markers
from eir_ros.monitor.news import News, about_alarm
from eir_ros.monitor.report import mission_report, write_report
from eir_ros.monitor.state import State
from eir_ros.nodes import clouds, messages, qos
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.estop import EStopKeeper
from eir_ros.nodes.graph import node_of
from eir_ros.nodes.managed import ManagedNode
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.remote import Remote
from eir_ros.nodes.run import run
from eir_ros.policy.bundle import check_team, load_bundle

#: Pictures for the page, and news, history and markers, each second.
_PICTURE_HZ, _STOCK_HZ = 10.0, 5.0

#: After so long without any word from a real robot, the operator is told [s].
_PATIENCE_S = 5.0


class Parameters(Schema):
    """Parameters of the monitor node."""

    bundle: str = Setting(description="Folder of the signed bundle that the team runs")
    team: tuple[str, ...] = Setting(description="Names of all robots in roster order")
    trusted_keys: str = Setting("", description="Folder of trusted public keys; empty: shipped")
    headless: bool = Setting(False, description="Serve no operator page")
    host: str = Setting("127.0.0.1", description="Address that the page is served on")
    port: int = Setting(8080, ge=0, le=65535, description="Port of the page; 0: any free one")
    report: str = Setting("", description="File for the report at shutdown; empty: none")
    arena: tuple[float, ...] = Setting(
        (-2.0, -2.0, 2.0, 2.0), description="Area shown: x and y from, x and y to [m; map]"
    )
    odom_in_map: tuple[float, ...] = Setting(
        (), description="Origin x, y, yaw of each robot's odometry [m, m, rad; map]; empty: zero"
    )
    linked: tuple[str, ...] = Setting((), description="Robots on other hosts, behind a link")
    autostart: bool = Setting(True, description="Configure and activate without being told")

    @field_validator("arena")
    @classmethod
    def _area(cls, arena: tuple[float, ...]) -> tuple[float, ...]:
        if len(arena) != 4 or arena[0] >= arena[2] or arena[1] >= arena[3]:
            raise ValueError("expected x and y from, then x and y to")
        return arena


class Monitor(ManagedNode):
    """See the module.

    Raises
    ------
    EirError
        A parameter is wrong, the bundle is refused, or the page's port is taken.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("monitor", **options)
        self.settings = declare(self, Parameters)
        self._server: Any = None
        self.bring_up(self.settings.autostart)

    def configure(self) -> None:
        """Load the bundle and listen."""
        self._origins = _origins(self.settings)
        keys = Path(self.settings.trusted_keys) if self.settings.trusted_keys else None
        self._manifest = load_bundle(self.settings.bundle, trusted_keys=keys).manifest
        check_team(self._manifest, len(self.settings.team))
        judge = Judge(self.settings.team, self._manifest.belief.threshold)
        self.state = State(self.settings.team, judge, Counters(self.settings.team))
        self._news = News()
        # the simulated mission begins at zero, a real one when its processes are started
        self._simulated = self.get_parameter("use_sim_time").value
        self._mission_start_ns = 0 if self._simulated else self.get_clock().now().nanoseconds
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        if not self.settings.headless:
            self._connect_orders()
        self._listen()
        self._estop = EStopKeeper(self, self._on_estop)
        self._markers_pub = self.create_publisher(MarkerArray, "/swarm/markers", qos.MARKERS)

    def activate(self) -> None:
        """Show, draw and tell."""
        self._every(1.0 / _STOCK_HZ, self._take_stock)
        if not self.settings.headless:
            self._server = self._make_server()
            self._server.start()
            self._every(1.0 / _PICTURE_HZ, self._show)
            self._every(1.0, self._note_history)
            _tell(f"operator page: {self._server.url}")
        self._every(1.0, self._count_senders)
        if not self._simulated:
            self._patience = self._every(_PATIENCE_S, self._miss)

    def deactivate(self) -> None:
        """Close the page and leave the report; what is heard still counts."""
        for timer in list(self.timers):
            self.destroy_timer(timer)
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self.settings.report:
            write_report(mission_report(self.state), Path(self.settings.report))

    def destroy_node(self) -> None:
        """Close the page and leave the report."""
        if self.active:
            self.deactivate()
        super().destroy_node()

    def _every(self, period_s: float, callback: Callable[[], None]) -> Any:
        return self.create_timer(period_s, callback, clock=self._steady)

    # Hearing

    def _listen(self) -> None:
        listen = self.create_subscription
        for robot in self.settings.team:
            listen(Odometry, f"/{robot}/odom", partial(self._on_odometry, robot), qos.NEWEST)
            listen(PointCloud2, f"/{robot}/beliefs", partial(self._on_beliefs, robot), qos.BELIEFS)
            listen(DiagnosticArray, f"/{robot}/trust", partial(self._on_trust, robot), qos.EVENT)
            decision = f"/{robot}/decision"
            listen(DiagnosticArray, decision, partial(self._on_decision, robot), qos.EVENT)
        listen(PointCloud2, f"/{self.settings.team[0]}/sites", self._on_sites, qos.NEWEST)
        listen(DiagnosticArray, "/swarm/faults", self._on_faults, qos.FAULTS)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)
        # last, because the world takes it for a sign that the monitor hears everything
        listen(DiagnosticArray, "/swarm/score", self._on_score, qos.EVENT)

    def _on_odometry(self, robot: str, message: Odometry) -> None:
        try:
            motion = messages.decode_odometry(message)
        except InvalidMessageError:
            # its agent and gate complain; here it just grows old
            return
        x, y, yaw = map(float, motion.pose)
        seen = self.state.robots[robot]
        seen.pose = compose(self._origins[robot], (x, y, yaw))
        seen.speed = math.hypot(*motion.velocity)
        seen.heard_s = time.monotonic()

    def _miss(self) -> None:
        """Say once of which real robots nothing has been heard."""
        self.destroy_timer(self._patience)
        silent = [name for name, robot in self.state.robots.items() if robot.pose is None]
        if silent:
            _tell(
                f"no odometry from {', '.join(silent)} after {_PATIENCE_S:g} s; are these robots "
                "on, in this ROS_DOMAIN_ID, and publishing /<robot>/odom?"
            )

    def _on_sites(self, message: PointCloud2) -> None:
        points = self._read(message, clouds.SITES, "sites")
        if points is not None:
            self.state.sites = {int(p["id"]): (float(p["x"]), float(p["y"])) for p in points}

    def _on_beliefs(self, observer: str, message: PointCloud2) -> None:
        points = self._read(message, clouds.BELIEFS, f"beliefs of {observer}")
        if points is None:
            return
        team, words = self.settings.team, clouds.STATUS_WORDS
        beliefs = {
            team[point["id"]]: (float(point["p_adversary"]), words[int(point["status"])])
            for point in points
            if point["id"] < len(team) and int(point["status"]) in words
        }
        mission_ns = messages.nanoseconds_of(message.header.stamp) - self._mission_start_ns
        for alarm in self.state.believe(mission_ns / 1e9, observer, beliefs):
            if line := about_alarm(alarm, self.state):
                _tell(line)

    def _read(self, message: PointCloud2, dtype: Any, what: str) -> Any:
        """The points of a message; None, and a warning, when it is not what it should be."""
        try:
            return clouds.decode(message, dtype)
        except InvalidMessageError as error:
            self.get_logger().warning(f"{what}: {error}", throttle_duration_sec=5.0)
            return None

    def _on_decision(self, robot: str, message: DiagnosticArray) -> None:
        for status in message.status:
            self.state.decide(robot, status.message)

    def _on_trust(self, robot: str, message: DiagnosticArray) -> None:
        try:
            (status,) = message.status
            values, start_s = messages.values_of(status), self._mission_start_ns / 1e9
            levels, step = read_trust(robot, values, status.message, start_s)
        except (EirError, ValueError, KeyError) as error:
            said = f"ignored: trust of {robot}: {error!r}"
            self.get_logger().warning(said, throttle_duration_sec=5.0)
            return
        if step is not None:
            _tell(f"at {step.t_s:.1f} s {robot} on {step.line}")
        self.state.trust(robot, levels, step)

    def _on_score(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.state.set_score(messages.values_of(status))

    def _on_faults(self, message: DiagnosticArray) -> None:
        try:
            found = messages.decode_faults(message)
        except InvalidMessageError as error:
            self.get_logger().warning(f"ignored: a message on /swarm/faults {error}")
            return
        for robot, spans in found.items():
            self.state.judge.set_faults(robot, [_fault_span(robot, span) for span in spans])

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            robot, _, part = status.name.partition("/")
            values = messages.values_of(status)
            if robot in self.state.robots and part in ("agent", "gate"):
                self.state.set_diagnostics(robot, part, values, time.monotonic())
            elif status.name == "recorder":
                self.state.set_recorder(int.from_bytes(status.level), status.message, values)
        if self.state.estop:
            # stopped before this monitor started, and a gate that starts now must know as well
            self._estop.gate_is_stopped()

    def _on_estop(self, on: bool) -> None:
        self._pass_time()
        self.state.order_estop(on)

    def _pass_time(self) -> None:
        """Real robots tell the time by what they decide, and nobody does while the e-stop holds."""
        if not self._simulated and self.state.time_s:
            now_ns = self.get_clock().now().nanoseconds - self._mission_start_ns
            self.state.time_s = max(self.state.time_s, now_ns / 1e9)

    # Showing

    def _make_server(self) -> Any:
        # here, so that who runs headless needs no web server
        from eir_ros.monitor.server import Server

        settings = self.settings
        greeting = hello(settings.team, settings.arena, self._manifest)
        # not a parameter, which everybody in the graph could read
        token = os.environ.get("EIR_TOKEN", "")
        return Server(settings.host, settings.port, token, greeting, self._carry_out)

    def _show(self) -> None:
        if self._server.watched:
            self._server.show(json.dumps(self.state.picture(time.monotonic())))

    def _note_history(self) -> None:
        self._server.set_history(json.dumps(self.state.history()))

    def _count_senders(self) -> None:
        clocks = self.count_publishers("/clock") if self.get_parameter("use_sim_time").value else 0
        truths = Counter(map(node_of, self.get_publishers_info_by_topic("/swarm/faults")))
        now_s, t_s = time.monotonic(), self.state.time_s
        for line in self.state.intruders.count(clocks, truths, now_s, t_s):
            _tell(line)

    def _take_stock(self) -> None:
        """Remember, tell and draw the present."""
        self._pass_time()
        self.state.remember()
        self.state.look_for_absent(time.monotonic())
        for line in self._news.lines(self.state):
            _tell(line)
        if self._markers_pub.get_subscription_count():
            stamp = self.get_clock().now().to_msg()
            radius = self._manifest.task.serve_radius
            self._markers_pub.publish(markers(self.state, radius, stamp))

    # Orders

    def _connect_orders(self) -> None:
        self._orders: queue.SimpleQueue[tuple[orders.Order, Future[str]]] = queue.SimpleQueue()
        self._ordered = self.create_guard_condition(self._take_orders)
        self._remote = Remote(self, self.settings.team)

    def _carry_out(self, order: orders.Order) -> "Future[str]":
        """Called by the server's thread: rclpy is only touched by the executor's."""
        future: Future[str] = Future()
        self._orders.put((order, future))
        self._ordered.trigger()
        return future

    def _take_orders(self) -> None:
        while not self._orders.empty():
            order, future = self._orders.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                self._obey(order, future)
            except EirError as error:
                future.set_exception(error)

    def _obey(self, order: orders.Order, future: "Future[str]") -> None:
        if isinstance(order, orders.EStop):
            self._estop.give(order.on)
            near = [r for r in self.settings.team if r not in self.settings.linked]
            lost = filter(self.state.judge.absent, self.settings.linked)
            deaf = [*self._estop.deaf(near), *lost]
            whom = f", but no gate of {', '.join(deaf)} hears it" if deaf else " to every robot"
            future.set_result(f"{'E-stop' if order.on else 'Release'} sent{whom}.")
        elif isinstance(order, orders.Pause):
            self._remote.pause(order.on, future)
        elif isinstance(order, orders.Trust):
            said = f"{order.robot} on {order.teammate}: {order.level}."
            self._remote.set(f"{order.robot}/agent", "trust_order", order.text, said, future)
        else:
            self._inject(order, future)

    def _inject(self, order: orders.Inject, future: "Future[str]") -> None:
        said = f"{order.robot} is broken: {order.kind.replace('_', ' ')}."
        if parse_by_hand(order.kind)[0] is FaultKind.NONE:
            said = f"The fault of {order.robot} is cleared."
        self._remote.set(f"{order.robot}/fault", "kind", order.kind, said, future)


def _tell(line: str) -> None:
    """Standard output is the operator's terminal; everything else goes to the log, stderr."""
    print(line, flush=True)


def _fault_span(robot: str, span: Span) -> FaultSpan:
    return FaultSpan(
        robot=robot,
        kind=span.kind.word,
        # what has not begun to act cannot be found out
        start_s=span.onset_s,
        end_s=span.end_s,
        parameters=in_words(span.parameters),
    )


def _origins(settings: Parameters) -> dict[str, Pose]:
    numbers = settings.odom_in_map or (0.0,) * (3 * len(settings.team))
    if len(numbers) != 3 * len(settings.team):
        raise EirError(
            f"odom_in_map has {len(numbers)} numbers, expected x, y, yaw of each of the "
            f"{len(settings.team)} robots."
        )
    rows = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return dict(zip(settings.team, rows, strict=True))


def main() -> None:
    """Run the monitor as a process of its own."""
    sys.exit(run(lambda: [Monitor()]))


if __name__ == "__main__":
    main()

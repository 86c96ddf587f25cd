"""Stands in for the processes of one host in `benchmarks.packets`: their topics, at their rates."""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool

from eir_ros.link.streams import OPERATOR
from eir_ros.nodes import clouds, messages, qos
from eir_ros.nodes.link import Link
from eir_ros.nodes.run import run
from eir_ros.swarm.sealing import sealed

#: Of each robot: topic, type, offered, asked for; and how often it is published [Hz].
SENSES = (("odom", Odometry, 10.0), ("tracks", PointCloud2, 10.0), ("sites", PointCloud2, 5.0))
AGENT = (
    ("cmd_vel_policy", TwistStamped, qos.COMMAND, 10.0),
    ("beliefs", PointCloud2, qos.EVENT, 5.0),
    ("decision", DiagnosticArray, qos.EVENT, 5.0),
)


class StandIn(Node):
    """One participant's publishers, timers and subscriptions."""

    def say(self, kind: Any, topic: str, profile: Any, message: Any, hz: float) -> None:
        """Publish `message` at `hz`."""
        publisher = self.create_publisher(kind, topic, profile)
        if hz:
            self.create_timer(1.0 / hz, lambda: publisher.publish(message))

    def hear(self, kind: Any, topic: str, profile: Any) -> None:
        """Subscribe."""
        self.create_subscription(kind, topic, lambda _: None, profile)


def message_of(kind: Any, robot: str, others: int) -> Any:
    """A message as large as a real one."""
    if kind is PointCloud2:
        return clouds.encode(np.zeros(others, clouds.TRACKS), Time(), f"{robot}/odom")
    if kind is DiagnosticArray:
        values = {f"key_{i}": "a value of some length" for i in range(12)}
        return messages.diagnostics(Time(), messages.status(f"{robot}/agent", values))
    return kind()


def robot_nodes(given: dict[str, Any], contexts: Iterator[Any]) -> list[Node]:
    """Base, agent and gate of a robot, each a participant of its own."""
    robot, rate = given["host"], float(given["moving"])
    others = len(given["team"]) - 1
    base, agent, gate = (
        StandIn(name, namespace=f"/{robot}", context=next(contexts))
        for name in ("base", "agent", "gate")
    )
    for topic, kind, hz in SENSES:
        base.say(kind, topic, qos.sensor(0.25), message_of(kind, robot, others), hz * rate)
        agent.hear(kind, topic, qos.sensor(0.5))
    base.hear(TwistStamped, "cmd_vel", qos.COMMAND)
    for topic, kind, profile, hz in AGENT:
        agent.say(kind, topic, profile, message_of(kind, robot, others), hz * rate)
    for node in (agent, gate):
        report = message_of(DiagnosticArray, robot, others)
        node.say(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS, report, 1.0)
    gate.hear(TwistStamped, "cmd_vel_policy", qos.COMMAND)
    gate.hear(Odometry, "odom", qos.sensor(0.5))
    gate.hear(Bool, "/swarm/estop", qos.ESTOP)
    gate.say(TwistStamped, "cmd_vel", qos.COMMAND, TwistStamped(), 10.0 * rate)
    return [base, agent, gate]


def operator_nodes(given: dict[str, Any], contexts: Iterator[Any]) -> list[Node]:
    """The monitor."""
    monitor = StandIn("monitor", context=next(contexts))
    for robot in given["team"]:
        monitor.hear(Odometry, f"/{robot}/odom", qos.NEWEST)
        monitor.hear(PointCloud2, f"/{robot}/beliefs", qos.BELIEFS)
        monitor.hear(DiagnosticArray, f"/{robot}/decision", qos.EVENT)
    monitor.hear(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
    monitor.hear(DiagnosticArray, "/swarm/faults", qos.FAULTS)
    monitor.say(Bool, "/swarm/estop", qos.ESTOP, Bool(), 0.0)
    return [monitor]


def link_of(given: dict[str, Any]) -> Link:
    """The link of this host."""
    values = {
        "host": given["host"],
        "team": given["team"],
        "team_hosts": given["team"],
        "keys": given["keys"],
        "network_domain": int(os.environ["ROS_DOMAIN_ID"]),
        "peers": given["peers"],
    }
    return Link(
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
    )


def main() -> int:
    """Run one host's stand-ins until Ctrl-C."""
    given = json.loads(sys.argv[1])
    make = operator_nodes if given["host"] == OPERATOR else robot_nodes
    if given["mode"] == "link":
        for name, value in sealed(os.environ).items():
            os.environ[name] = value

        def same() -> Iterator[Any]:
            while True:
                yield None

        # sealed, they are one participant: none of it is on the network
        return run(lambda: [link_of(given), *make(given, same())])

    def own() -> Iterator[Any]:
        while True:
            context = rclpy.Context()
            rclpy.init(context=context)
            yield context

    nodes = make(given, own())
    executors = [SingleThreadedExecutor(context=node.context) for node in nodes]
    for executor, node in zip(executors, nodes, strict=True):
        executor.add_node(node)
    while True:
        for executor in executors:
            executor.spin_once(timeout_sec=0.002)


if __name__ == "__main__":
    sys.exit(main())

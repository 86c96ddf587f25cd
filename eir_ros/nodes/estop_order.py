"""The e-stop, pressed or released once by whoever sits at a shell.

A program of its own, like `eir_ros.nodes.order`: `python -m eir_ros.nodes.estop_order stop`. Prints
the gates that have it. Status 0: every gate that was found; 2: there is none, and who keeps the
order for those that start.
"""

import sys
import time

from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Bool

from eir_ros.nodes import qos
from eir_ros.nodes.at_a_shell import domain, short_lived
from eir_ros.nodes.estop import TOPIC
from eir_ros.nodes.graph import nodes_of

#: Longest wait for a first gate and for who is found to be reached, and for one more to be found
#: after the last [s].
_PATIENCE_S, _OTHERS_S = 6.0, 2.0
_PERIOD_S = 0.1


def press(on: bool) -> tuple[list[str], list[str]]:
    """Stop every robot, or release them; the gates that have taken it, and who keeps it."""
    with short_lived("eir_estop") as node:
        publisher = node.create_publisher(Bool, TOPIC, qos.ESTOP)
        begun = news = time.monotonic()
        found, reached = set[str](), 0
        while (now := time.monotonic()) < begun + _PATIENCE_S:
            gates, ears = _gates(node), publisher.get_subscription_count()
            if gates - found or ears > reached:
                found, reached, news = found | gates, max(ears, reached), now
            # monitors and links keep orders: one that misses a release would stop who starts later
            if found and ears >= node.count_subscribers(TOPIC) and now > news + _OTHERS_S:
                break
            if on:
                # again and again, for those who are found by and by
                publisher.publish(Bool(data=True))
            time.sleep(_PERIOD_S)
        if not on:
            # once: a stop that somebody gives meanwhile must not be taken back
            publisher.publish(Bool(data=False))
        publisher.wait_for_all_acked(Duration(seconds=_OTHERS_S))
        return sorted(found), sorted(_keepers(node))


def _gates(node: Node) -> set[str]:
    hearing = nodes_of(node.get_subscriptions_info_by_topic(TOPIC))
    return {name for name in hearing if name.endswith("/gate")}


def _keepers(node: Node) -> set[str]:
    """Who hears orders and tells them on to gates that start: monitors, and links."""
    telling = nodes_of(node.get_publishers_info_by_topic(TOPIC))
    return telling & nodes_of(node.get_subscriptions_info_by_topic(TOPIC))


if __name__ == "__main__":
    gates, keepers = press(sys.argv[1] == "stop")
    kept = f"no gate is in {domain()} yet; {' '.join(keepers)} keeps the order for those that start"
    print(" ".join(gates) or (kept if keepers else f"there is no gate in {domain()}"))
    sys.exit(0 if gates else 2)

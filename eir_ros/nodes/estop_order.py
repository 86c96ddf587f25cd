"""The e-stop, pressed or released once by whoever sits at a shell.

A program of its own, like `eir_ros.nodes.order`: `python -m eir_ros.nodes.estop_order stop`. Prints
the gates that have it. Status 0: every gate that was found; 2: there is none, with the reason.
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

#: Longest wait for a first gate, and for one more after the last that was found [s].
_PATIENCE_S, _OTHERS_S = 6.0, 1.0
_PERIOD_S = 0.1


def press(on: bool) -> list[str]:
    """Stop every robot, or release them; the names of the gates that have taken it."""
    with short_lived("eir_estop") as node:
        publisher = node.create_publisher(Bool, TOPIC, qos.ESTOP)
        end, found = time.monotonic() + _PATIENCE_S, set[str]()
        while time.monotonic() < end:
            if new := _gates(node) - found:
                found |= new
                end = time.monotonic() + _OTHERS_S
            if on:
                # again and again, for those who are found by and by
                publisher.publish(Bool(data=True))
            time.sleep(_PERIOD_S)
        if not on:
            # once: a stop that somebody gives meanwhile must not be taken back
            publisher.publish(Bool(data=False))
        publisher.wait_for_all_acked(Duration(seconds=_OTHERS_S))
        return sorted(found)


def _gates(node: Node) -> set[str]:
    hearing = nodes_of(node.get_subscriptions_info_by_topic(TOPIC))
    return {name for name in hearing if name.endswith("/gate")}


if __name__ == "__main__":
    gates = press(sys.argv[1] == "stop")
    print(" ".join(gates) or f"there is no gate in {domain()}")
    sys.exit(0 if gates else 2)

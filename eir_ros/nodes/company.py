"""Who is here already: a look at the graph before a swarm of the same names is started.

A program of its own, so that whoever starts a swarm carries nothing of ROS in its process:
`python -m eir_ros.nodes.company /world /r0/gate` prints those of the names that are taken.
"""

import os
import sys
import time
from collections.abc import Collection

import rclpy
from rclpy.node import Node

from eir_ros.swarm.enclaves import COMPANY

#: How long to listen for a sign of others: on a busy machine it took up to 1.6 s [s].
_LISTEN_S = 2.0
#: How long to listen once there is a sign, a topic of theirs: names come later than topics [s].
_PATIENCE_S = 5.0
#: After the first namesake: so long for the rest of its swarm to be found as well [s].
_SETTLE_S = 0.5


def namesakes(node: Node, names: Collection[str]) -> set[str]:
    """Those of `names`, full names of nodes, that are on the graph of `node` now."""
    here = node.get_node_names_and_namespaces()
    return {f"{namespace.rstrip('/')}/{name}" for name, namespace in here} & set(names)


def look(names: Collection[str]) -> set[str]:
    """Join the graph for a moment; return those of `names` that were found there.

    Only who is alive is found: what a crashed process has left behind is not told to newcomers.
    """
    context = rclpy.Context()
    # no log: it would make a folder before it is known whether anything starts
    enclave = ["--enclave", COMPANY] if os.environ.get("ROS_SECURITY_ENABLE") == "true" else []
    rclpy.init(args=["--ros-args", "--disable-external-lib-logs", *enclave], context=context)
    try:
        node = Node(
            "eir_company", context=context, enable_rosout=False, start_parameter_services=False
        )
        found: set[str] = set()
        began = time.monotonic()
        end = began + _LISTEN_S
        while (now := time.monotonic()) < end:
            if not found and (found := namesakes(node, names)):
                end = now + _SETTLE_S
            elif not found and _sign(node):
                end = began + _PATIENCE_S
            time.sleep(0.02)
        found |= namesakes(node, names)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    return found


def _sign(node: Node) -> bool:
    """Whether somebody, of whatever name, has the topics of a swarm."""
    return any(topic.startswith("/swarm/") for topic, _ in node.get_topic_names_and_types())


if __name__ == "__main__":
    for taken in sorted(look(sys.argv[1:])):
        print(taken)

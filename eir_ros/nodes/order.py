"""One order to one node of a running swarm: a parameter is set, and what came of it is said.

A program of its own, so that whoever gives the order carries nothing of ROS in its process:
`python -m eir_ros.nodes.order /r2/fault kind stop`. Status 0: done; 2: refused, with the reason.
"""

import sys
import time

from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from eir_ros.nodes.at_a_shell import domain, short_lived

#: Longest wait for the node to be found, and for its answer [s].
_PATIENCE_S = 6.0


def give(node_name: str, parameter: str, value: str) -> str:
    """Set a parameter of text; the reason why that was refused, or nothing."""
    with short_lived("eir_order") as node:
        executor = SingleThreadedExecutor(context=node.context)
        executor.add_node(node)
        try:
            # the one service that also a link has, in the place of a node on another host
            client = node.create_client(SetParameters, f"{node_name}/set_parameters")
            end = time.monotonic() + _PATIENCE_S
            while not client.service_is_ready():
                if time.monotonic() > end:
                    return _nobody(node, node_name)
                executor.spin_once(timeout_sec=0.05)
            order = Parameter(parameter, value=value).to_parameter_msg()
            future = client.call_async(SetParameters.Request(parameters=[order]))
            executor.spin_until_future_complete(future, timeout_sec=_PATIENCE_S)
            if not future.done():
                return f"{node_name} has not answered for {_PATIENCE_S:g} s"
            result = future.result().results[0]
            return "" if result.successful else result.reason or "no reason was given"
        finally:
            executor.shutdown()


def _nobody(node: Node, node_name: str) -> str:
    """Why there is nobody to give the order to: who else there is, as far as they were found."""
    robot, _, name = node_name.strip("/").partition("/")
    here = node.get_node_names_and_namespaces()
    robots = sorted({space.strip("/") for other, space in here if other == name})
    if not robots:
        return f"there is no node {node_name} in {domain()}"
    return (
        f"no robot '{robot}' with a node '{name}' was found here; expected one of "
        f"{', '.join(robots)}."
    )


if __name__ == "__main__":
    refused = give(*sys.argv[1:4])
    if refused:
        print(refused)
    sys.exit(2 if refused else 0)

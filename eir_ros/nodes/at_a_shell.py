"""A node for one order that somebody gives at a shell."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.node import Node


@contextmanager
def short_lived(name: str) -> Iterator[Node]:
    """A node of that name and this process, in a context of its own."""
    context = rclpy.Context()
    # no log: it would make a folder for a single order
    rclpy.init(args=["--ros-args", "--disable-external-lib-logs"], context=context)
    node = Node(
        f"{name}_{os.getpid()}",
        context=context,
        enable_rosout=False,
        start_parameter_services=False,
    )
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def domain() -> str:
    """Where orders are given, for a sentence about it."""
    return f"ROS_DOMAIN_ID={os.environ.get('ROS_DOMAIN_ID') or '0'}"

"""Who is on the ROS graph, by the full names of nodes."""

from collections.abc import Iterable

from rclpy.topic_endpoint_info import TopicEndpointInfo


def nodes_of(endpoints: Iterable[TopicEndpointInfo]) -> set[str]:
    """The nodes that these publishers or subscriptions belong to."""
    return {f"{e.node_namespace.rstrip('/')}/{e.node_name}" for e in endpoints}

"""Who is on the ROS graph, by the full names of nodes."""

from collections.abc import Iterable

from rclpy.topic_endpoint_info import TopicEndpointInfo


def node_of(endpoint: TopicEndpointInfo) -> str:
    """The node that this publisher or subscription belongs to."""
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def nodes_of(endpoints: Iterable[TopicEndpointInfo]) -> set[str]:
    """The nodes that these publishers or subscriptions belong to."""
    return {node_of(endpoint) for endpoint in endpoints}

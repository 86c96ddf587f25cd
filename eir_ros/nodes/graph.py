"""Who is on the ROS graph, by the full names of nodes."""

from collections.abc import Iterable

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

from eir_ros.contract.lease import Lasting


def node_of(endpoint: TopicEndpointInfo) -> str:
    """The node that this publisher or subscription belongs to."""
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def nodes_of(endpoints: Iterable[TopicEndpointInfo]) -> set[str]:
    """The nodes that these publishers or subscriptions belong to."""
    return {node_of(endpoint) for endpoint in endpoints}


class Shared:
    """Topics with several publishers where there may be one.

    Parameters
    ----------
    node
        Who looks.
    topics
        As the node names them, before any remapping.
    patience_s
        Several count once they have been there for so long [s].
    """

    def __init__(self, node: Node, topics: Iterable[str], patience_s: float) -> None:
        self._node = node
        self._full = {topic: node.resolve_topic_name(topic) for topic in topics}
        self._patience_s = patience_s
        self._several = Lasting()

    def look(self, now_s: float) -> dict[str, list[str]]:
        """The nodes behind each such topic at this steady time [s], one for every publisher."""
        found = {}
        for topic, full in self._full.items():
            nodes = sorted(map(node_of, self._node.get_publishers_info_by_topic(full)))
            if self._several.reaches(topic, len(nodes) > 1, self._patience_s, now_s):
                found[topic] = nodes
        return found

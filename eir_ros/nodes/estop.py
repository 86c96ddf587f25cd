"""The e-stop on /swarm/estop: hearing it from anybody, and remembering it for who starts later."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from rclpy.node import Node
from std_msgs.msg import Bool

from eir_ros.nodes import qos
from eir_ros.nodes.graph import nodes_of

TOPIC: Final = "/swarm/estop"


class EStopListener:
    """Hears every order, whatever quality of service its sender offers, and tells it on.

    The newest order counts, by the clocks of the senders: what a sender keeps for those who join
    late may be long outdated. A stop that is sent just now counts even if that clock is behind.

    Parameters
    ----------
    node
        Subscribes.
    on_order
        Called with True for stop, False for release, once for each order.
    """

    def __init__(self, node: Node, on_order: Callable[[bool], None]) -> None:
        self._on_order = on_order
        self._newest_ns = self._stopped_ns = 0
        subscribe = node.create_subscription
        self.subscriptions = [
            subscribe(Bool, TOPIC, self._on_kept, qos.ESTOP),
            *(subscribe(Bool, TOPIC, self._on_live, profile) for profile in qos.ESTOP_LIVE),
        ]

    def _on_kept(self, message: Bool, info: dict[str, Any]) -> None:
        self.hear(message.data, info["source_timestamp"], live=False)

    def _on_live(self, message: Bool, info: dict[str, Any]) -> None:
        self.hear(message.data, info["source_timestamp"], live=True)

    def hear(self, on: bool, sent_ns: int, *, live: bool) -> None:
        """Take an order sent at `sent_ns` [ns]; not `live`: its sender may have kept it."""
        # most orders come by several subscriptions, and a second copy is no news
        stops_now = on and live and sent_ns != self._stopped_ns
        if sent_ns <= self._newest_ns and not stops_now:
            return
        self._newest_ns = max(self._newest_ns, sent_ns)
        if on:
            self._stopped_ns = sent_ns
        self._on_order(on)


class EStopKeeper(EStopListener):
    """Gives orders and keeps the newest one, whoever gave it, for gates that start later.

    Starting it orders nothing: the robots may stand for a reason that a new keeper cannot know.

    Parameters
    ----------
    node, on_order
        As for `EStopListener`; orders that are given here are told at once.
    """

    def __init__(self, node: Node, on_order: Callable[[bool], None]) -> None:
        self._node = node
        self._tell = on_order
        self._known = self._kept = False
        self._own: deque[tuple[int, int]] = deque(maxlen=8)
        self._publisher = node.create_publisher(Bool, TOPIC, qos.ESTOP)
        super().__init__(node, self._heard)

    def give(self, on: bool) -> None:
        """Stop every robot, or release them."""
        self._known, self._kept = True, on
        before = time.time_ns()
        self._publisher.publish(Bool(data=on))
        after = time.time_ns()
        self._own.append((before, after))
        self._newest_ns = max(self._newest_ns, after)
        self._tell(on)

    def hear(self, on: bool, sent_ns: int, *, live: bool) -> None:
        """Take an order, but not the echo of one that was given here and perhaps taken back."""
        if not any(before <= sent_ns <= after for before, after in self._own):
            super().hear(on, sent_ns, live=live)

    def gate_is_stopped(self) -> None:
        """A gate obeys a stop: it is kept, unless this keeper has heard a newer order."""
        if not self._known:
            self.give(True)

    def deaf(self, team: Iterable[str]) -> list[str]:
        """Robots without a gate that hears what is given."""
        hearing = nodes_of(self._node.get_subscriptions_info_by_topic(TOPIC))
        return [robot for robot in team if f"/{robot}/gate" not in hearing]

    def _heard(self, on: bool) -> None:
        if on != self._kept:
            # others may keep nothing, or leave
            self.give(on)
        else:
            self._known = True
            self._tell(on)

"""The network side of a link: DDS over UDP, with nothing in it but envelopes."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import rclpy
from rclpy.node import Node
from std_msgs.msg import UInt8MultiArray

from eir_ros.link.streams import OPERATOR, Channel
from eir_ros.nodes import qos

#: Envelopes of one topic that are taken at a time: a flood costs so much and no more.
_MOST: Final = 30


class Network:
    """A second ROS context, whose topics are `/eir/<host>/in|out/live|sure`.

    Only the host of robots is in a name: the other end is the operator.

    Parameters
    ----------
    host, others
        This host, and those that it speaks with.
    domain
        ROS domain between the hosts.
    peers
        Addresses of hosts; with any, nothing is sent to everybody.
    discovery_server
        As ROS_DISCOVERY_SERVER; empty: none.
    """

    def __init__(
        self,
        host: str,
        others: Iterable[str],
        *,
        domain: int,
        peers: Iterable[str],
        discovery_server: str,
    ) -> None:
        peers = tuple(peers)
        environment = {
            "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
            "ROS_STATIC_PEERS": ";".join(peers),
            "ROS_DISCOVERY_SERVER": discovery_server,
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST" if peers else "SUBNET",
        }
        self._context = rclpy.Context()
        with _environment(environment):
            rclpy.init(
                args=["--ros-args", "--disable-external-lib-logs"],
                context=self._context,
                domain_id=domain,
            )
            self._node = Node(
                f"link_{host}",
                context=self._context,
                enable_rosout=False,
                start_parameter_services=False,
                use_global_arguments=False,
            )
        self._readers: dict[tuple[str, Channel], Any] = {}
        self._writers: dict[tuple[str, Channel], Any] = {}
        here, there = ("out", "in") if host == OPERATOR else ("in", "out")
        for other in others:
            for channel in Channel:
                profile = qos.envelopes(reliable=channel is Channel.SURE)
                whose = other if host == OPERATOR else host
                self._readers[other, channel] = self._node.create_subscription(
                    UInt8MultiArray, f"/eir/{whose}/{here}/{channel}", _never, profile
                )
                self._writers[other, channel] = self._node.create_publisher(
                    UInt8MultiArray, f"/eir/{whose}/{there}/{channel}", profile
                )

    def send(self, host: str, channel: Channel, envelope: bytes) -> None:
        """Send one envelope."""
        self._writers[host, channel].publish(UInt8MultiArray(data=envelope))

    def waiting(self, host: str, channel: Channel) -> Iterator[bytes]:
        """Envelopes that have arrived on the topic of `host`, some at a time."""
        reader = self._readers[host, channel]
        for _ in range(_MOST):
            with reader.handle:
                taken = reader.handle.take_message(UInt8MultiArray, False)
            if taken is None:
                return
            yield bytes(taken[0].data)

    def close(self) -> None:
        """Leave the network."""
        self._readers.clear()
        self._writers.clear()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """What DDS reads while a context is made; other contexts of the process have their own."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _never(_: UInt8MultiArray) -> None:
    """Envelopes are taken by the link, not by an executor."""

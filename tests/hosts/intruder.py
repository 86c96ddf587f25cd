"""Somebody on the network of a swarm who knows its topics and addresses, and has no key.

    intruder.py ADDRESS ...

Speaks in the names of robots and operator on every domain that matters until Ctrl-C, and prints
how much it sent and how many nodes it ever saw.
"""

import json
import os
import signal
import sys
import time

os.environ["ROS_STATIC_PEERS"] = ";".join(sys.argv[1:])
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SUBNET"

import rclpy
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Bool, UInt8MultiArray

from eir_ros.link.envelope import Sealer
from eir_ros.link.mail import EStop, Order
from eir_ros.link.streams import OPERATOR, Channel
from eir_ros.nodes import qos

ROBOTS = ("r0", "r1", "r2", "r3")


def main() -> None:
    """Try everything until told to stop."""
    asked = []
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGINT, lambda *_: asked.append(True))
    node = Node("intruder")
    lies = []
    for robot in ROBOTS:
        for topic, kind, profile in (
            ("cmd_vel", TwistStamped, qos.COMMAND),
            ("cmd_vel_policy", TwistStamped, qos.COMMAND),
            ("cmd_vel_faulty", TwistStamped, qos.COMMAND),
            ("odom", Odometry, qos.sensor(0.1)),
            ("tracks", PointCloud2, qos.sensor(0.1)),
            ("beliefs", PointCloud2, qos.EVENT),
        ):
            message = kind()
            if kind is TwistStamped:
                message.twist.linear.x = 0.5
            lies.append((node.create_publisher(kind, f"/{robot}/{topic}", profile), message))
    lies.append((node.create_publisher(Bool, "/swarm/estop", qos.ESTOP), Bool(data=True)))
    key = Ed25519PrivateKey.generate()
    forgers = []
    for robot in ROBOTS:
        for channel in Channel:
            profile = qos.envelopes(reliable=channel is Channel.SURE)
            for way, sender, receiver in (("in", OPERATOR, robot), ("out", robot, OPERATOR)):
                publisher = node.create_publisher(
                    UInt8MultiArray, f"/eir/{robot}/{way}/{channel}", profile
                )
                forgers.append((publisher, Sealer(sender, key), receiver, channel))
    sent, seen = 0, set()
    while not asked:
        for publisher, message in lies:
            publisher.publish(message)
            sent += 1
        for publisher, sealer, receiver, channel in forgers:
            now = time.time_ns()
            entries = [
                EStop(True, now).entry(),
                Order(number=now, node=f"{receiver}/fault", text="stop").entry(),
                Order(number=now, node=f"{receiver}/agent", text="r1=hold: a lie").entry(),
            ]
            envelope = sealer.seal(receiver, channel, entries)
            publisher.publish(UInt8MultiArray(data=envelope))
            sent += 1
        seen |= {name for name in node.get_node_names() if not name.startswith("link_")}
        time.sleep(0.05)
    print(json.dumps({"sent": sent, "nodes": len(seen), "names": sorted(seen)}))


if __name__ == "__main__":
    main()

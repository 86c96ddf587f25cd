"""Stands in for everything around one agent: its senses, its base, its listeners."""

import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from ros_graph import Probe
from sensor_msgs.msg import PointCloud2

from eir_ros.nodes import clouds, messages, qos
from eir_ros.nodes.clouds import SITES, TRACKS

DEADLINE_S = 0.5


class Senses(Probe):
    """Around robot r1."""

    def __init__(self):
        super().__init__("senses")
        publish, sensor = self.node.create_publisher, qos.sensor(0.1)
        self.odometry = publish(Odometry, "/r1/odom", sensor)
        self.tracks = publish(PointCloud2, "/r1/tracks", sensor)
        self.sites = publish(PointCloud2, "/r1/sites", sensor)
        self.commands = self.listen(TwistStamped, "/r1/cmd_vel_policy", qos.COMMAND)
        self.decisions = self.listen(DiagnosticArray, "/r1/decision", qos.EVENT)
        self.beliefs = self.listen(PointCloud2, "/r1/beliefs", qos.EVENT)
        self.diagnostics = self.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self.tick = 0

    def wait_for_agent(self):
        """Wait until the agent is there; both ways of every topic are tried by `answer`."""
        self.connected(self.odometry, self.tracks, self.sites)

    def sense(self, *, x=0.0, tracks=(0, 2, 3), sites=(0, 1, 2), frame="map", of="r1/odom"):
        """Say what is sensed at the next tick, sites in `frame`, odometry `of`; its stamp."""
        self.tick += 1
        stamp = messages.time_of(self.tick * 100_000_000)
        motion = messages.Motion(np.array([x, 0.1, 0.2]), np.array([0.1, 0.0]), 0.0)
        self.odometry.publish(messages.encode_odometry(motion, stamp, of, "r1/base_link"))
        seen = np.zeros(len(tracks), TRACKS)
        seen["id"], seen["y"] = tracks, np.array(tracks) * 0.4
        self.tracks.publish(clouds.encode(seen, stamp, "r1/odom"))
        if self.tick % 2 == 0:
            known = np.zeros(len(sites), SITES)
            known["id"], known["x"] = sites, 1.0 - np.array(sites)
            self.sites.publish(clouds.encode(known, stamp, frame))
        return stamp

    def answer(self, **what):
        """Sense the next tick, if need be again, until a command answers it."""
        self.tick += 1

        def answers():
            self.tick -= 1
            stamp = self.sense(**what)
            end = time.monotonic() + 0.3
            self.until(lambda: self.answers(stamp) or time.monotonic() > end)
            return self.answers(stamp)

        return self.until(answers)[0]

    def answers(self, stamp):
        return [m for _, m in self.commands if m.header.stamp == stamp]

    def decide(self, **what):
        """Go to the next decision and wait for its command."""
        if self.tick % 2 == 0:
            self.answer()
        return self.answer(**what)

    def report(self):
        """The agent's next line in /diagnostics."""
        self.diagnostics.clear()
        message = self.until(lambda: self.diagnostics)[0][1]
        return message.status[0], messages.values_of(message.status[0])


def moves(command):
    """Whether a command is not zero."""
    return bool(command.twist.linear.x or command.twist.angular.z)

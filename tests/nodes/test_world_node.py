"""The world as a process: who it waits for, how long, and how it ends."""

import os
import time
from functools import partial

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")
pytest.importorskip("pybullet")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import TwistStamped  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.node import Node  # noqa: E402
from ros_graph import Probe, node_process  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

from eir_ros.contract.faults import FaultKind  # noqa: E402
from eir_ros.faults.timeline import Span  # noqa: E402
from eir_ros.nodes import messages, qos  # noqa: E402

TEAM = ["r0", "r1", "r2"]
#: Apart from each other and from the walls, all looking along x.
POSES = [-1.0, -1.0, 0.0, -1.0, 0.0, 0.0, -1.0, 1.0, 0.0]


class Robots(Probe):
    """Stands in for the agents and gates of three robots, and for those who watch."""

    def __init__(self):
        super().__init__("robots")
        self.command = np.array([0.2, 0.0])
        self.silent = set()
        self.scores = self.listen(DiagnosticArray, "/swarm/score", qos.EVENT)
        self.faults = self.node.create_publisher(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        self.poses = {robot: [] for robot in TEAM}
        for robot in TEAM:
            context = self.node.context
            agent = Node("agent", namespace=f"/{robot}", context=context)
            gate = Node("gate", namespace=f"/{robot}", context=context)
            self.add(agent)
            self.add(gate)
            sensor = qos.sensor(0.5)
            agent.create_subscription(Odometry, "odom", self.poses[robot].append, sensor)
            answer = gate.create_publisher(TwistStamped, "cmd_vel", qos.COMMAND)
            gate.create_subscription(Odometry, "odom", partial(self.answer, robot, answer), sensor)

    def answer(self, robot, publisher, odometry):
        if robot not in self.silent:
            stamp = odometry.header.stamp
            publisher.publish(messages.encode_twist(self.command, stamp, f"{robot}/base_link"))

    @property
    def score(self):
        """The newest values of /swarm/score."""
        return messages.values_of(self.scores[-1][1].status[0]) if self.scores else {}

    @property
    def ticks(self):
        return int(self.score.get("ticks", 0))

    def speed(self, robot):
        return self.poses[robot][-1].twist.twist.linear.x


@pytest.fixture
def robots():
    found = Robots()
    yield found
    found.close()


def world(tmp_path, **settings):
    defaults = {"team": TEAM, "initial_poses": POSES, "seed": 1}
    return node_process("world", "/", {"world": defaults | settings}, tmp_path)


def test_real_time_drifts_or_a_silent_robot_drives_on(robots, tmp_path):
    # in small circles, for as long as it takes
    robots.command = np.array([0.2, 1.0])
    with world(tmp_path) as process:
        robots.until(lambda: robots.ticks >= 4)

        def twenty_ticks_s():
            first, began = robots.ticks, time.monotonic()
            robots.until(lambda: robots.ticks >= first + 20)
            return time.monotonic() - began

        def stands_after_s():
            robots.silent.clear()
            robots.until(lambda: robots.speed("r1") > 0.1)
            robots.silent.add("r1")
            since = time.monotonic()
            robots.until(lambda: abs(robots.speed("r1")) < 1e-6)
            return time.monotonic() - since

        # a busy machine may hold up some of them, not all
        robots.until(lambda: 1.6 < twenty_ticks_s() < 3.0)
        robots.until(lambda: 0.3 < stands_after_s() < 1.2)
        robots.until(lambda: robots.speed("r2") > 0.1)
        robots.command = np.array([np.nan, 0.0])
        robots.until(lambda: abs(robots.speed("r2")) < 1e-6)
        assert process.interrupt() == 0
        assert "Traceback" not in process.output()


def test_a_paused_world_goes_on_or_falls_silent(robots, tmp_path):
    with world(tmp_path) as process:
        robots.until(lambda: robots.ticks >= 4)
        client = robots.node.create_client(SetBool, "/world/pause")

        def pause(wanted):
            robots.until(client.service_is_ready)
            future = client.call_async(SetBool.Request(data=wanted))
            robots.until(future.done)

        pause(True)
        robots.until(lambda: robots.score.get("paused") == "true")
        at, heard = robots.ticks, len(robots.poses["r0"])
        robots.until(lambda: len(robots.poses["r0"]) > heard + 5)
        assert robots.ticks == at
        pause(False)
        robots.until(lambda: robots.ticks > at + 4)
        assert process.interrupt() == 0


def test_the_mission_starts_before_everybody_is_there(robots, tmp_path):
    # a fault node that has not yet said what it will do
    fault = Node("fault", namespace="/r2", context=robots.node.context)
    robots.add(fault)
    truth = fault.create_publisher(DiagnosticArray, "/swarm/faults", qos.FAULTS)
    robots.silent.add("r0")
    with world(tmp_path, lockstep=True, duration_s=3.0, wait_for=["/robots"]) as process:
        robots.until(lambda: robots.node.count_publishers("/clock"))
        robots.spin(1.0)
        assert not robots.scores
        # nonsense is no answer, and no reason to end
        nonsense = messages.status("r2", {"kind": "mute", "start_s": "soon"})
        truth.publish(messages.diagnostics(messages.time_of(0), nonsense))
        robots.until(lambda: "ignored: a message on /swarm/faults of 'r2'" in process.output())
        truth.publish(
            messages.encode_faults(
                "r2", [Span(FaultKind.MUTE, 1.0, None, "schedule")], messages.time_of(0)
            )
        )
        robots.until(lambda: robots.scores)
        robots.spin(0.5)
        assert robots.ticks == 0
        robots.silent.clear()
        robots.until(lambda: process.popen.poll() is not None)
        assert process.wait() == 0
        robots.until(lambda: robots.ticks == 30)


def test_lockstep_waits_for_ever_or_does_not_say_for_whom(robots, tmp_path):
    with world(tmp_path, lockstep=True, answer_timeout_s=4.0) as process:
        robots.until(lambda: robots.ticks >= 10)
        robots.silent.add("r1")
        robots.until(lambda: process.popen.poll() is not None)
        assert process.wait() == 2
        assert "no cmd_vel of r1 answers tick" in process.output()


def test_the_start_waits_for_ever_or_does_not_say_for_what(robots, tmp_path):
    team = [*TEAM, "r9"]
    poses = [*POSES, 1.0, 1.0, 0.0]
    settings = {"start_timeout_s": 2.0, "wait_for": ["/monitor"]}
    with world(tmp_path, team=team, initial_poses=poses, **settings) as process:
        robots.until(lambda: process.popen.poll() is not None)
        assert process.wait() == 2
        assert "/monitor is not there" in process.output()
        assert "robot r9 has no agent and no gate" in process.output()


def test_two_worlds_move_the_same_robots(robots, tmp_path):
    robots.node.create_publisher(Clock, "/clock", qos.CLOCK)
    with world(tmp_path) as process:
        assert process.wait() == 2
        domain = os.environ["ROS_DOMAIN_ID"]
        assert f"publishes /clock in ROS_DOMAIN_ID={domain}; end it" in process.output()
        assert "Traceback" not in process.output()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"initial_poses": [0.0, 1.0]}, "initial_poses holds 2 numbers"),
        ({"task": '{"num_robots": 4}'}, "the task is for 4 robots"),
        ({"task": '{"max_sped": 1}'}, "did you mean 'max_speed'"),
        ({"task": "{"}, "not JSON"),
        ({"team": ["r0", "r1"]}, "a team of 2: "),
        ({"world": '{"arenna": 3}'}, "did you mean 'arena'"),
        ({"world": '{"body": "wings"}'}, "'planar' or 'wheels'"),
        ({"world": '{"arena": 0.3, "site_range": 0.2}'}, "3 robots of radius 0.12 m do not fit"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_wrong_world_starts(tmp_path, change, sentence):
    with world(tmp_path, **change) as process:
        assert process.wait() == 2
        assert sentence in process.output()
        assert "Traceback" not in process.output()

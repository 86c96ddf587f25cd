"""A robot's senses and words pass its fault node: as they are, or as the fault says."""

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from ros_graph import Probe  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402

from eir_ros.nodes import clouds, messages, qos  # noqa: E402

TEAM = ["r0", "r1", "r2", "r3"]
#: Topic, how it leaves the fault node, and of which type it is.
SENSES = {"odom": Odometry, "tracks": PointCloud2, "sites": PointCloud2}
WORDS = {"beliefs": PointCloud2, "decision": DiagnosticArray}


class Robot(Probe):
    """Around the fault node of r1: its senses, its agent, and those who listen to it."""

    def __init__(self):
        super().__init__("robot")
        publish, sensor = self.node.create_publisher, qos.sensor(0.05)
        self.senses = {name: publish(kind, f"/r1/{name}", sensor) for name, kind in SENSES.items()}
        self.words = {n: publish(k, f"/r1/{n}_policy", qos.EVENT) for n, k in WORDS.items()}
        self.clock = publish(Clock, "/clock", qos.CLOCK)
        self.sensed = {
            name: self.listen(kind, f"/r1/{name}_faulty", qos.sensor(0.1))
            for name, kind in SENSES.items()
        }
        self.heard = {
            f"{robot}/{name}": self.listen(kind, f"/{robot}/{name}", qos.EVENT)
            for robot in TEAM
            for name, kind in WORDS.items()
        }
        self.tick = 0

    def fault_node(self, *schedule, **settings):
        from eir_ros.nodes.fault import FaultNode

        node = self.start(
            FaultNode,
            "/r1",
            robot="r1",
            team=TEAM,
            use_sim_time=True,
            **({"schedule": list(schedule)} if schedule else {}),
            **settings,
        )
        self.connected(*self.senses.values(), *self.words.values(), self.clock)
        self.publishers(*(f"/r1/{name}_faulty" for name in SENSES), "/r1/beliefs", "/r1/decision")
        return node

    def at(self, seconds, *, ids=(0, 2, 3)):
        """One tick: what is sensed and said; what was sensed and heard of it, by topic."""
        self.tick = round(10 * seconds)
        stamp = messages.time_of(self.tick * 100_000_000)
        motion = messages.Motion(np.array([0.5, 0.1, 0.2]), np.array([0.1, 0.0]), 0.3)
        odometry = messages.encode_odometry(motion, stamp, "r1/odom", "r1/base_link")
        seen = np.zeros(len(ids), clouds.TRACKS)
        seen["id"], seen["x"] = ids, 1.0 + np.array(ids)
        tracks = clouds.encode(seen, stamp, "r1/odom")
        sites = clouds.encode(np.zeros(1, clouds.SITES), stamp, "map")
        told = {"odom": odometry, "tracks": tracks, "sites": sites}

        def all_here():
            self.clock.publish(Clock(clock=stamp))
            for name, message in told.items():
                self.senses[name].publish(message)
            self.spin(0.05)
            return all(f and f[-1][1].header.stamp == stamp for f in self.sensed.values())

        self.until(all_here)
        return told, {name: found[-1][1] for name, found in self.sensed.items()}

    def say(self, number):
        """The agent says something that can be told from everything else."""
        self.words["beliefs"].publish(
            clouds.encode(np.zeros(0, clouds.BELIEFS), messages.time_of(number), "map")
        )
        status = messages.status("r1/decision", {}, message=str(number))
        self.words["decision"].publish(messages.diagnostics(messages.time_of(number), status))

    def said(self, name):
        """What has been heard on a topic, by number."""
        return [messages.nanoseconds_of(m.header.stamp) for _, m in self.heard[name]]


@pytest.fixture
def robot():
    found = Robot()
    yield found
    found.close()


def test_healthy_senses_and_words_are_changed_on_their_way(robot):
    robot.fault_node()
    told, sensed = robot.at(1.0)
    assert sensed == told
    robot.say(7)
    robot.until(lambda: robot.said("r1/beliefs") == robot.said("r1/decision") == [7])


def test_a_faulty_sense_reaches_the_agent_as_it_was_or_after_its_end(robot):
    robot.fault_node("r1:offset(x=1.0,y=0.0)@2-3", "r1:dropout(share=0.99,length_s=60)@4-5")
    told, sensed = robot.at(2.0)
    assert sensed["odom"].pose.pose.position.x == pytest.approx(1.5)
    assert sensed["odom"].child_frame_id == "r1/base_link"
    # the velocity is over ground
    motion = messages.decode_odometry(sensed["odom"])
    assert motion.velocity == pytest.approx([0.1, 0.0])
    assert (sensed["tracks"], sensed["sites"]) == (told["tracks"], told["sites"])
    told, sensed = robot.at(3.0)
    assert sensed == told
    seen = [robot.at(4.0 + tick / 10)[1]["tracks"].width for tick in range(9)]
    assert sum(seen) < 9
    told, sensed = robot.at(5.0)
    assert sensed == told


def test_a_tick_that_is_told_twice_draws_twice(robot):
    robot.fault_node("r1:noise@1")
    _, first = robot.at(1.0)
    _, again = robot.at(1.0)
    assert again == first
    _, other = robot.at(1.1)
    assert other["odom"].pose.pose != first["odom"].pose.pose
    # and tracks that no healthy tracker makes are for the agent to refuse
    told, sensed = robot.at(1.2, ids=(0, 1))
    assert sensed["tracks"] == told["tracks"]


def test_who_is_silent_late_or_somebody_else_is_heard_as_if_healthy(robot):
    node = robot.fault_node()
    for kind, heard in (("silent", []), ("delay(delay_s=0.5)", []), ("sybil(name=r3)", [3])):
        robot.at(10.0)
        assert robot.set_parameter("/r1/fault", "kind", kind).successful
        robot.say(3)
        told = {"r1/beliefs": heard, "r3/beliefs": heard if "sybil" in kind else []}
        robot.until(lambda: all(robot.said(name) == said for name, said in told.items()))  # noqa: B023
        # and no more
        robot.spin(0.3)
        assert all(robot.said(name) == said for name, said in told.items())
        if "delay" in kind:
            robot.at(10.5)
            robot.until(lambda: robot.said("r1/beliefs") == [3])
        for found in robot.heard.values():
            found.clear()
    assert node is not None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("slow(gian=0.2)", "has no parameter 'gian'; it has gain"),
        ("sybil(name=r9)", "names 'r9'; the team is r0, r1, r2, r3"),
        ("sybil(name=r1)", "its own name"),
        ("late_switch", "needs a bundle"),
        ("stop for ever", "not of the form"),
    ],
)
def test_a_fault_that_cannot_be_is_set(robot, kind, reason):
    robot.fault_node()
    result = robot.set_parameter("/r1/fault", "kind", kind)
    assert not result.successful
    assert reason in result.reason


def test_a_fault_for_some_seconds_lasts_for_ever(robot):
    node = robot.fault_node()
    robot.at(10.0)
    robot.until(lambda: node.get_clock().now().nanoseconds >= 10_000_000_000)
    assert robot.set_parameter("/r1/fault", "kind", "offset(x=1) for 0.5").successful
    assert robot.at(10.4)[1]["odom"].pose.pose.position.x == pytest.approx(1.5)
    told, sensed = robot.at(10.5)
    assert sensed == told

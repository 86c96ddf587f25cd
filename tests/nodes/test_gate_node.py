"""The gate as a process: what a base hears when its agent is silent, mad or stopped."""

import math
import time
from itertools import count

import numpy as np
import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from geometry_msgs.msg import TwistStamped  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from ros_graph import Probe, node_process, probe  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402

from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.nodes import clouds, messages, qos  # noqa: E402


class Driver(Probe):
    """Stands in for the agent, the base and the operator of robot r2."""

    def __init__(self):
        super().__init__("driver")
        publish = self.node.create_publisher
        self.command = publish(TwistStamped, "/r2/cmd_vel_faulty", qos.COMMAND)
        self.odometry = publish(Odometry, "/r2/odom", qos.sensor(0.1))
        self.estop = publish(Bool, "/swarm/estop", qos.ESTOP)
        self.heard = self.listen(TwistStamped, "/r2/cmd_vel", qos.COMMAND)
        self.stamp = 0

    def tries(self):
        """Send once; whether anything has been answered yet."""
        self.send(0.0, 0.0)
        self.spin(0.1)
        return self.heard

    def send(self, v, w):
        """Send odometry and a command."""
        self.stamp += 1
        self.odometry.publish(messages.encode_odometry(HERE, self.now, "r2/odom", "r2/base_link"))
        self.command.publish(messages.encode_twist((v, w), self.now, "r2/base_link"))

    def drive(self, v, w):
        """Send one command and wait for its answer."""
        self.send(v, w)
        answer = self.until(
            lambda: next((m for _, m in self.heard if m.header.stamp == self.now), None)
        )
        return answer.twist.linear.x, answer.twist.angular.z

    @property
    def now(self):
        """Stamp of the newest command."""
        return messages.time_of(self.stamp * 100_000_000)


HERE = messages.Motion((0.0, 0.0, 0.0), (0.0, 0.0), 0.0)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    settings = {
        "robot": "r2",
        "fence": [-2.5, -2.5, 2.5, 2.5],
        # one command after the other, as fast as they are answered
        "max_acceleration": 1e4,
        "max_yaw_acceleration": 1e4,
        "period_s": 0.0,
    }
    with node_process("gate", "/r2", {"gate": settings}, tmp_path_factory.mktemp("gate")) as found:
        yield found


@pytest.fixture(scope="module")
def connected(gate):
    found = Driver()
    found.connected(found.command, found.estop, found.odometry)
    # the first ones may find nobody yet
    found.until(found.tries)
    yield found
    found.close()


@pytest.fixture
def driver(connected):
    """Each test starts from a gate that lets through."""
    connected.estop.publish(Bool(data=False))
    connected.until(lambda: connected.drive(0.25, 0.0) == (0.25, 0.0))
    connected.heard.clear()
    return connected


def test_nominal_commands_pass_bit_for_bit_with_their_stamp(driver):
    for v, w in ((0.1 + 0.2, -1.0 / 3.0), (-0.5, 3.0), (5e-324, -0.0)):
        answer = driver.drive(v, w)
        assert [x.hex() for x in answer] == [v.hex(), w.hex()]


def test_a_silent_agent_leaves_the_robot_standing_within_half_a_second(driver):
    def stood_after_s():
        for _ in range(3):
            driver.drive(0.5, 1.0)
            driver.spin(0.05)
        driver.drive(0.5, 1.0)
        silent_since = time.monotonic()
        driver.heard.clear()
        driver.until(lambda: driver.heard and driver.heard[-1][1].twist.linear.x == 0.0)
        speeds = [message.twist.linear.x for _, message in driver.heard]
        assert speeds == sorted(speeds, reverse=True)
        assert driver.heard[-1][1].twist.angular.z == 0.0
        return driver.heard[-1][0] - silent_since

    # a busy machine may hold up some of them, not all
    driver.until(lambda: stood_after_s() <= 0.5)


def test_estop_stops_at_once_stays_and_is_released(driver):
    driver.estop.publish(Bool(data=True))
    driver.until(lambda: driver.heard)
    assert driver.heard[0][1].twist.linear.x == 0.0
    for _ in range(5):
        assert driver.drive(0.5, 1.0) == (0.0, 0.0)
    driver.estop.publish(Bool(data=False))
    driver.until(lambda: driver.drive(0.5, 1.0) == (0.5, 1.0))


def test_estop_outlives_the_operator_and_reaches_a_late_gate(driver, tmp_path):
    driver.estop.publish(Bool(data=True))
    with (
        node_process("gate", "/r3", {"gate": {"robot": "r3"}}, tmp_path) as late,
        probe() as other,
    ):
        command = other.node.create_publisher(TwistStamped, "/r3/cmd_vel_faulty", qos.COMMAND)
        heard = other.listen(TwistStamped, "/r3/cmd_vel", qos.COMMAND)
        other.connected(command)
        other.publishers("/r3/cmd_vel")
        other.until(lambda: "estop" in late.output())
        forward = messages.encode_twist((0.5, 0.0), driver.now, "r3/base_link")

        def answered():
            command.publish(forward)
            other.spin(0.05)
            return any(message.header == forward.header for _, message in heard)

        other.until(answered)
        assert {message.twist.linear.x for _, message in heard} == {0.0}


@pytest.mark.parametrize("bad", [(math.nan, 0.0), (0.3, math.inf)])
def test_an_invalid_command_never_reaches_the_base_and_stops_it(driver, bad):
    driver.drive(0.5, 1.0)
    driver.drive(*bad)
    driver.until(lambda: driver.heard[-1][1].twist.linear.x == 0.0)
    for _, message in driver.heard:
        assert 0.0 <= message.twist.linear.x <= 0.5
        assert 0.0 <= message.twist.angular.z <= 1.0


def test_sideways_motion_is_refused_like_any_invalid_command(driver):
    driver.drive(0.5, 0.0)
    crab = messages.encode_twist((0.5, 0.0), driver.now, "r2/base_link")
    crab.twist.linear.y = 0.2
    driver.command.publish(crab)
    driver.until(lambda: driver.heard[-1][1].twist.linear.x == 0.0)


def test_too_fast_is_limited(driver):
    assert driver.drive(1.0, 0.0) == (0.5, 0.0)


def test_a_gate_with_a_fence_says_nothing_before_it_knows_where_it_is(tmp_path):
    settings = {"robot": "r7", "fence": [-1.0, -1.0, 1.0, 1.0]}
    with node_process("gate", "/r7", {"gate": settings}, tmp_path), probe() as other:
        command = other.node.create_publisher(TwistStamped, "/r7/cmd_vel_faulty", qos.COMMAND)
        heard = other.listen(TwistStamped, "/r7/cmd_vel", qos.COMMAND)
        told = other.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        other.connected(command)
        other.publishers("/r7/cmd_vel")

        def state():
            command.publish(messages.encode_twist((0.5, 0.0), messages.time_of(0), "r7/base_link"))
            mine = [m.status[0] for _, m in told if m.status[0].name == "r7/gate"]
            return mine and messages.values_of(mine[-1])["state"]

        other.until(lambda: state() == "no_odom")
        assert heard == []


def test_ctrl_c_ends_the_gate_cleanly_and_leaves_the_robot_driving(tmp_path):
    # long enough for silence not to be what stops it
    settings = {"robot": "r4", "command_timeout_s": 60.0}
    with (
        node_process("gate", "/r4", {"gate": settings}, tmp_path) as found,
        probe() as other,
    ):
        command = other.node.create_publisher(TwistStamped, "/r4/cmd_vel_faulty", qos.COMMAND)
        heard = other.listen(TwistStamped, "/r4/cmd_vel", qos.COMMAND)
        forward = messages.encode_twist((0.5, 0.0), messages.time_of(0), "r4/base_link")
        other.until(lambda: command.publish(forward) or other.spin(0.05) or heard)
        assert found.interrupt() == 0
        assert "Traceback" not in found.output()
        # whoever drove this robot is gone, and it stands
        other.until(lambda: heard[-1][1].twist.linear.x == 0.0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_sped": 1.0}, "unknown key 'max_sped', did you mean 'max_speed'"),
        ({"fence": [1.0, 0.0, -1.0, 2.0]}, "xmin < xmax"),
        ({"odom_in_map": [1.0]}, "three numbers"),
        ({"max_speed": 1}, "'max_speed' is 1, which ROS takes for an integer; write 1.0"),
        ({"max_speed": "fast"}, "max_speed"),
    ],
)
def test_a_wrong_parameter_is_refused_with_a_sentence(settings, sentence):
    from eir_ros.nodes.gate import GateNode

    with probe() as other, pytest.raises(EirError, match=sentence):
        other.start(GateNode, "/r5", robot="r5", **settings)


def test_nothing_is_published_before_active_nor_after():
    from eir_ros.nodes.gate import GateNode

    with probe() as other:
        node = other.start(GateNode, "/r6", robot="r6", autostart=False)
        node.trigger_configure()
        command = other.node.create_publisher(TwistStamped, "/r6/cmd_vel_faulty", qos.COMMAND)
        heard = other.listen(TwistStamped, "/r6/cmd_vel", qos.COMMAND)
        other.connected(command)
        other.publishers("/r6/cmd_vel")

        def send():
            command.publish(messages.encode_twist((0.5, 0.0), messages.time_of(0), "r6/base_link"))

        send()
        other.spin(0.3)
        assert heard == []
        node.trigger_activate()
        # what came before it was active does not count
        other.spin(0.3)
        assert heard == []
        other.until(lambda: send() or other.spin(0.05) or heard)
        assert heard[0][1].twist.linear.x == 0.5
        node.trigger_deactivate()
        other.until(lambda: heard[-1][1].twist.linear.x == 0.0)
        heard.clear()
        send()
        other.spin(0.3)
        assert heard == []
        node.trigger_cleanup()


class Chain(Probe):
    """A gate in this process, between stand-ins for agent and base."""

    def __init__(self, robot):
        super().__init__()
        publish = self.node.create_publisher
        self.robot = robot
        self.command = publish(TwistStamped, f"/{robot}/cmd_vel_faulty", qos.COMMAND)
        self.odometry = publish(Odometry, f"/{robot}/odom", qos.sensor(0.1))
        self.heard = self.listen(TwistStamped, f"/{robot}/cmd_vel", qos.COMMAND)

    def gate(self, **settings):
        """A gate that hears this agent."""
        from eir_ros.nodes.gate import GateNode

        gate = self.start(GateNode, f"/{self.robot}", robot=self.robot, **settings)
        self.connected(self.command)
        return gate

    def drive(self, duration_s, odometry_stamp=None):
        """Command 0.5 m/s at 20 Hz; returns the speeds that the base hears."""
        del self.heard[:]
        end = time.monotonic() + duration_s
        while time.monotonic() < end:
            if odometry_stamp is not None:
                here = messages.encode_odometry(HERE, odometry_stamp, "odom", "base_link")
                self.odometry.publish(here)
            self.command.publish(messages.encode_twist((0.5, 0.0), messages.time_of(0), "base"))
            self.spin(0.05)
        return [message.twist.linear.x for _, message in self.heard]


@pytest.fixture
def chain():
    found = Chain("r8")
    yield found
    found.close()


#: A gate that listens so long finds whoever keeps an order, however busy the machine is.
PATIENT = {"estop_wait_s": 60.0}


def test_a_gate_that_starts_during_a_stop_lets_commands_through_first(chain):
    with probe("operator") as operator:
        operator.node.create_publisher(Bool, "/swarm/estop", qos.ESTOP).publish(Bool(data=True))
        chain.gate(**PATIENT)
        speeds = []
        chain.until(lambda: speeds.extend(chain.drive(0.2)) or len(speeds) > 5)
    assert set(speeds) == {0.0}


def test_an_old_release_lets_commands_through_before_a_newer_stop_is_heard(chain):
    with probe("one") as one, probe("another") as another:
        one.node.create_publisher(Bool, "/swarm/estop", qos.ESTOP).publish(Bool(data=False))
        chain.gate(**PATIENT)
        assert chain.drive(0.5) == []
        another.node.create_publisher(Bool, "/swarm/estop", qos.ESTOP).publish(Bool(data=True))
        speeds = []
        chain.until(lambda: speeds.extend(chain.drive(0.2)) or len(speeds) > 5)
    assert set(speeds) == {0.0}


def test_a_gate_waits_for_ever_or_not_at_all_for_an_operator(chain):
    began = time.monotonic()
    chain.gate(estop_wait_s=0.5)
    chain.until(lambda: chain.drive(0.1))
    arrival, message = chain.heard[0]
    assert message.twist.linear.x == 0.5
    assert arrival - began >= 0.5


@pytest.mark.parametrize("end", ["trigger_shutdown", "destroy_node"])
def test_a_gate_that_leaves_or_is_shut_down_leaves_its_robot_driving(chain, end):
    gate = chain.gate(command_timeout_s=30.0)
    chain.until(lambda: chain.drive(0.1)[-1:] == [0.5])
    getattr(gate, end)()
    chain.until(lambda: chain.heard[-1][1].twist.linear.x == 0.0)
    if end == "trigger_shutdown":
        assert chain.drive(0.5) == []
        gate.destroy_node()


@pytest.mark.parametrize(("simulated", "speed"), [(False, 0.0), (True, 0.5)])
def test_a_driver_that_repeats_itself_keeps_the_fence_informed(chain, simulated, speed):
    settings = {"use_sim_time": simulated, "command_timeout_s": 1.0}
    chain.gate(fence=[-2.5, -2.5, 2.5, 2.5], **settings)
    frozen, fresh = messages.time_of(1), map(messages.time_of, count(2))
    chain.until(lambda: chain.drive(0.1, frozen))
    # longer than it takes to stop; in simulation time may stand still
    chain.drive(2.0, frozen)
    chain.until(lambda: chain.drive(0.1, frozen)[-1:] == [speed])
    chain.until(lambda: chain.drive(0.1, next(fresh))[-1:] == [0.5])


class Company(Chain):
    """Around r9, whose gate keeps a distance; `ahead` is where a teammate is seen."""

    def __init__(self):
        super().__init__("r9")
        self.tracks = self.node.create_publisher(PointCloud2, "/r9/tracks", qos.sensor(0.1))
        self.events = self.listen(DiagnosticArray, "/r9/gate_events", qos.EVENT)
        self.told = self.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        self.tick = 0

    def step(self, ahead, *, frame="odom", seen_at=None, speed=0.5, of="odom"):
        """One tick at 20 Hz; tracks may be of another frame or tick, odometry `of` one."""
        self.tick += 1
        stamp = messages.time_of(self.tick * 50_000_000)
        seen = np.zeros(0 if ahead is None else 1, clouds.TRACKS)
        seen["x"] = 0.0 if ahead is None else ahead
        old = messages.time_of((self.tick if seen_at is None else seen_at) * 50_000_000)
        self.odometry.publish(messages.encode_odometry(HERE, stamp, of, "base_link"))
        self.tracks.publish(clouds.encode(seen, old, frame))
        self.command.publish(messages.encode_twist((speed, 0.0), stamp, "base"))
        self.spin(0.05)
        return self.heard[-1][1].twist.linear.x if self.heard else None

    def status(self):
        """The newest words of the gate in /diagnostics."""
        mine = [m.status[0] for _, m in self.told if m.status[0].name == "r9/gate"]
        return messages.values_of(mine[-1]) if mine else {}


@pytest.fixture
def company():
    found = Company()
    found.gate(separation_m=0.3, quarantine_m=0.4, estop_wait_s=0.0)
    found.connected(found.tracks, found.odometry)
    yield found
    found.close()


def test_a_teammate_ahead_is_driven_into_and_nobody_is_told_why(company):
    company.until(lambda: company.step(2.0) == 0.5)
    company.until(lambda: company.step(0.29) == 0.0)
    company.until(lambda: company.step(0.29, speed=-0.5) == -0.5)

    def reasons():
        return [messages.values_of(m.status[0])["reason"] for _, m in company.events]

    company.until(lambda: company.step(0.29, speed=-0.5) and reasons()[-1:] == ["nominal"])
    event = messages.values_of(company.events[reasons().index("separation")][1].status[0])
    assert float(event["asked_v"]) == 0.5
    assert float(event["allowed_v"]) < 0.5
    company.until(lambda: company.step(2.0) and int(company.status().get("reduced_separation", 0)))


def test_odometry_that_changes_its_frame_moves_the_fence(company):
    company.until(lambda: company.step(2.0) == 0.5)
    company.until(lambda: company.step(2.0, of="other") == 0.0)
    said = "odom was in 'odom' and is in 'other' now"
    company.until(lambda: said in company.status().get("invalid_inputs", ""))
    company.until(lambda: company.step(2.0) == 0.5)


def test_another_node_drives_the_motors_past_the_gate_and_nobody_says_so(monkeypatch):
    """A joystick that sends cmd_vel; a second localisation."""
    from eir_ros.nodes import gate

    monkeypatch.setattr(gate, "REMAINS_S", 0.0)
    company = Company()
    try:
        company.gate(separation_m=0.3, estop_wait_s=0.0)
        company.until(lambda: company.step(2.0) and company.status())
        assert company.status()["shared"] == ""
        company.node.create_publisher(TwistStamped, "/r9/cmd_vel", qos.COMMAND)
        company.node.create_publisher(Odometry, "/r9/odom", qos.sensor(0.1))
        found = "cmd_vel by /probe and /r9/gate; odom by /probe and /probe"
        company.until(lambda: company.step(2.0) and company.status()["shared"] == found)
        newest = company.told[-1][1].status[0]
        assert newest.level == DiagnosticStatus.ERROR
        assert "cmd_vel and odom shared" in newest.message
    finally:
        company.close()


def test_what_is_left_of_a_crash_passes_for_another_sender():
    from eir_ros.nodes.graph import Shared

    with probe() as graph:
        shared = Shared(graph.node, ["odom"], patience_s=30.0)
        graph.node.create_publisher(Odometry, "odom", qos.sensor(0.1))
        remains = graph.node.create_publisher(Odometry, "odom", qos.sensor(0.1))
        graph.until(lambda: graph.node.count_publishers("odom") == 2)
        assert shared.look(100.0) == shared.look(129.9) == {}
        assert shared.look(130.0) == {"odom": ["/probe", "/probe"]}
        graph.node.destroy_publisher(remains)
        graph.until(lambda: graph.node.count_publishers("odom") == 1)
        assert shared.look(131.0) == {}


def test_senses_that_are_all_late_look_in_time(company):
    def late_by(seconds):
        now = company.node.get_clock().now().nanoseconds
        stamp = messages.time_of(now - int(seconds * 1e9))
        company.odometry.publish(messages.encode_odometry(HERE, stamp, "odom", "base_link"))
        company.spin(0.05)
        return float(company.status().get("odom_age_s") or 0.0)

    company.until(lambda: late_by(0.0) > 0.0)
    company.until(lambda: 2.0 < late_by(2.0) < 60.0)


@pytest.mark.parametrize("wrong", [{"frame": "map"}, {}])
def test_tracks_that_are_not_to_be_trusted_keep_a_robot_driving(company, wrong):
    company.until(lambda: company.step(2.0) == 0.5)
    if not wrong:
        # overtaken by those that are here
        wrong = {"seen_at": company.tick - 1}
    company.until(lambda: company.step(2.0, **wrong) == 0.0)
    company.until(lambda: company.status().get("state") == "stale_tracks")
    assert ("are in 'map', not 'odom'" in company.status()["invalid_inputs"]) == ("frame" in wrong)
    company.until(lambda: company.step(2.0) == 0.5)


def test_a_pose_in_the_map_is_moved_by_odom_in_map_once_more():
    company = Company()
    company.gate(separation_m=0.3, estop_wait_s=0.0, odom_in_map=[0.5, 0.0, 0.0])
    company.connected(company.tracks, company.odometry)
    try:
        company.until(lambda: company.step(2.0) == 0.5)
        company.until(lambda: company.step(2.0, of="map") == 0.0)
        company.until(lambda: company.status().get("state") == "stale_odom")
        assert "odom is in 'map' already" in company.status()["invalid_inputs"]
        company.until(lambda: company.step(2.0) == 0.5)
    finally:
        company.close()


def test_a_detector_that_repeats_itself_keeps_a_robot_driving(company):
    company.until(lambda: company.step(2.0) == 0.5)
    seen_at = company.tick
    company.until(lambda: company.step(2.0, seen_at=seen_at) == 0.0)
    company.until(lambda: company.status().get("state") == "stale_tracks")
    company.until(lambda: company.step(2.0) == 0.5)


def test_a_gate_lets_its_robot_near_whom_its_agent_has_quarantined(company):
    trust = company.node.create_publisher(DiagnosticArray, "/r9/trust", qos.EVENT)
    company.connected(trust)
    # the teammate that is seen is the first of the team
    for out, speed in (("", 0.5), ("0", 0.0), ("", 0.5)):
        status = messages.status("r9/trust", {"quarantined": out})
        trust.publish(messages.diagnostics(messages.time_of(0), status))
        company.until(lambda speed=speed: company.step(0.65) == speed)


def test_a_flood_of_commands_is_passed_on_to_the_motors(company):
    company.until(lambda: company.step(2.0) == 0.5)
    del company.heard[:]
    began, asked = time.monotonic(), 0

    def flooded():
        nonlocal asked
        for _ in range(50):
            company.command.publish(
                messages.encode_twist((0.5, 0.0), messages.time_of(10**12), "base")
            )
        asked += 50
        company.step(2.0)
        return len(company.heard) > 5 and asked >= 500

    company.until(flooded)
    # 20 ms lie between two commands; a brake may pass in between
    assert len(company.heard) <= 2 + 1.5 * (time.monotonic() - began) / 0.02
    assert len(company.heard) < asked / 5

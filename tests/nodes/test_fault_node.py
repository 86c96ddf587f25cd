"""A robot broken on purpose: real processes from agent to base, and the ground truth."""

from itertools import count
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
rclpy = pytest.importorskip("rclpy")

import numpy as np  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import TwistStamped  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from ros_graph import Probe, node_process, probe  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from tiny_bundle import TASK, make_keys, tiny_files, tiny_manifest, write_tiny_bundle  # noqa: E402

from eir_ros.contract.coverage import Sensed, command, decode, observe  # noqa: E402
from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.contract.faults import FaultKind  # noqa: E402
from eir_ros.contract.paths import share  # noqa: E402
from eir_ros.nodes import clouds, messages, mission, qos  # noqa: E402
from eir_ros.policy.bundle import load_bundle  # noqa: E402
from eir_ros.policy.runtime import AdversaryRuntime  # noqa: E402
from eir_ros.policy.signing import load_private_key  # noqa: E402
from eir_ros.policy.store import write_bundle  # noqa: E402

TEAM = ["r0", "r1", "r2", "r3"]


class Agent(Probe):
    """Stands in for the agent of r2, and hears what becomes of its commands."""

    def __init__(self):
        super().__init__("agent")
        self.command = self.node.create_publisher(TwistStamped, "/r2/cmd_vel_policy", qos.COMMAND)
        self.clock = self.node.create_publisher(Clock, "/clock", qos.CLOCK)
        self.faulty = self.listen(TwistStamped, "/r2/cmd_vel_faulty", qos.COMMAND)
        self.sent = self.listen(TwistStamped, "/r2/cmd_vel", qos.COMMAND)
        self.truth = self.listen(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        self.stamp = 0

    def drive(self, v, w):
        """Send one command; returns what came out of the fault node and of the gate."""
        self.send(v, w)
        now = messages.time_of(self.stamp * 100_000_000)

        def answer(heard):
            return next((m for _, m in heard if m.header.stamp == now), None)

        self.until(lambda: answer(self.faulty) and answer(self.sent))
        return tuple(
            (m.twist.linear.x, m.twist.angular.z) for m in (answer(self.faulty), answer(self.sent))
        )

    def send(self, v, w):
        """Send one command, at the next tick."""
        self.stamp += 1
        now = messages.time_of(self.stamp * 100_000_000)
        self.clock.publish(Clock(clock=now))
        self.command.publish(messages.encode_twist((v, w), now, "r2/base_link"))

    def faults(self):
        """The newest ground truth of r2."""
        mine = [m for _, m in self.truth if m.status[0].name == "r2"]
        return [messages.values_of(status) for status in mine[-1].status] if mine else None

    def set_parameter(self, node, name, value):
        """As any probe; a fault that is set is announced before anything else happens."""
        told = len(self.truth)
        result = super().set_parameter(node, name, value)
        if result.successful:
            self.until(lambda: len(self.truth) > told)
        return result


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    nodes = {
        # nothing goes stale: a stop for silence, stamped with the simulated present, would pass for
        # the answer to the next command
        "gate": {
            "robot": "r2",
            "with_fault": True,
            "use_sim_time": True,
            "command_timeout_s": 600.0,
            # one command after the other, as fast as they are answered
            "max_acceleration": 1e4,
            "max_yaw_acceleration": 1e4,
            "period_s": 0.0,
        },
        "fault": {
            "robot": "r2",
            "team": TEAM,
            "schedule": ["r2:mute@3600-3700", "r1:stop@1"],
            "use_sim_time": True,
        },
    }
    with node_process("gate", "/r2", nodes, tmp_path_factory.mktemp("fault")) as found:
        yield found


@pytest.fixture(scope="module")
def connected(process):
    found = Agent()
    found.connected(found.command, found.clock)
    found.publishers("/r2/cmd_vel", "/r2/cmd_vel_faulty", "/swarm/faults")
    found.until(found.faults)
    # a gate lets nothing through at first, and the first ones may find nobody yet
    found.until(lambda: found.send(0.0, 0.0) or found.spin(0.1) or (found.sent and found.faulty))
    yield found
    found.close()


@pytest.fixture
def agent(connected):
    connected.set_parameter("/r2/fault", "kind", "none")
    return connected


def test_a_scheduled_fault_is_announced_before_it_starts(agent):
    first = messages.values_of(agent.truth[0][1].status[0])
    assert len(agent.truth[0][1].status) == 1
    assert first == {
        "kind": "mute",
        "start_s": "3600.000",
        "end_s": "3700.000",
        "source": "schedule",
        "parameters": "",
        "seed": "",
    }


def test_a_fault_set_by_hand_changes_the_command_and_the_ground_truth_until_cleared(agent):
    assert agent.drive(0.4, 1.0) == ((0.4, 1.0), (0.4, 1.0))
    assert agent.set_parameter("/r2/fault", "kind", "slow").successful
    agent.until(lambda: agent.drive(0.4, 1.0)[0] == (0.12, 0.3))
    # until the next one that is scheduled
    agent.until(lambda: [f["kind"] for f in agent.faults() if f["end_s"] == "3600.000"] == ["slow"])
    assert agent.set_parameter("/r2/fault", "kind", "stop").successful
    assert agent.drive(0.4, 1.0) == ((0.0, 0.0), (0.0, 0.0))
    assert agent.set_parameter("/r2/fault", "kind", "none").successful
    assert agent.drive(0.4, 1.0) == ((0.4, 1.0), (0.4, 1.0))
    agent.until(lambda: not any(fault["end_s"] == "3600.000" for fault in agent.faults()))
    by_hand = [fault["kind"] for fault in agent.faults() if fault["source"] == "operator"]
    assert by_hand[-2:] == ["slow", "stop"]


def test_who_joins_late_still_learns_of_every_fault(agent):
    agent.set_parameter("/r2/fault", "kind", "stuck")
    with probe("late") as late:
        heard = late.listen(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        late.until(
            lambda: any(
                status.message == "stuck" for _, message in heard for status in message.status
            )
        )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("kind", "explode", "unknown fault kind 'explode'; expected one of none, stop, stuck"),
        ("kind", "adversary", "needs a bundle"),
        ("kind", 3, "type"),
        ("seed", 1, "read-only"),
        ("kid", "stop", "undeclared"),
    ],
)
def test_what_cannot_be_set_is_refused_with_a_reason(agent, name, value, reason):
    told = len(agent.truth)
    result = agent.set_parameter("/r2/fault", name, value)
    assert not result.successful
    assert reason in result.reason
    agent.spin(0.1)
    assert len(agent.truth) == told
    assert agent.drive(0.4, 1.0)[0] == (0.4, 1.0)


def test_a_faulty_robot_keeps_its_gate(agent):
    assert agent.drive(0.9, 0.0) == ((0.9, 0.0), (0.5, 0.0))
    agent.set_parameter("/r2/fault", "kind", "stuck")
    assert agent.drive(0.1, 0.0) == ((0.9, 0.0), (0.5, 0.0))


def test_a_tick_that_is_sent_twice_counts_once(agent):
    agent.set_parameter("/r2/fault", "kind", "random_walk")
    first, _ = agent.drive(0.4, 0.0)
    agent.faulty.clear()
    agent.stamp -= 1
    assert agent.drive(0.4, 0.0)[0] == first
    assert agent.drive(0.4, 0.0)[0] != first


def test_the_hold_of_a_tick_is_replaced_by_its_earlier_motion(agent):
    agent.set_parameter("/r2/fault", "kind", "stuck")
    agent.drive(0.4, 0.0)
    agent.faulty.clear()
    agent.sent.clear()
    agent.stamp -= 1
    assert agent.drive(0.0, 0.0) == ((0.0, 0.0), (0.0, 0.0))
    agent.faulty.clear()
    agent.stamp -= 1
    # and this is what is repeated from now on
    assert agent.drive(0.0, 0.0)[0] == (0.0, 0.0)


def fault_node(swarm, **settings):
    """A fault node of r1 in this process."""
    from eir_ros.nodes.fault import FaultNode

    return swarm.start(FaultNode, "/r1", robot="r1", team=TEAM, **settings)


def test_a_hold_waits_for_senses_that_a_corrupted_robot_has_lost():
    with probe() as swarm:
        fault_node(swarm, kind="random_action")
        asked = swarm.node.create_publisher(TwistStamped, "/r1/cmd_vel_policy", qos.COMMAND)
        heard = swarm.listen(TwistStamped, "/r1/cmd_vel_faulty", qos.COMMAND)
        swarm.connected(asked)
        swarm.publishers("/r1/cmd_vel_faulty")
        swarm.spin(0.3)
        now = swarm.node.get_clock().now().to_msg()
        for _ in range(2):
            # a repeat waits like the first
            asked.publish(messages.encode_twist((0.4, 0.0), now, "r1/base_link"))
        swarm.spin(0.3)
        assert heard == []
        asked.publish(messages.encode_twist((0.0, 0.0), now, "r1/base_link"))
        swarm.until(lambda: heard)
        swarm.spin(0.2)
        assert [message.twist.linear.x for _, message in heard] == [0.0]


def test_an_observation_that_the_adversary_cannot_use_ends_the_gate(bundle):
    with probe() as swarm:
        node = fault_node(swarm, schedule=["r1:adversary@0"], **bundle)
        observation = np.full(TASK.layout.size, np.nan, np.float32)
        assert node._injector.adversary(observation, 1) is None
        assert node._injector.adversary(np.zeros_like(observation), 1) is not None


class World(Probe):
    """Stands in for the agent and the senses of r1."""

    def __init__(self):
        super().__init__("world")
        publish = self.node.create_publisher
        sensor = qos.sensor(0.2)
        self.odom = publish(Odometry, "/r1/odom", sensor)
        self.tracks = publish(PointCloud2, "/r1/tracks", sensor)
        self.sites = publish(PointCloud2, "/r1/sites", sensor)
        self.command = publish(TwistStamped, "/r1/cmd_vel_policy", qos.COMMAND)
        self.clock = publish(Clock, "/clock", qos.CLOCK)
        self.heard = self.listen(TwistStamped, "/r1/cmd_vel_faulty", qos.COMMAND)

    def tick(self, number, *, senses_first):
        """One tick, told again until it is answered; returns the command that came out, (v, w)."""
        stamp = messages.time_of(number * 100_000_000)
        asked = messages.encode_twist((0.1, 0.2), stamp, "r1/base_link")

        def told_and_answered():
            self.clock.publish(Clock(clock=stamp))
            if senses_first:
                self.sense(number, stamp)
                self.spin(0.05)
                self.command.publish(asked)
            else:
                self.command.publish(asked)
                self.spin(0.05)
                self.sense(number, stamp)
            self.spin(0.05)
            return self.heard and self.heard[-1][1].header.stamp == stamp

        self.until(told_and_answered)
        twist = self.heard[-1][1].twist
        return twist.linear.x, twist.angular.z

    def sense(self, number, stamp):
        """What r1 senses at a tick."""
        sensed = SENSED[number % len(SENSED)]
        motion = messages.Motion(sensed.pose, sensed.velocity, 0.0)
        self.odom.publish(messages.encode_odometry(motion, stamp, "r1/odom", "r1/base_link"))
        self.tracks.publish(clouds.encode(mission.track_points(sensed), stamp, "r1/odom"))
        if number % TASK.decision_ticks == 0:
            self.sites.publish(clouds.encode(mission.site_points(sensed), stamp, "map"))


def _sensed(rng):
    return Sensed(
        pose=rng.uniform(-1.0, 1.0, 3),
        velocity=rng.uniform(-0.5, 0.5, 2),
        tracks=rng.uniform(-1.0, 1.0, (3, 4)).astype(np.float32),
        visible=rng.random(3) < 0.8,
        sites=rng.uniform(-1.0, 1.0, (3, 2)).astype(np.float32),
        served=rng.random(3) < 0.5,
        index=np.int64(1),
    )


SENSED = [_sensed(np.random.default_rng(number)) for number in range(12)]


@pytest.fixture
def bundle(tmp_path):
    make_keys(tmp_path / "keys")
    write_tiny_bundle(tmp_path / "bundle", tmp_path / "keys" / "lab.key")
    return {"bundle": str(tmp_path / "bundle"), "trusted_keys": str(tmp_path / "keys")}


def expected(bundle, decisions, seed):
    """What the plain loop would command at `decisions` and the ticks that follow each."""
    runtime = AdversaryRuntime(
        load_bundle(bundle["bundle"], trusted_keys=Path(bundle["trusted_keys"])),
        np.random.SeedSequence([seed, 1, FaultKind.ADVERSARY]),
    )
    commands = {}
    for first in decisions:
        action = runtime.step(observe(TASK, SENSED[first]), 1)
        decision = decode(TASK, np.array(action), SENSED[first])
        for tick in range(first, first + TASK.decision_ticks):
            commands[tick] = command(TASK, decision, SENSED[tick].pose)
    return commands


def drive_corrupted(tmp_path, bundle, senses_first):
    """A fault node corrupts r1 from tick 4 to 7, and does what the bundle's adversary says."""
    settings = {
        "robot": "r1",
        "team": TEAM,
        "schedule": ["r1:adversary@0.4-0.8"],
        "seed": 5,
        "use_sim_time": True,
        **bundle,
    }
    with node_process("fault", "/r1", {"fault": settings}, tmp_path):
        world = World()
        try:
            world.connected(world.odom, world.tracks, world.sites, world.command, world.clock)
            world.publishers("/r1/cmd_vel_faulty")
            for number in range(12):
                found = world.tick(number, senses_first=senses_first)
                if number in (4, 5, 6, 7):
                    wanted = expected(bundle, (4, 6), seed=5)[number]
                    # the pose travels as a quaternion
                    assert found == pytest.approx(tuple(wanted), abs=1e-9)
                else:
                    assert found == (0.1, 0.2)
        finally:
            world.close()


@pytest.mark.parametrize("senses_first", [True, False])
def test_the_adversary_decides_as_in_the_plain_loop(tmp_path, bundle, senses_first):
    drive_corrupted(tmp_path, bundle, senses_first)


def test_an_attack_trained_against_a_team_drives_a_robot_once_it_is_exported(tmp_path):
    torch = pytest.importorskip("torch", reason="training needs the extra `train`")
    from eir_ros.cli.attack import attack
    from eir_ros.cli.export import export
    from training import checkpoint
    from training.attack import load_attack
    from training.recipe import read_recipe

    small = ("steps=10", "options.episode_decisions=10", "batch=8", "width=16")
    run = checkpoint.fresh(read_recipe(share() / "config/recipes/coverage.yaml", small))
    checkpoint.save(run, tmp_path / "checkpoint.pt")
    attack(tmp_path, iterations=2)
    key = make_keys(tmp_path / "keys")
    found = tmp_path / "attack-fresh.pt"
    export(tmp_path, tmp_path / "bundle", key=key, threshold=0.9, adversary=found)
    bundle = {"bundle": str(tmp_path / "bundle"), "trusted_keys": str(tmp_path / "keys")}

    loaded = load_bundle(bundle["bundle"], trusted_keys=tmp_path / "keys")
    observation, types = observe(TASK, SENSED[4]), np.eye(4, dtype=np.float32)[1]
    exported = AdversaryRuntime(loaded, 0).logits(observation, types)
    seen = torch.from_numpy(observation)[None], torch.from_numpy(types)[None]
    assert exported == pytest.approx(load_attack(found)(*seen)[0].detach().numpy(), abs=1e-5)
    # not the adversary that the team was trained with
    assert np.abs(exported - run.adversary(*seen)[0].detach().numpy()).max() > 1e-4
    drive_corrupted(tmp_path, bundle, senses_first=True)


def test_an_adversary_set_by_hand_takes_over_without_blocking_the_robot(tmp_path, bundle):
    settings = {"robot": "r1", "team": TEAM, "use_sim_time": True, **bundle}
    with node_process("fault", "/r1", {"fault": settings}, tmp_path):
        world = World()
        try:
            world.connected(world.command, world.clock)
            world.publishers("/r1/cmd_vel_faulty")
            assert world.set_parameter("/r1/fault", "kind", "adversary").successful
            world.connected(world.odom, world.tracks, world.sites)
            numbers = count()
            world.until(lambda: world.tick(next(numbers), senses_first=True) != (0.1, 0.2))
        finally:
            world.close()


def test_a_bundle_without_an_adversary_is_refused_by_schedule_and_by_hand(tmp_path):
    from eir_ros.nodes.fault import FaultNode

    key = make_keys(tmp_path / "keys")
    files = {name: data for name, data in tiny_files().items() if name != "adversary.onnx"}
    write_bundle(tmp_path / "bundle", tiny_manifest(), files, load_private_key(key))
    settings = {
        "robot": "r2",
        "team": TEAM,
        "bundle": str(tmp_path / "bundle"),
        "trusted_keys": str(tmp_path / "keys"),
    }
    with probe() as other:
        with pytest.raises(EirError, match=r"needs adversary\.onnx, but bundle 'tiny' has none"):
            other.start(FaultNode, "/r2", **settings, schedule=["r2:adversary@5"])
        node = other.start(FaultNode, "/r2", **settings)
        (result,) = node.set_parameters([rclpy.Parameter("kind", value="adversary")])
        assert not result.successful
        assert "adversary.onnx" in result.reason


@pytest.mark.parametrize(
    ("settings", "spans"),
    [
        ({"schedule": ["r3:stop@0"]}, [("stop", "0.000", "", "schedule")]),
        ({"kind": "mute"}, [("mute", "0.000", "", "operator")]),
        ({}, [("none", "0.000", "0.000", "schedule")]),
    ],
)
def test_a_fault_that_is_there_from_the_start_is_kept(settings, spans):
    from eir_ros.nodes.fault import FaultNode

    parameters = {"robot": "r3", "team": TEAM, "use_sim_time": True} | settings
    with probe() as other:
        heard = other.listen(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        other.start(FaultNode, "/r3", **parameters)
        mine = other.until(lambda: [m for _, m in heard if m.status[0].name == "r3"])
        told = [tuple(messages.values_of(status).values())[:4] for status in mine[0].status]
    assert told == spans


def test_ctrl_c_ends_gate_and_fault_cleanly(tmp_path):
    nodes = {
        "gate": {"robot": "r1", "with_fault": True},
        "fault": {"robot": "r1", "team": TEAM},
    }
    with node_process("gate", "/r1", nodes, tmp_path) as found, probe() as other:
        heard = other.listen(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        # a healthy robot says so, which takes back what an earlier life left
        mine = other.until(lambda: [m.status for _, m in heard if m.status[0].name == "r1"])
        assert [status.message for status in mine[0]] == ["none"]
        assert found.interrupt() == 0
        assert "Traceback" not in found.output()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"schedule": ["r2:explode@5"]}, "unknown fault kind"),
        ({"schedule": ["r9:stop@5"]}, "the team is r0, r1, r2, r3"),
        ({"schedule": ["r2:adversary@5"]}, "needs a bundle"),
        ({"kind": "explode"}, "unknown fault kind"),
        ({"robot": "r9"}, "'r9' is not in the team"),
    ],
)
def test_what_the_robot_cannot_play_is_refused_before_anything_moves(settings, sentence):
    from eir_ros.nodes.fault import FaultNode

    parameters = {"robot": "r2", "team": TEAM} | settings
    with probe() as other, pytest.raises(EirError, match=sentence):
        other.start(FaultNode, "/r2", **parameters)

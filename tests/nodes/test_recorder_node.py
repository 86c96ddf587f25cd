"""A recording that cannot be read, or that dies with its recorder, is no evidence."""

import math
import shutil
import time
from contextlib import contextmanager
from itertools import count

import pytest
import yaml

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from geometry_msgs.msg import TwistStamped  # noqa: E402
from mcap_ros2.reader import read_ros2_messages  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.serialization import deserialize_message  # noqa: E402
from ros_graph import node_process, probe  # noqa: E402
from rosbags.rosbag2 import Reader  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from eir_ros.cli.main import app  # noqa: E402
from eir_ros.contract.errors import EirError  # noqa: E402
from eir_ros.nodes import messages, qos  # noqa: E402


def command(number):
    stamp = messages.time_of(number * 100_000_000)
    return messages.encode_twist((0.1 + number, -1.0 / 3.0), stamp, "r0/base_link")


def odometry(number):
    motion = messages.Motion((0.1 * number, 0.0, 0.3), (0.5, 0.0), 0.1)
    return messages.encode_odometry(motion, messages.time_of(number), "r0/odom", "r0/base_link")


def status_of(heard):
    """The recorder's newest word on itself."""
    found = [status for _, message in heard for status in message.status]
    return next((s for s in reversed(found) if s.name == "recorder"), None)


def messages_in(status):
    return int(messages.values_of(status)["messages"])


@contextmanager
def at_work(folder):
    """A recorder of r0 that hears everybody by now.

    Yields the probe, the process, what the recorder says of itself, and a function that says
    something new on each topic and returns how much was said.
    """
    recorder = {"recorder": {"team": ["r0"], "out": str(folder / "bag")}}
    with probe() as other:
        publish = other.node.create_publisher
        truth = publish(DiagnosticArray, "/swarm/faults", qos.FAULTS)
        # before anybody listens
        fault = messages.status("r0", {"kind": "stop"})
        truth.publish(messages.diagnostics(messages.time_of(0), fault))
        commands = publish(TwistStamped, "/r0/cmd_vel", qos.COMMAND)
        odometries = publish(Odometry, "/r0/odom", qos.sensor(0.2))
        with node_process("recorder", "/", recorder, folder) as process:
            heard = other.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
            other.connected(truth, commands, odometries)
            numbers = count()

            def say():
                number = next(numbers)
                commands.publish(command(number))
                odometries.publish(odometry(number))
                other.spin(0.02)
                return number + 1

            # a publisher that found its subscriber may not have been found by it yet, and
            # what it says until then is lost
            other.until(lambda: say() and (status := status_of(heard)) and messages_in(status) > 30)
            yield other, process, heard, say


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """The recording of a short run that ended with Ctrl-C."""
    folder = tmp_path_factory.mktemp("recording")
    with at_work(folder) as (other, process, heard, say):
        for _ in range(50):
            said = say()
        # it reports once a second: by the second report it has taken what was said before the first
        told = len(heard)
        other.until(lambda: len(heard) >= told + 2)
        assert process.interrupt() == 0
        assert "Traceback" not in process.output()
    return folder / "bag", said


def test_a_run_is_read_back_bit_for_bit_by_rosbags_and_mcap(bag):
    bag, said = bag
    with Reader(bag) as reader:
        read = [(c.topic, bytes(data)) for c, _, data in reader.messages()]
        types = {topic: info.msgtype for topic, info in reader.topics.items()}
    assert types["/swarm/faults"] == "diagnostic_msgs/msg/DiagnosticArray"
    assert types["/r0/odom"] == "nav_msgs/msg/Odometry"
    heard = [deserialize_message(m, TwistStamped) for topic, m in read if topic == "/r0/cmd_vel"]
    assert len(heard) >= 50
    assert heard == [command(number) for number in range(said - len(heard), said)]
    heard = [deserialize_message(m, Odometry) for topic, m in read if topic == "/r0/odom"]
    assert len(heard) >= 20  # best effort
    assert all(message in [odometry(number) for number in range(said)] for message in heard)

    decoded = list(read_ros2_messages(bag / "bag_0.mcap"))
    assert len(decoded) == len(read)
    speeds = [m.ros_msg.twist.linear.x for m in decoded if m.channel.topic == "/r0/cmd_vel"]
    assert speeds == [0.1 + number for number in range(said - len(speeds), said)]


def test_how_topics_were_offered_is_kept_so_that_they_can_be_played_back(bag):
    info = yaml.safe_load((bag[0] / "metadata.yaml").read_text())
    info = info["rosbag2_bagfile_information"]
    assert info["storage_identifier"] == "mcap"
    offered = {
        topic["topic_metadata"]["name"]: topic["topic_metadata"]["offered_qos_profiles"]
        for topic in info["topics_with_message_count"]
    }
    (sensor,), (latched,), (reliable,) = (
        offered[topic] for topic in ("/r0/odom", "/swarm/faults", "/r0/cmd_vel")
    )
    assert sensor["reliability"] == "best_effort"
    assert sensor["deadline"] == {"sec": 0, "nsec": 200_000_000}
    assert (latched["durability"], latched["reliability"]) == ("transient_local", "reliable")
    assert (reliable["durability"], reliable["reliability"]) == ("volatile", "reliable")


def lost_s(folder):
    """What a killed recorder loses at the end of what was said [s]; in between it is nothing."""
    folder.mkdir()
    published = {}
    with at_work(folder) as (_, process, _, say):
        end = time.monotonic() + 2.5
        while (now := time.monotonic()) < end:
            published[say() - 1] = now
        killed = time.monotonic()
        process.kill()

    with pytest.raises(FileNotFoundError), Reader(folder / "bag"):
        pass
    result = CliRunner().invoke(
        app, ["recover", str(folder / "bag"), "--out", str(folder / "whole")]
    )
    assert result.exit_code == 0, result.output
    with Reader(folder / "whole") as reader:
        heard = [bytes(data) for c, _, data in reader.messages() if c.topic == "/r0/cmd_vel"]
        assert "/swarm/faults" in reader.topics
    numbers = [round(deserialize_message(m, TwistStamped).twist.linear.x - 0.1) for m in heard]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "a gap"
    assert numbers[0] <= min(published)
    return killed - published.get(numbers[-1], -math.inf)


def test_a_killed_recorder_loses_at_most_the_last_second(tmp_path):
    # a busy machine may hold up some of them, not all
    assert any(lost_s(tmp_path / f"try_{number}") < 1.0 for number in range(3))


def test_a_full_disk_ends_the_recording_in_silence_or_spoils_it(tmp_path):
    with at_work(tmp_path) as (other, process, heard, say):
        assert status_of(heard).message == "recording"
        free_mb = float(messages.values_of(status_of(heard))["free_mb"])
        assert other.set_parameter("/recorder", "min_free_mb", 0.7 * free_mb).successful
        other.until(lambda: status_of(heard).level == DiagnosticStatus.WARN)
        assert "MB are free; the recording ends at" in status_of(heard).message
        assert other.set_parameter("/recorder", "min_free_mb", 2 * free_mb).successful
        other.until(lambda: status_of(heard).level == DiagnosticStatus.ERROR)
        assert "the disk is nearly full" in status_of(heard).message
        with Reader(tmp_path / "bag") as reader:
            kept = reader.message_count
            assert reader.topics["/r0/cmd_vel"].msgcount >= 10
        for _ in range(5):
            say()
        # it goes on saying so, and ends like any other process
        said = len(heard)
        other.until(lambda: len(heard) > said)
        assert process.interrupt() == 0
        assert "records no more: the disk is nearly full" in process.output()
        assert "Traceback" not in process.output()
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == kept


def test_a_recording_that_somebody_deletes_goes_on_into_nothing(tmp_path):
    with at_work(tmp_path) as (other, process, heard, say):
        shutil.rmtree(tmp_path / "bag")
        other.until(lambda: say() and status_of(heard).level == DiagnosticStatus.ERROR)
        assert "bag was deleted, and what was recorded with it" in status_of(heard).message
        assert process.interrupt() == 0
        assert "Traceback" not in process.output()


def test_a_recorder_starts_on_a_disk_that_is_full_already(tmp_path):
    recorder = {"recorder": {"team": ["r0"], "out": str(tmp_path / "bag"), "min_free_mb": 1e9}}
    with node_process("recorder", "/", recorder, tmp_path) as process:
        assert process.wait() == 2
        assert "MB are free there, and a recording ends at 1e+09 MB" in process.output()
        assert "Traceback" not in process.output()
    assert not (tmp_path / "bag").exists()


def test_a_recording_is_never_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    recorder = {"recorder": {"team": ["r0"], "out": str(tmp_path / "bag")}}
    with node_process("recorder", "/", recorder, tmp_path) as process:
        assert process.wait() == 2
        assert "exists already" in process.output()
        assert "Traceback" not in process.output()
    assert list((tmp_path / "bag").iterdir()) == []
    result = CliRunner().invoke(app, ["recover", str(tmp_path / "bag")])
    assert isinstance(result.exception, EirError)
    assert "expected a folder with .mcap files" in str(result.exception)
    assert not (tmp_path / "bag-whole").exists()

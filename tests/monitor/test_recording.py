"""Recordings as other tools read them, and what is left of them when things go wrong."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rosbags")
pytest.importorskip("mcap_ros2")

from mcap.reader import make_reader
from mcap_ros2.reader import read_ros2_messages
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from typer.testing import CliRunner

from eir_ros.cli.main import app
from eir_ros.contract.errors import EirError
from eir_ros.contract.recording import RECORD, About
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.recording import Recording, recover

TYPES = get_typestore(Stores.ROS2_JAZZY)
TWIST = "geometry_msgs/msg/TwistStamped"
ABOUT = About(team=("r0", "r1"), threshold=0.8, odom_in_map={"r0": (1.0, 2.0, 0.5)})
OFFER = {
    "history": "keep_last",
    "depth": 100,
    "reliability": "reliable",
    "durability": "volatile",
    "deadline": {"sec": 9223372036, "nsec": 854775807},
    "lifespan": {"sec": 9223372036, "nsec": 854775807},
    "liveliness": "automatic",
    "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
    "avoid_ros_namespace_conventions": False,
}


def command(number: int) -> bytes:
    """A command that tells its number."""
    t = TYPES.types
    vector = t["geometry_msgs/msg/Vector3"]
    header = t["std_msgs/msg/Header"](t["builtin_interfaces/msg/Time"](number, 0), "r0/base_link")
    twist = t["geometry_msgs/msg/Twist"](vector(float(number), 0.0, 0.0), vector(0.0, 0.0, 0.0))
    return bytes(TYPES.serialize_cdr(t[TWIST](header, twist), TWIST))


def record(folder: Path, count: int = 30, **options: float) -> Recording:
    """A recording of `count` commands, flushed after every tenth, that is not closed yet."""
    recording = Recording(folder, ABOUT, **options)
    recording.add("/r0/cmd_vel", TWIST, [OFFER])
    recording.add("/r1/cmd_vel", TWIST, [OFFER])
    for number in range(count):
        robot = number % 2
        recording.write(f"/r{robot}/cmd_vel", 10**9 + number * 10**8, command(number), 10**9)
        if number % 10 == 9:
            recording.flush()
    return recording


def numbers(bag: Path) -> list[int]:
    """The commands that `rosbags` finds."""
    with Reader(bag) as reader:
        return [
            int(TYPES.deserialize_cdr(data, TWIST).twist.linear.x)
            for _, _, data in reader.messages()
        ]


def test_rosbag2_cannot_decode_the_metadata(tmp_path: Path):
    """By Jazzy's decoder (rosbag2_storage/yaml.hpp): every key is there and of its type."""
    record(tmp_path / "bag").close()
    text = (tmp_path / "bag" / "metadata.yaml").read_text()
    assert "&id" not in text
    info = yaml.safe_load(text)["rosbag2_bagfile_information"]
    assert list(info) == [
        "version",
        "storage_identifier",
        "duration",
        "starting_time",
        "message_count",
        "topics_with_message_count",
        "compression_format",
        "compression_mode",
        "relative_file_paths",
        "files",
        "custom_data",
        "ros_distro",
    ]
    assert (info["version"], info["storage_identifier"]) == (9, "mcap")
    assert info["starting_time"] == {"nanoseconds_since_epoch": 10**9}
    assert info["duration"] == {"nanoseconds": 29 * 10**8}
    assert (info["compression_format"], info["compression_mode"]) == ("", "")
    # `ros2 bag reindex` looks for this name
    assert info["relative_file_paths"] == ["bag_0.mcap"]
    (file,) = info["files"]
    assert file == {
        "path": "bag_0.mcap",
        "starting_time": {"nanoseconds_since_epoch": 10**9},
        "duration": {"nanoseconds": 29 * 10**8},
        "message_count": 30,
    }
    assert all(isinstance(value, str) for value in info["custom_data"].values())
    assert info["ros_distro"]
    for topic in info["topics_with_message_count"]:
        assert topic["message_count"] == 15
        metadata = topic["topic_metadata"]
        assert metadata.pop("type_description_hash").startswith("RIHS01_")
        assert metadata == {
            "name": metadata["name"],
            "type": TWIST,
            "serialization_format": "cdr",
            "offered_qos_profiles": [OFFER],
        }


def test_a_file_alone_does_not_say_what_it_holds(tmp_path: Path):
    """What rosbag2 reads when metadata.yaml is lost, and any MCAP tool in any case."""
    record(tmp_path / "bag").close()
    with (tmp_path / "bag" / "bag_0.mcap").open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        found = {metadata.name: metadata.metadata for metadata in reader.iter_metadata()}
        assert reader.get_header().profile == "ros2"
        assert len(list(reader.iter_messages())) == 30
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.message_count == 30
    assert len(summary.chunk_indexes) == 3
    assert all(chunk.message_index_length for chunk in summary.chunk_indexes)
    channel = summary.channels[1]
    assert yaml.safe_load(channel.metadata["offered_qos_profiles"]) == [OFFER]
    assert channel.metadata["topic_type_hash"].startswith("RIHS01_")
    schema = summary.schemas[channel.schema_id]
    assert (schema.name, schema.encoding) == (TWIST, "ros2msg")
    assert b"MSG: geometry_msgs/Twist" in schema.data
    stored = yaml.safe_load(found["rosbag2"]["serialized_metadata"])
    whole = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    assert stored == whole["rosbag2_bagfile_information"]
    assert About.model_validate_json(found[RECORD]["about"]) == ABOUT


def test_a_long_recording_is_one_long_file(tmp_path: Path):
    record(tmp_path / "bag", 50, split_s=1.5).close()
    files = sorted(path.name for path in (tmp_path / "bag").iterdir())
    assert files == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap", "metadata.yaml"]
    info = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())
    info = info["rosbag2_bagfile_information"]
    assert [file["message_count"] for file in info["files"]] == [20, 20, 10]
    assert info["duration"] == {"nanoseconds": 49 * 10**8}
    assert numbers(tmp_path / "bag") == list(range(50))
    for name in files[:3]:  # each file can be read alone
        assert list(read_ros2_messages(tmp_path / "bag" / name))
        assert Bag(tmp_path / "bag" / name).about == ABOUT


def test_what_was_split_off_needs_no_recovering(tmp_path: Path):
    record(tmp_path / "bag", 50, split_bytes=1500)  # and killed
    files = sorted((tmp_path / "bag").glob("*.mcap"))
    assert len(files) > 2
    bag = Bag(tmp_path / "bag")
    assert len(list(bag.messages())) == 50
    assert not bag.complete
    assert any("does not list every file" in note for note in bag.notes)
    assert recover(tmp_path / "bag", tmp_path / "whole") == 50
    assert numbers(tmp_path / "whole") == list(range(50))
    files[-1].write_bytes(b"")  # killed while it began a file
    assert 40 <= recover(tmp_path / "bag", tmp_path / "nearly") <= 50


def test_a_whole_recording_is_copied_as_if_it_had_been_broken(tmp_path: Path):
    bag, whole = tmp_path / "bag", tmp_path / "bag-whole"
    record(bag).close()
    said = CliRunner().invoke(app, ["recover", str(bag)])
    assert (said.exit_code, said.output) == (
        0,
        f"{bag} is whole (30 messages): there is nothing to recover.\n",
    )
    assert not whole.exists()
    (bag / "metadata.yaml").unlink()  # as if it had been killed
    said = CliRunner().invoke(app, ["recover", str(bag)])
    assert said.exit_code == 0
    assert f"{whole}: 30 messages." in said.output
    (tmp_path / "other").mkdir()
    said = CliRunner().invoke(app, ["recover", str(tmp_path / "other")])
    assert str(said.exception).endswith("no recording, expected a folder with .mcap files.")


def test_a_torn_end_costs_more_than_the_torn_chunk(tmp_path: Path):
    record(tmp_path / "bag")  # and killed
    file = tmp_path / "bag" / "bag_0.mcap"
    whole = file.read_bytes()
    for cut, left in ((0, 30), (1, 30), (700, 20), (1200, 20)):
        file.write_bytes(whole[: len(whole) - cut])
        bag = Bag(tmp_path / "bag")
        assert len(list(bag.messages())) == left
        assert not bag.complete
        said: list[str] = []
        assert recover(tmp_path / "bag", tmp_path / f"whole{cut}", said.append) == left
        # nobody takes what is left for all there was
        assert any(f"of {len(whole) - cut}." in sentence for sentence in said)
    file.write_bytes(whole[:12])
    with pytest.raises(EirError, match="nothing of it is left"):
        recover(tmp_path / "bag", tmp_path / "whole")
    assert not (tmp_path / "whole").exists()
    with make_whole(tmp_path / "whole700") as reader:
        assert {c.topic for c in reader.connections} == {"/r0/cmd_vel", "/r1/cmd_vel"}
    assert Bag(tmp_path / "whole700").about == ABOUT
    assert Bag(tmp_path / "whole700").complete


@contextmanager
def make_whole(bag: Path) -> Iterator[Reader]:
    """Open what was recovered."""
    with Reader(bag) as reader:
        yield reader


def test_zeros_that_a_power_cut_left_are_taken_for_messages(tmp_path: Path):
    record(tmp_path / "bag")
    file = tmp_path / "bag" / "bag_0.mcap"
    whole = file.read_bytes()
    file.write_bytes(whole[:-500] + bytes(100) + whole[-400:])
    bag = Bag(tmp_path / "bag")
    assert len(list(bag.messages())) == 20
    assert any("damaged chunk" in note for note in bag.notes)
    # in the chunk that introduces the topics
    file.write_bytes(whole[:3000] + bytes(100) + whole[3100:])
    bag = Bag(tmp_path / "bag")
    assert len(list(bag.messages())) == 0
    assert any("20 messages of a topic that is not known" in note for note in bag.notes)
    file.write_bytes(whole + bytes(5000))
    assert len(list(Bag(tmp_path / "bag").messages())) == 30


def test_a_disk_that_fills_up_spoils_what_was_recorded(tmp_path: Path):
    recording = record(tmp_path / "bag")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = (tmp_path / "bag" / "bag_0.mcap").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (written + 300, hard))
    try:
        for number in range(30, 40):
            recording.write("/r0/cmd_vel", 10**10 + number, command(number))
        with pytest.raises(EirError, match="cannot record there"):
            recording.flush()
        with pytest.raises(EirError, match="cannot record there"):
            recording.close()
        assert recording.messages == 40
        recording.abandon()
        assert (recording.messages, recording.size) == (30, written)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "bag" / "bag_0.mcap").stat().st_size == written
    assert recover(tmp_path / "bag", tmp_path / "whole") == 30
    assert numbers(tmp_path / "whole") == list(range(30))


@pytest.mark.parametrize(
    ("number", "lost"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.EINVAL, False)]
)
def test_a_disk_that_loses_what_it_took_is_not_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, lost: bool
):
    recording = record(tmp_path / "bag")

    def fails(file: int) -> None:
        raise OSError(number, os.strerror(number))

    # no disk here can be made to fail
    monkeypatch.setattr(os, "fdatasync", fails)
    refused = pytest.raises(EirError, match="the disk lost what was written")
    with refused if lost else nullcontext():
        recording.sync()
    monkeypatch.undo()
    recording.close()
    recording.sync()
    assert not recording.deleted


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "expected a folder with .mcap files"),
        ({"x.db3": b""}, "SQLite storage, expected MCAP"),
        ({"x.mcap.zstd": b""}, "compressed as a whole"),
        ({"x_0.mcap": b"not a recording at all"}, "this is no MCAP file"),
        ({"x_0.mcap": b""}, "this is no MCAP file"),
    ],
)
def test_what_is_no_recording_ends_in_a_traceback(
    tmp_path: Path, files: dict[str, bytes], sentence: str
):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EirError, match=sentence):
        list(Bag(tmp_path).messages())
    with pytest.raises(EirError, match="there is no such recording"):
        Bag(tmp_path / "nowhere")


def test_a_broken_metadata_hides_the_messages(tmp_path: Path):
    record(tmp_path / "bag").close()
    assert Bag(tmp_path / "bag").notes == []
    for text in ("{", "[]", "rosbag2_bagfile_information: {relative_file_paths: 3}"):
        (tmp_path / "bag" / "metadata.yaml").write_text(text)
        bag = Bag(tmp_path / "bag")
        assert len(list(bag.messages())) == 30
        assert any("metadata.yaml cannot be read" in note for note in bag.notes)

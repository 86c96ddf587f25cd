"""Recordings: rosbag2 directories with MCAP storage that lose little when the writer is killed."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import yaml
from mcap.writer import CompressionType, Writer
from rosbags.typesys import Stores, get_typestore

from eir_ros import __version__
from eir_ros.contract.errors import EirError
from eir_ros.contract.recording import RECORD, About
from eir_ros.monitor.bag import METADATA, Bag, Channel

#: Version of rosbag2's metadata.yaml that Jazzy writes.
_VERSION: Final = 9

#: What `fdatasync` says of a file that is closed, and of one that is on no disk.
_NOT_SYNCED: Final = (errno.EBADF, errno.EINVAL)

#: What rosbag2 calls the start of a file without messages [ns].
_NEVER_NS: Final = 2**63 - 1

#: A quality of service as rosbag2 writes it: `history`, `depth`, `reliability`, ...
Offer = Mapping[str, Any]


@dataclass
class _Topic:
    """One topic, in every file of the recording."""

    name: str
    message_type: str
    definition: str
    type_hash: str
    offered: Sequence[Offer]
    messages: int = 0

    def metadata(self) -> dict[str, str]:
        """What rosbag2 keeps beside a channel."""
        return {
            "offered_qos_profiles": _yaml([dict(offer) for offer in self.offered]).rstrip(),
            "topic_type_hash": self.type_hash,
        }


@dataclass
class _File:
    """One MCAP file; what was flushed is whole, whatever becomes of the rest."""

    path: Path
    stream: IO[bytes]
    writer: Writer
    channels: dict[str, int] = field(default_factory=dict)
    schemas: dict[str, int] = field(default_factory=dict)
    #: Bytes that are known to be written, and the messages in them.
    size: int = 0
    kept: int = 0
    messages: int = 0
    #: Of reception [ns].
    first_ns: int = _NEVER_NS
    last_ns: int = 0

    def information(self) -> dict[str, Any]:
        """What rosbag2 keeps of a file."""
        return {
            "path": self.path.name,
            "starting_time": {"nanoseconds_since_epoch": self.first_ns},
            "duration": {"nanoseconds": max(0, self.last_ns - self.first_ns)},
            "message_count": self.messages,
        }


def free_mb(folder: Path) -> float:
    """What is free on the disk of a folder that need not exist yet [MB]; 0 when it has none."""
    for place in (folder.absolute(), *folder.absolute().parents):
        with suppress(FileNotFoundError):
            return shutil.disk_usage(place).free / 1e6
    return 0.0


def refuse_full_disk(folder: Path, least_mb: float) -> None:
    """Refuse, with an `EirError`, to begin a recording that would end at once."""
    found_mb = free_mb(folder)
    if found_mb < least_mb:
        raise EirError(
            f"{folder}: {found_mb:.0f} MB are free there, and a recording ends at {least_mb:g} MB; "
            "make room or record elsewhere."
        )


class Recording:
    """A new recording; `ros2 bag`, `rosbags` and `mcap` read it once it is closed.

    Files are called and split as `ros2 bag record` does it, `NAME/NAME_0.mcap` and so on, so that
    `ros2 bag reindex` finds them. `metadata.yaml` is written at each split and at the end.

    Parameters
    ----------
    folder
        Must not exist: a recording is never overwritten.
    about
        Written into every file.
    split_bytes, split_s
        A file that is larger or lasts longer is followed by another; 0: never [bytes], [s].

    Raises
    ------
    EirError
        The folder exists; from any method: it cannot be written to. What was flushed before that
        stays whole, see `abandon`.
    """

    def __init__(
        self,
        folder: str | Path,
        about: About | None = None,
        *,
        split_bytes: int = 0,
        split_s: float = 0.0,
    ) -> None:
        self.folder = Path(folder)
        if self.folder.exists():
            raise EirError(
                f"{self.folder} exists already, and a recording never overwrites; give another "
                "folder or move this one away."
            )
        self._custom = {RECORD: (about or About()).model_dump_json()}
        self._split_bytes, self._split_s = split_bytes, split_s
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._topics: dict[str, _Topic] = {}
        self._closed: list[dict[str, Any]] = []
        self._closed_size = self._lost = 0
        with self._advice():
            self.folder.mkdir(parents=True)
            self._file = self._open()

    def __contains__(self, topic: str) -> bool:
        return topic in self._topics

    @property
    def messages(self) -> int:
        """How many there are so far, those left out that were lost with the disk."""
        return sum(topic.messages for topic in self._topics.values()) - self._lost

    @property
    def size(self) -> int:
        """Bytes that are known to be written, over all files."""
        return self._closed_size + (0 if self._file.stream.closed else self._file.size)

    def add(self, topic: str, message_type: str, offered: Sequence[Offer]) -> None:
        """Make room for a topic; `offered` is how its publishers offer it, for playing it back."""
        definition, _ = self._types.generate_msgdef(message_type, ros_version=2)
        type_hash = self._types.hash_rihs01(message_type)
        self._add(_Topic(topic, message_type, definition, type_hash, offered))

    def _add(self, topic: _Topic) -> None:
        self._topics[topic.name] = topic
        self._introduce(topic)

    def write(self, topic: str, received_ns: int, data: bytes, sent_ns: int | None = None) -> None:
        """Record one message in CDR of a topic that was added.

        Parameters
        ----------
        received_ns, sent_ns
            When it was received here, and sent by its publisher, whose clock that is [ns].
        """
        file = self._file
        with self._advice():
            file.writer.add_message(
                file.channels[topic],
                received_ns,
                data,
                received_ns if sent_ns is None else sent_ns,
            )
        file.messages += 1
        file.first_ns, file.last_ns = (
            min(file.first_ns, received_ns),
            max(file.last_ns, received_ns),
        )
        self._topics[topic].messages += 1

    def flush(self) -> None:
        """What was written so far survives the end of this process, however it comes.

        To survive the end of the computer it takes `sync` as well.
        """
        file = self._file
        with self._advice():
            file.writer.flush()
            file.size, file.kept = file.stream.tell(), file.messages
            if self._is_full(file):
                self._finish()
                self._write_metadata()
                self._file = self._open()
                for topic in self._topics.values():
                    self._introduce(topic)

    def sync(self) -> None:
        """Wait until what was flushed is on the disk; may be called from another thread.

        Raises
        ------
        EirError
            It is not: a disk tells so once, and not when it is written to.
        """
        try:
            os.fdatasync(self._file.stream.fileno())
        except ValueError:  # split or closed meanwhile, which syncs as well
            return
        except OSError as error:
            if error.errno not in _NOT_SYNCED:
                raise EirError(
                    f"{self.folder}: the disk lost what was written ({error.strerror})."
                ) from error

    @property
    def deleted(self) -> bool:
        """Whether somebody has deleted the file that is being written."""
        try:
            return os.fstat(self._file.stream.fileno()).st_nlink == 0
        except (OSError, ValueError):  # closed
            return False

    def close(self) -> None:
        """Complete the recording: index and metadata.yaml."""
        with self._advice():
            self._finish()
            self._write_metadata()

    def abandon(self) -> None:
        """Let go of a recording that can no longer be written; `eir recover` makes it whole.

        A torn end is cut off.
        """
        file = self._file
        if file.stream.closed:  # it has its index, only metadata.yaml could not be written
            return
        with suppress(OSError):
            file.stream.close()
        self._closed_size += file.size
        self._lost += file.messages - file.kept
        with suppress(OSError):
            os.truncate(file.path, file.size)

    # One file

    def _open(self) -> _File:
        path = self.folder / f"{self.folder.name}_{len(self._closed)}.mcap"
        stream = path.open("xb")
        writer = Writer(stream, compression=CompressionType.NONE)
        writer.start(profile="ros2", library=f"eir_ros {__version__}")
        writer.add_metadata(RECORD, {"about": self._custom[RECORD]})
        writer.flush()
        return _File(path, stream, writer, size=stream.tell())

    def _introduce(self, topic: _Topic) -> None:
        file = self._file
        if topic.message_type not in file.schemas:
            file.schemas[topic.message_type] = file.writer.register_schema(
                topic.message_type, "ros2msg", topic.definition.encode()
            )
        file.channels[topic.name] = file.writer.register_channel(
            topic.name, "cdr", file.schemas[topic.message_type], topic.metadata()
        )

    def _is_full(self, file: _File) -> bool:
        lasts_ns = file.last_ns - file.first_ns
        return bool(file.messages) and (
            0 < self._split_bytes <= file.size or 0 < self._split_s * 1e9 <= lasts_ns
        )

    def _finish(self) -> None:
        file = self._file
        information = [*self._closed, file.information()]
        # rosbag2 reads it when metadata.yaml is lost
        file.writer.add_metadata(
            "rosbag2", {"serialized_metadata": _yaml(self._metadata(information)).rstrip()}
        )
        file.writer.finish()
        file.stream.flush()
        os.fsync(file.stream.fileno())
        self._closed_size += file.stream.tell()
        file.stream.close()
        self._closed = information

    # All of them

    def _metadata(self, files: list[dict[str, Any]]) -> dict[str, Any]:
        """The contents of `metadata.yaml`, keys in the order in which rosbag2 writes them."""
        counted = [file for file in files if file["message_count"]]
        starts = [file["starting_time"]["nanoseconds_since_epoch"] for file in counted]
        ends = [
            start + file["duration"]["nanoseconds"]
            for start, file in zip(starts, counted, strict=True)
        ]
        first = min(starts, default=_NEVER_NS)
        return {
            "version": _VERSION,
            "storage_identifier": "mcap",
            "duration": {"nanoseconds": max(ends, default=first) - first},
            "starting_time": {"nanoseconds_since_epoch": first},
            "message_count": sum(file["message_count"] for file in files),
            "topics_with_message_count": [
                {
                    "topic_metadata": {
                        "name": topic.name,
                        "type": topic.message_type,
                        "serialization_format": "cdr",
                        "offered_qos_profiles": [dict(offer) for offer in topic.offered],
                        "type_description_hash": topic.type_hash,
                    },
                    "message_count": topic.messages,
                }
                for topic in self._topics.values()
            ],
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file["path"] for file in files],
            "files": files,
            "custom_data": self._custom,
            "ros_distro": os.environ.get("ROS_DISTRO") or "jazzy",
        }

    def _write_metadata(self) -> None:
        text = _yaml({"rosbag2_bagfile_information": self._metadata(self._closed)})
        scratch = self.folder / f".{METADATA}"
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(self.folder / METADATA)

    @contextmanager
    def _advice(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EirError(f"{self.folder}: cannot record there ({error.strerror}).") from error


def _yaml(data: Any) -> str:
    text: str = yaml.dump(
        data, Dumper=_Plain, sort_keys=False, default_flow_style=False, width=10**6
    )
    return text


class _Plain(yaml.SafeDumper):
    """Writes a profile that many topics share out each time: rosbag2 knows no YAML anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def recover(folder: Path, out: Path, note: Callable[[str], None] = lambda sentence: None) -> int:
    """Write a complete recording to `out` from what a killed recorder left in `folder`.

    `ros2 bag reindex` does the same where there is one. `note` is told what was found wrong.

    Returns
    -------
    Number of messages.

    Raises
    ------
    EirError
        There is no recording in `folder`, nothing in it can be read, or `out` exists.
    """
    bag = Bag(folder)
    whole = Recording(out, bag.about)
    for channel, message in bag.messages():
        if channel.topic not in whole:
            whole._add(_topic_of(channel))
        whole.write(channel.topic, message.log_time, message.data, message.publish_time)
    whole.close()
    for sentence in bag.notes:
        note(sentence)
    return whole.messages


def _topic_of(channel: Channel) -> _Topic:
    offered = yaml.safe_load(channel.metadata.get("offered_qos_profiles", "")) or []
    return _Topic(
        channel.topic,
        channel.message_type,
        channel.definition,
        channel.metadata.get("topic_type_hash", ""),
        offered if isinstance(offered, list) else [],
    )

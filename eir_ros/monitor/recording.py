"""Recordings: rosbag2 directories with MCAP storage that lose little when the writer is killed."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.typesys import Stores, get_typestore

from eir_ros.contract.errors import EirError

#: Version of rosbag2's metadata.yaml that Jazzy writes.
_VERSION: Final = 9


class Recording:
    """A new recording; `ros2 bag`, `rosbags` and `mcap` read it once it is closed.

    Parameters
    ----------
    folder
        Must not exist: a recording is never overwritten.

    Raises
    ------
    EirError
        The folder exists; from any method: it cannot be written to.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists():
            raise EirError(
                f"{self.folder} exists already, and a recording never overwrites; give another "
                "folder or move this one away."
            )
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self._writer = Writer(self.folder, version=_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._topics: dict[str, Connection] = {}
        with self._advice():
            self._writer.open()

    def __contains__(self, topic: str) -> bool:
        return topic in self._topics

    def add(self, topic: str, message_type: str, offered: Sequence[Qos]) -> None:
        """Make room for a topic; `offered` is how its publishers offer it, for playing it back."""
        self._topics[topic] = self._writer.add_connection(
            topic, message_type, typestore=self._types, offered_qos_profiles=offered
        )

    def write(self, topic: str, received_ns: int, data: bytes) -> None:
        """Record one message in CDR of a topic that was added, received at `received_ns` [ns]."""
        with self._advice():
            self._writer.write(self._topics[topic], received_ns, data)

    def flush(self) -> None:
        """What was written so far survives the end of this process, however it comes."""
        storage = self._writer.storage
        assert isinstance(storage, McapWriter)
        with self._advice():
            if storage.chunk.msgs:
                storage.close_chunk()
            storage.bio.flush()

    def close(self) -> None:
        """Complete the recording: index and metadata.yaml."""
        with self._advice():
            self._writer.close()

    @contextmanager
    def _advice(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EirError(f"{self.folder}: cannot record there ({error.strerror}).") from error


def recover(folder: Path, out: Path) -> int:
    """Write a complete recording to `out` from what a killed recorder left in `folder`.

    `ros2 bag reindex` does the same where there is one.

    Returns
    -------
    Number of messages.

    Raises
    ------
    EirError
        There is no recording in `folder`, or `out` exists.
    """
    files = sorted(folder.glob("*.mcap"))
    if len(files) != 1:
        raise EirError(f"{folder}: expected one .mcap file here, found {len(files)}.")
    whole = Recording(out)
    count = 0
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with files[0].open("rb") as stream:
        for record in _until_torn(stream):
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
                offered = parse_qos(record.metadata["offered_qos_profiles"])
                whole.add(record.topic, schemas[record.schema_id].name, offered)
            elif isinstance(record, Message):
                whole.write(channels[record.channel_id].topic, record.log_time, record.data)
                count += 1
    whole.close()
    return count


def _until_torn(stream: IO[bytes]) -> Iterator[McapRecord]:
    """What is in the chunks of an uncompressed MCAP file, up to where the writer was stopped."""
    try:
        for record in StreamReader(stream, emit_chunks=True).records:
            if isinstance(record, Chunk):
                if len(record.data) < record.uncompressed_size:
                    return
                yield from breakup_chunk(record)
    except (McapError, struct.error):
        return

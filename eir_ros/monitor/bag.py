"""Reads recordings as they are found: whole, split, foreign, or cut short with their recorder.

MCAP storage only, whoever wrote it: ours, or `ros2 bag record`. What cannot be read becomes a note,
not an end, unless nothing at all can be read.
"""

import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import yaml
from mcap.exceptions import McapError
from mcap.records import Channel as ChannelRecord
from mcap.records import Chunk, Footer, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.recording import RECORD, About

METADATA: Final = "metadata.yaml"

#: What reading garbage may raise.
_GARBAGE: Final = (McapError, struct.error, ValueError, OverflowError, MemoryError)


class Channel(NamedTuple):
    """One topic of one file."""

    topic: str
    message_type: str
    #: Text of the message definition.
    definition: str
    metadata: dict[str, str]


class Bag:
    """A recording to be read; nothing but the start of its first file is read yet.

    Parameters
    ----------
    path
        A rosbag2 directory with MCAP storage, or one `.mcap` file.

    Attributes
    ----------
    about : About
        What the recording says of itself; empty where another recorder wrote it.
    complete : bool
        Whether its recorder ended it; known for sure when `messages` has come to its end.
    notes : list of str
        Sentences about what could not be read.

    Raises
    ------
    EirError
        There is nothing here that could be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self.complete = True
        self.files = self._find()
        self.about = self._about()

    def messages(self) -> Iterator[tuple[Channel, Message]]:
        """Every message that can be read, in the order in which they were recorded.

        Raises
        ------
        EirError
            A file cannot be opened, or is no MCAP file.
        """
        for file in self.files:
            schemas: dict[int, Schema] = {}
            channels: dict[int, Channel] = {}
            unknown = 0
            for record in self._records(file):
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, ChannelRecord):
                    channels[record.id] = _channel(record, schemas)
                elif isinstance(record, Message):
                    if record.channel_id in channels:
                        yield channels[record.channel_id], record
                    else:
                        unknown += 1
            if unknown:
                self._note(f"{file.name} has {unknown} messages of a topic that is not known.")

    def _find(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise EirError(f"{self.path}: there is no such recording.")
        found = sorted(self.path.glob("*.mcap"), key=_place)
        listed = self._listed(found)
        if not found:
            raise EirError(f"{self.path}: {self._what_else()}")
        absent = [name for name in listed if not (self.path / name).is_file()]
        if absent:
            self._note(f"{', '.join(absent)}: listed in {METADATA}, but missing.")
        return found

    def _listed(self, found: list[Path]) -> list[str]:
        """The files that `metadata.yaml` lists; what it does not list was not ended."""
        path = self.path / METADATA
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            listed = [
                Path(name).name
                for name in data["rosbag2_bagfile_information"]["relative_file_paths"]
            ]
        except FileNotFoundError:
            self._note(f"{METADATA} is missing: the recorder did not end the recording.")
            return []
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            self._note(f"{METADATA} cannot be read ({reason}).")
            return []
        if {file.name for file in found} - set(listed):
            self._note(f"{METADATA} does not list every file: the recorder did not end the last.")
        return listed

    def _what_else(self) -> str:
        if any(self.path.glob("*.db3*")):
            return (
                "this recording has SQLite storage, expected MCAP; convert it with "
                "`ros2 bag convert`."
            )
        if any(self.path.glob("*.mcap.*")):
            return "its files are compressed as a whole; convert it with `ros2 bag convert`."
        return (
            "no recording, expected a folder with .mcap files (or, for `eir report`, one with the "
            "cells of `eir evaluate`)."
        )

    def _about(self) -> About:
        """Read the head of the first file: every file of ours begins with it."""
        for record in self._records(self.files[0], head=True):
            if isinstance(record, Metadata) and record.name == RECORD:
                return self._validated(record.metadata.get("about", ""))
        return About()

    def _validated(self, text: str) -> About:
        try:
            return validate(json.loads(text), About, where="about")
        except (EirError, ValueError) as error:
            reason = " ".join(str(error).split())
            self._note(f"what the recording says of itself cannot be read ({reason}).")
            return About()

    def _records(self, file: Path, *, head: bool = False) -> Iterator[McapRecord]:
        """What is in a file, chunks taken apart; `head`: only what comes before the messages."""
        try:
            with file.open("rb") as stream:
                for record in self._until_torn(file, stream):
                    if not isinstance(record, Chunk):
                        yield record
                    elif head:
                        return
                    else:
                        yield from self._inside(file, record)
        except OSError as error:
            raise EirError(f"{file}: cannot be read ({error.strerror}).") from error

    def _until_torn(self, file: Path, stream: IO[bytes]) -> Iterator[McapRecord]:
        records = iter(StreamReader(stream, emit_chunks=True).records)
        begun = ended = False
        while True:
            before = stream.tell()
            try:
                record = next(records)
            except StopIteration:
                break
            except _GARBAGE as error:
                if not begun and len(self.files) == 1:
                    raise EirError(
                        f"{file}: this is no MCAP file, or nothing of it is left; expected a "
                        "recording."
                    ) from error
                break
            if _is_short(record):
                break
            begun = True
            ended = ended or isinstance(record, Footer)
            yield record
        if not ended:
            size = file.stat().st_size
            self._note(f"{file.name} was not ended: it is whole up to byte {before} of {size}.")

    def _inside(self, file: Path, chunk: Chunk) -> list[McapRecord]:
        try:
            return list(breakup_chunk(chunk, validate_crc=True))
        except Exception:  # whatever a decompressor makes of garbage
            self._note(f"{file.name} has a damaged chunk, which is left out.")
            return []

    def _note(self, sentence: str) -> None:
        self.complete = False
        if sentence not in self.notes:
            self.notes.append(sentence)


def _is_short(record: McapRecord) -> bool:
    """Whether the file ends within this chunk."""
    plain = isinstance(record, Chunk) and not record.compression
    return plain and len(record.data) < record.uncompressed_size


def _channel(record: ChannelRecord, schemas: dict[int, Schema]) -> Channel:
    schema: Any = schemas.get(record.schema_id)
    name = schema.name if schema else ""
    text = schema.data.decode(errors="replace") if schema else ""
    return Channel(record.topic, name, text, record.metadata)


def _place(path: Path) -> tuple[int, str]:
    """`bag_10.mcap` comes after `bag_9.mcap`."""
    number = re.search(r"_(\d+)$", path.stem)
    return (int(number[1]) if number else -1, path.name)

"""What one host has to say to another: gathered until it is sent, never more than asked for."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from eir_ros.contract.config import Schema
from eir_ros.link.envelope import MAX_SIZE, Entry
from eir_ros.link.streams import Channel, Stream

#: Names of the entries with the state of the e-stop, an order and its answer: they are no topics,
#: so that nobody can relay one.
ESTOP: Final = "estop"
ORDER: Final = "order"
ANSWER: Final = "answer"

#: Room for the names in an envelope and its signature [bytes].
_OVERHEAD: Final = 1000


#: Length of the longest answer [characters].
MAX_SENTENCE: Final = 1000


@dataclass(frozen=True)
class EStop:
    """The newest order of a host."""

    on: bool = False
    #: Its number: the time at which it was given, by that host's clock [ns]; 0: never.
    order: int = 0

    def entry(self) -> Entry:
        """As it travels."""
        return Entry(ESTOP, struct.pack("<?Q", self.on, self.order))

    @staticmethod
    def read(data: bytes) -> "EStop":
        """Read what travelled; `ValueError` when it is something else."""
        try:
            on, order = struct.unpack("<?Q", data)
        except struct.error as error:
            raise ValueError("not an e-stop") from error
        return EStop(on, order)


class Order(Schema):
    """What the operator orders a robot's node to do; sent once, because once is what it means."""

    number: int
    #: For example `r2/agent`.
    node: str
    #: The value of its parameter, see `streams.ORDERS`.
    text: str

    def entry(self) -> Entry:
        """As it travels."""
        return Entry(ORDER, self.model_dump_json().encode())

    @staticmethod
    def read(data: bytes) -> "Order":
        """Read what travelled; `ValueError` when it is something else."""
        return Order.model_validate_json(data)


class Answer(Schema):
    """What became of an order."""

    #: That of the order.
    number: int
    #: A sentence; empty when it was obeyed.
    refusal: str = Field(max_length=MAX_SENTENCE)

    def entry(self) -> Entry:
        """As it travels."""
        return Entry(ANSWER, self.model_dump_json().encode())

    @staticmethod
    def read(data: bytes) -> "Answer":
        """Read what travelled; `ValueError` when it is something else."""
        return Answer.model_validate_json(data)


@dataclass
class Outbox:
    """What waits to be sent to one host, by channel.

    Of a topic whose rate is limited, or that is kept, the newest counts.
    """

    streams: Iterable[Stream]
    _waiting: dict[Channel, list[Entry]] = field(init=False)
    _kept: dict[str, Entry] = field(default_factory=dict)
    _due_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._streams = {stream.topic: stream for stream in self.streams}
        self._waiting = {channel: [] for channel in Channel}

    def put(self, topic: str, data: bytes, now_s: float, about: str = "") -> None:
        """Take one message of a topic that crosses; `now_s` is steady time [s].

        Of what is kept, the newest `about` each robot is.
        """
        stream = self._streams[topic]
        if stream.max_hz:
            if now_s < self._due_s.get(topic, 0.0):
                return
            self._due_s[topic] = now_s + 1.0 / stream.max_hz
        entry = Entry(topic, data)
        if stream.kept:
            self._kept[topic + about] = entry
        self._waiting[stream.channel].append(entry)

    def put_entry(self, entry: Entry) -> None:
        """Take something that is no topic."""
        self._waiting[Channel.SURE].append(entry)

    def repeat(self) -> None:
        """Say again what is kept."""
        self._waiting[Channel.SURE] += self._kept.values()

    def take(self, channel: Channel) -> list[list[Entry]]:
        """Everything that waits, in portions that fit an envelope; empty when nothing does."""
        portions: list[list[Entry]] = []
        room = 0
        for entry in self._waiting[channel]:
            size = len(entry.data) + len(entry.topic) + 8
            if size > MAX_SIZE - _OVERHEAD:
                continue
            if size > room:
                portions.append([])
                room = MAX_SIZE - _OVERHEAD
            portions[-1].append(entry)
            room -= size
        self._waiting[channel] = []
        return portions


class Peer:
    """Another host: what waits to be sent to it, and what may come from it."""

    def __init__(
        self, host: str, robots: tuple[str, ...], out: Outbox, into: tuple[Stream, ...]
    ) -> None:
        self.host = host
        self.robots = robots
        self.out = out
        self.into = {stream.topic: stream for stream in into}
        #: When it was last heard [s; steady clock]; None: never.
        self.heard_s: float | None = None
        #: The order of its e-stop that was dealt with last.
        self.order: int | None = None

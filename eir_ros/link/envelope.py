"""Envelopes: what one host says to another, signed, for one receiver, once, and now.

An envelope is the data of one `std_msgs/UInt8MultiArray`:

    "EIR1" | sender | receiver | channel | stamp | entry ... | signature

`sender` and `receiver` are names of hosts, `channel` is one of several between them; a length byte
and UTF-8 each. `stamp` is the sender's time [ns, uint64], and grows with every envelope. An entry
is a topic (length byte and UTF-8) and a serialized message (uint32 length and bytes). The signature
is Ed25519 (RFC 8032) over everything before it. All integers are little-endian.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eir_ros.link.clock import MAX_AGE_S, Now, SteadyClock

MAGIC: Final = b"EIR1"
SIGNATURE_SIZE: Final = 64

#: Nobody has a reason to send more at once [bytes].
MAX_SIZE: Final = 65_000


class Entry(NamedTuple):
    """One message on its way."""

    topic: str
    #: The message in CDR, as rclpy serializes it.
    data: bytes


class Refusal(StrEnum):
    """Why an envelope, or an entry of it, was not let in."""

    MALFORMED = "malformed"
    STRANGER = "stranger"
    NOT_FOR_US = "not for us"
    FORGED = "forged"
    NOT_NOW = "not now"
    REPLAYED = "replayed"
    NOT_ALLOWED = "not allowed"


class RefusedError(ValueError):
    """An envelope that must not be let in."""

    def __init__(self, why: Refusal, sender: str = "") -> None:
        super().__init__(f"{why} ({sender})" if sender else str(why))
        self.why = why
        self.sender = sender


@dataclass
class Sealer:
    """Signs what this host says.

    Parameters
    ----------
    host
        Name of this host.
    key
        Its private key.
    now
        Its clock [ns].
    """

    host: str
    key: Ed25519PrivateKey
    now: Now = field(default_factory=SteadyClock)
    _last_ns: int = 0

    def seal(self, receiver: str, channel: str, entries: Iterable[Entry]) -> bytes:
        """Return the envelope of `entries` for host `receiver`."""
        self._last_ns = max(self._last_ns + 1, self.now())
        words = [_word(word) for word in (self.host, receiver, channel)]
        parts = [MAGIC, *words, struct.pack("<Q", self._last_ns)]
        for topic, data in entries:
            parts += [_word(topic), struct.pack("<I", len(data)), data]
        content = b"".join(parts)
        return content + self.key.sign(content)


@dataclass
class Opener:
    """Opens what other hosts say to this one, and refuses everything else.

    A recording of the past is refused by its age, a copy of the present by its stamp; what was
    sent before this host started listening is the past. The clocks of the hosts have to agree to
    `MAX_AGE_S`.

    Parameters
    ----------
    host
        Name of this host.
    keys
        Public keys by the names of the hosts that are listened to.
    now
        The clock of this host [ns].
    """

    host: str
    keys: Mapping[str, Ed25519PublicKey]
    now: Now = field(default_factory=SteadyClock)

    def __post_init__(self) -> None:
        self._since_ns = self.now()
        self._newest_ns: dict[tuple[str, str], int] = {}
        #: How far the clock of each host was ahead when it was last heard, travel included [s].
        self.ahead_s: dict[str, float] = {}

    def open(self, envelope: bytes, channel: str) -> tuple[str, list[Entry]]:
        """Return who sent the envelope that came by `channel`, and what is in it.

        Raises
        ------
        RefusedError
            It is malformed, of a stranger, for another host, forged, too old or too new, or not
            newer than what this sender has said before. Cheap checks come first.
        """
        if len(envelope) > MAX_SIZE:
            raise RefusedError(Refusal.MALFORMED)
        content, signature = envelope[:-SIGNATURE_SIZE], envelope[-SIGNATURE_SIZE:]
        sender, receiver, claimed, stamp_ns, entries = _parse(content)
        if sender not in self.keys:
            raise RefusedError(Refusal.STRANGER)
        if (receiver, claimed) != (self.host, channel):
            raise RefusedError(Refusal.NOT_FOR_US, sender)
        now_ns = self.now()
        if stamp_ns <= self._newest_ns.get((sender, channel), self._since_ns):
            late = now_ns - stamp_ns > MAX_AGE_S * 1e9
            raise RefusedError(Refusal.NOT_NOW if late else Refusal.REPLAYED, sender)
        try:
            self.keys[sender].verify(signature, content)
        except InvalidSignature as error:
            raise RefusedError(Refusal.FORGED, sender) from error
        # from here on it is the sender who speaks, if only with a wrong clock
        self.ahead_s[sender] = (stamp_ns - now_ns) * 1e-9
        if abs(stamp_ns - now_ns) > MAX_AGE_S * 1e9:
            raise RefusedError(Refusal.NOT_NOW, sender)
        self._newest_ns[sender, channel] = stamp_ns
        return sender, entries


def _word(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<B", len(data)) + data


def _parse(content: bytes) -> tuple[str, str, str, int, list[Entry]]:
    """Sender, receiver, channel, stamp [ns] and entries; nothing of it is trusted yet."""
    try:
        if content[:4] != MAGIC:
            raise ValueError
        sender, at = _read_word(content, 4)
        receiver, at = _read_word(content, at)
        channel, at = _read_word(content, at)
        (stamp_ns,) = struct.unpack_from("<Q", content, at)
        at += 8
        entries = []
        while at < len(content):
            topic, at = _read_word(content, at)
            (size,) = struct.unpack_from("<I", content, at)
            at += 4
            if at + size > len(content):
                raise ValueError
            entries.append(Entry(topic, content[at : at + size]))
            at += size
    except (ValueError, struct.error) as error:
        raise RefusedError(Refusal.MALFORMED) from error
    return sender, receiver, channel, stamp_ns, entries


def _read_word(content: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<B", content, at)
    end = at + 1 + size
    if end > len(content):
        raise ValueError
    return content[at + 1 : end].decode(), end

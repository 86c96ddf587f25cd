"""What an intruder can do with the bytes between two hosts: forge, replay, redirect, garble."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from eir_ros.link.clock import MAX_AGE_S
from eir_ros.link.envelope import (
    MAX_SIZE,
    Entry,
    Opener,
    Refusal,
    RefusedError,
    Sealer,
)

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
ENTRIES = [Entry("/r2/beliefs", b"\x00\x01what it believes"), Entry("/diagnostics", b"")]
START_NS = 1_000_000_000_000


class Time:
    """A clock in the hand of the test [ns]."""

    def __init__(self) -> None:
        self.ns = START_NS

    def __call__(self) -> int:
        return self.ns

    def pass_s(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def opener(clock: Time) -> Opener:
    found = Opener("operator", {"r2": KEY.public_key(), "r1": OTHER.public_key()}, clock)
    clock.pass_s(0.5)
    return found


def seal(clock: Time, *, key=KEY, sender="r2", receiver="operator", channel="sure") -> bytes:
    return Sealer(sender, key, clock).seal(receiver, channel, ENTRIES)


def why(opener: Opener, envelope: bytes, channel: str = "sure") -> Refusal:
    with pytest.raises(RefusedError) as refused:
        opener.open(envelope, channel)
    return refused.value.why


def test_what_is_sent_does_not_arrive(opener: Opener, clock: Time) -> None:
    assert opener.open(seal(clock), "sure") == ("r2", ENTRIES)
    clock.pass_s(0.1)
    assert opener.open(seal(clock, key=OTHER, sender="r1"), "sure") == ("r1", ENTRIES)


def test_somebody_else_speaks_in_the_name_of_a_robot(opener: Opener, clock: Time) -> None:
    assert why(opener, seal(clock, key=OTHER)) is Refusal.FORGED
    assert why(opener, seal(clock, sender="r7")) is Refusal.STRANGER


def test_a_copy_is_obeyed(opener: Opener, clock: Time) -> None:
    envelope = seal(clock)
    opener.open(envelope, "sure")
    assert why(opener, envelope) is Refusal.REPLAYED
    clock.pass_s(0.1)
    opener.open(seal(clock), "sure")
    assert why(opener, envelope) is Refusal.REPLAYED


def test_a_recording_is_obeyed(opener: Opener, clock: Time) -> None:
    envelope = seal(clock)
    clock.pass_s(MAX_AGE_S + 0.1)
    assert why(opener, envelope) is Refusal.NOT_NOW


def test_a_listener_that_starts_anew_obeys_what_was_said_before(clock: Time) -> None:
    """The e-stop was released, then pressed again; only then the listener was restarted."""
    released = seal(clock)
    clock.pass_s(0.2)
    opener = Opener("operator", {"r2": KEY.public_key()}, clock)
    assert why(opener, released) is Refusal.REPLAYED


def test_an_envelope_for_another_is_opened(opener: Opener, clock: Time) -> None:
    assert why(opener, seal(clock, receiver="r1")) is Refusal.NOT_FOR_US
    assert why(opener, seal(clock, channel="live")) is Refusal.NOT_FOR_US


def test_channels_hold_each_other_up(opener: Opener, clock: Time) -> None:
    sealer = Sealer("r2", KEY, clock)
    slow, fast = (sealer.seal("operator", channel, ENTRIES) for channel in ("sure", "live"))
    opener.open(fast, "live")
    opener.open(slow, "sure")


@pytest.mark.parametrize("wrong_s", [-3.0, 3.0])
def test_a_wrong_clock_is_not_told(opener: Opener, clock: Time, wrong_s: float) -> None:
    theirs = Time()
    theirs.ns = clock.ns + round(wrong_s * 1e9)
    assert why(opener, seal(theirs)) is Refusal.NOT_NOW
    if wrong_s > 0:
        # the past may be a recording, but nobody can have signed the future
        assert opener.ahead_s["r2"] == pytest.approx(wrong_s)


def test_a_clock_that_is_set_back_silences_its_host(opener: Opener, clock: Time) -> None:
    sealer = Sealer("r2", KEY, clock)
    opener.open(sealer.seal("operator", "sure", ENTRIES), "sure")
    clock.ns -= 500_000_000
    opener.open(sealer.seal("operator", "sure", ENTRIES), "sure")


def test_a_flipped_bit_is_let_in(opener: Opener, clock: Time) -> None:
    rng = np.random.default_rng(3)
    intact = seal(clock)
    for bit in rng.integers(0, 8 * len(intact), 200):
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(RefusedError):
            opener.open(bytes(damaged), "sure")
    assert opener.open(intact, "sure")[0] == "r2"


def test_a_flood_of_giants_is_read(opener: Opener) -> None:
    assert why(opener, b"EIR1" + b"\x00" * MAX_SIZE) is Refusal.MALFORMED


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_bytes_crash_the_opener(data: bytes, magic: bool) -> None:
    opener = Opener("operator", {"r2": KEY.public_key()})
    with pytest.raises(RefusedError):
        opener.open(b"EIR1" * magic + data, "sure")

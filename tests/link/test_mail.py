"""What waits to be sent: gathered, limited, kept, never too large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eir_ros.link.envelope import MAX_SIZE
from eir_ros.link.mail import EStop, Outbox
from eir_ros.link.streams import SHARED, Channel, Kind, Stream, from_robots, to_robots

STREAMS = (
    Stream("/a", Kind.TWIST, Channel.LIVE),
    Stream("/slow", Kind.TWIST, Channel.LIVE, max_hz=5.0),
    Stream("/kept", Kind.DIAGNOSTICS, Channel.SURE, kept=True),
)


def test_what_is_looked_at_is_sent_at_any_rate():
    box = Outbox(STREAMS)
    for i in range(10):
        box.put("/a", bytes([i]), i * 0.05)
        box.put("/slow", bytes([i]), i * 0.05)
    (portion,) = box.take(Channel.LIVE)
    assert [e.data[0] for e in portion if e.topic == "/a"] == list(range(10))
    assert [e.data[0] for e in portion if e.topic == "/slow"] == [0, 4, 8]
    assert box.take(Channel.LIVE) == []


def test_who_joins_late_never_learns_of_a_fault():
    box = Outbox(STREAMS)
    for data, about in ((b"1", "r0"), (b"2", "r1"), (b"3", "r0")):
        box.put("/kept", data, 0.0, about)
    box.take(Channel.SURE)
    assert box.take(Channel.SURE) == []
    box.repeat()
    assert [entry.data for entry in box.take(Channel.SURE)[0]] == [b"3", b"2"]


@given(st.lists(st.integers(0, 70_000), max_size=12))
def test_an_envelope_is_too_large(sizes):
    box = Outbox(STREAMS)
    for size in sizes:
        box.put("/a", bytes(size), 0.0)
    portions = box.take(Channel.LIVE)
    assert all(sum(len(e.data) + 10 for e in portion) < MAX_SIZE - 500 for portion in portions)
    kept = [size for size in sizes if size < MAX_SIZE - 1200]
    assert [len(e.data) for p in portions for e in p if len(e.data) < MAX_SIZE - 1200] == kept


@pytest.mark.parametrize("data", [b"", b"\x01", bytes(20)])
def test_nonsense_is_an_order(data):
    with pytest.raises(ValueError, match="not an e-stop"):
        EStop.read(data)
    assert EStop.read(EStop(True, 7).entry().data) == EStop(True, 7)


def test_the_operator_may_send_senses_or_commands_to_a_real_robot():
    assert to_robots(["r2"], simulation=False) == ()
    sent = {stream.topic for stream in to_robots(["r2"], simulation=True)}
    assert sent == {"/clock", "/r2/odom", "/r2/tracks", "/r2/sites"}


def test_a_robot_may_speak_for_another():
    topics = {stream.topic for stream in from_robots(["r2"], simulation=False)}
    assert {topic for topic in topics if not topic.startswith("/r2/")} == set(SHARED)

"""An old message must not undo a newer one, nor a stamp of the future make the gate deaf."""

from hypothesis import given
from hypothesis import strategies as st

from eir_ros.safety.order import InOrder


def test_a_message_that_was_overtaken_is_heard():
    order = InOrder()
    assert [order.accepts(t) for t in (1.0, 1.2, 1.1, 1.2, 1.3)] == [True, True, False, True, True]


def test_one_stamp_of_the_future_silences_who_comes_after():
    order = InOrder()
    assert [order.accepts(t) for t in (5.0, 1e6, 5.1, 5.0, 5.2)] == [True, True, True, False, True]


@given(stamps=st.lists(st.floats(0.0, 100.0)))
def test_what_is_accepted_goes_back_a_little(stamps):
    order, last = InOrder(), None
    for stamp in stamps:
        if order.accepts(stamp):
            assert last is None or stamp >= last or stamp < last - 1.0
            last = stamp

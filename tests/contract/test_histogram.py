"""Histograms: percentiles that lie, merges that forget, text that is not read back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eir_ros.contract.histogram import LEAST, Histogram

values = st.floats(1e-5, 1e6)


def filled(numbers):
    histogram = Histogram()
    for number in numbers:
        histogram.add(number)
    return histogram


@given(st.lists(values, min_size=1), st.floats(0, 100))
def test_a_percentile_is_off_by_more_than_half_a_bin(numbers, q):
    exact = np.percentile(numbers, q, method="inverted_cdf")
    assert filled(numbers).percentile(q) == pytest.approx(exact, rel=0.0051)


@given(st.lists(values), st.lists(values))
def test_merging_forgets_or_counts_twice(first, second):
    merged = filled(first)
    merged.merge(filled(second))
    assert merged == filled(first + second)
    assert len(merged) == len(first) + len(second)


@given(st.lists(values))
def test_text_is_not_read_back(numbers):
    histogram = filled(numbers)
    assert Histogram.loads(histogram.dumps()) == histogram


def test_nothing_measured_has_a_percentile():
    assert Histogram().percentile(50) is None


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_what_is_not_positive_is_lost(value):
    assert filled([value]).percentile(50) == pytest.approx(LEAST, rel=0.01)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_counted(value):
    with pytest.raises(ValueError, match="finite"):
        filled([value])


@pytest.mark.parametrize("text", ["5", "5:", "5:0", "5:-1", "a:1", "1.5:2", ":3"])
def test_nonsense_is_read(text):
    with pytest.raises(ValueError):  # noqa: PT011 - int() and we say it in different words
        Histogram.loads(text)


@pytest.mark.parametrize("q", [-1, 101])
def test_a_percentile_beyond_the_ends_is_answered(q):
    with pytest.raises(ValueError, match="between 0 and 100"):
        filled([1.0]).percentile(q)


@pytest.mark.parametrize(
    "text", ["0:99999999999999999999", "100000:1", "-100000:1", "0:1 1:" + "9" * 16]
)
def test_numbers_beyond_every_run_end_whoever_adds_them_up(text):
    """They come from other computers; percentiles and sizes of such counts overflow."""
    with pytest.raises(ValueError, match="histogram"):
        Histogram.loads(text)


def test_the_largest_number_that_is_counted_is_not_read_back():
    histogram = filled([1e300])
    assert Histogram.loads(histogram.dumps()) == histogram

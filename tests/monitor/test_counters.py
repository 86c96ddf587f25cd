"""Totals of agents must survive a restart, and nonsense in a diagnostic."""

import pytest

from eir_ros.contract.histogram import Histogram
from eir_ros.monitor.counters import Counters


def diagnostics(decisions: int, stale: int, *ticks_ms: float) -> dict[str, str]:
    histogram = Histogram()
    for tick_ms in ticks_ms:
        histogram.add(tick_ms)
    return {
        "decisions": str(decisions),
        "overruns": "0",
        "stale_inputs": str(stale),
        "tick_ms_histogram": histogram.dumps(),
    }


def test_running_totals_replace_each_other():
    counters = Counters(["r0"])
    counters.update("r0", diagnostics(5, 1, 1.0))
    counters.update("r0", diagnostics(10, 3, 1.0, 1.0))
    assert counters.total("stale_inputs") == 3
    assert counters.restarts("r0") == 0


def test_the_silence_after_a_mission_counts_as_stale_inputs():
    counters = Counters(["r0"])
    counters.update("r0", diagnostics(5, 1, 1.0))
    counters.over = True
    counters.update("r0", diagnostics(6, 4, 1.0, 1.0))
    assert counters.total("stale_inputs") == 1


def test_a_restarted_agent_does_not_wipe_what_it_had_counted():
    counters = Counters(["r0"])
    counters.update("r0", diagnostics(50, 3, *[1.0] * 98))
    counters.update("r0", diagnostics(4, 1, 100.0, 100.0))
    counters.update("r0", diagnostics(9, 2, 100.0, 100.0))
    assert counters.restarts("r0") == 1
    assert counters.total("stale_inputs") == 5
    found = counters.percentiles("tick_ms")
    assert found.p50 == pytest.approx(1.0, rel=0.01)
    assert found.p99 == pytest.approx(100.0, rel=0.01)


def test_a_new_agent_is_known_only_by_fewer_decisions():
    """On a busy machine it has made more than the old one had before anybody hears of it."""
    counters = Counters(["r0"])
    counters.update("r0", diagnostics(5, 3) | {"started": "2026-01-01T00:00:00.000+00:00"})
    counters.update("r0", diagnostics(6, 3) | {"started": "2026-01-01T00:00:00.000+00:00"})
    assert counters.restarts("r0") == 0
    counters.update("r0", diagnostics(9, 1) | {"started": "2026-01-01T00:00:08.000+00:00"})
    assert counters.restarts("r0") == 1
    assert counters.total("stale_inputs") == 4


def test_percentiles_are_of_all_robots_together():
    counters = Counters(["r0", "r1"])
    counters.update("r0", diagnostics(1, 0, 1.0))
    counters.update("r1", diagnostics(1, 0, 9.0, 9.0))
    assert counters.percentiles("tick_ms").p50 == pytest.approx(9.0, rel=0.01)
    assert counters.percentiles("tick_ms", "r0").p50 == pytest.approx(1.0, rel=0.01)


def test_nothing_measured_is_none_not_zero():
    found = Counters(["r0"]).percentiles("inference_us")
    assert (found.p50, found.p99) == (None, None)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"decisions": "many"},
        {"tick_ms_histogram": "1:2:3"},
        {"overruns": ""},
        # of a computer that somebody else has taken over
        {"tick_ms_histogram": "0:99999999999999999999"},
        {"tick_ms_histogram": "100000:1"},
        {"stale_inputs": "9" * 40},
        {"decisions": "-5"},
    ],
)
def test_unreadable_diagnostics_change_nothing(values: dict[str, str]):
    counters = Counters(["r0"])
    counters.update("r0", diagnostics(5, 1, 1.0))
    counters.update("r0", values)
    counters.update("r7", diagnostics(5, 1, 1.0))
    assert counters.total("stale_inputs") == 1
    assert counters.restarts("r0") == 0
    assert counters.percentiles("tick_ms").p50 == pytest.approx(1.0, rel=0.01)

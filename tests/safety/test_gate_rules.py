"""The gate may only reduce: properties over any history of commands, silences and poses."""

from math import cos, inf, isfinite, nan, pi, sin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from eir_ros.safety.gate import Gate, GateLimits

LIMITS = GateLimits()
FENCED = GateLimits(fence=(-1.0, -1.0, 1.0, 1.0))
#: How often the gate's node looks when nothing arrives [s].
WATCHDOG_S = 0.05

anything = st.floats(allow_nan=True, allow_infinity=True)
speeds = st.one_of(st.floats(-0.5, 0.5), anything)
yaw_rates = st.one_of(st.floats(-3.0, 3.0), anything)
pauses = st.floats(0.0, 0.6)
events = st.lists(
    st.one_of(
        st.tuples(st.just("command"), pauses, speeds, yaw_rates),
        st.tuples(st.just("odometry"), pauses, st.tuples(anything, anything, anything)),
        st.tuples(st.just("estop"), pauses, st.booleans()),
        st.tuples(st.just("silence"), pauses),
    ),
    max_size=30,
)


def play(gate, history):
    """Feed `history` to the gate; yield what it allows, what was last validly asked and asked."""
    now, asked, newest = 100.0, (0.0, 0.0), None
    for kind, pause, *values in history:
        now += pause
        if kind == "command":
            gate.command(*values, now)
            newest = tuple(values)
            asked = newest if isfinite(values[0]) and isfinite(values[1]) else asked
        elif kind == "odometry":
            gate.odometry(*values[0], now)
        elif kind == "estop":
            gate.estop = values[0]
        yield gate.decide(now), asked, newest


@pytest.mark.parametrize("limits", [LIMITS, FENCED])
@given(history=events)
@example(history=[("command", 0.0, 1e308, 1e308)])
@example(history=[("command", 0.0, 0.5000000000000001, 1.7)])
def test_output_never_exceeds_limits_nor_what_was_asked(limits, history):
    for allowed, (v, w), _ in play(Gate(limits), history):
        assert abs(allowed.v) <= min(limits.max_speed, abs(v))
        assert abs(allowed.w) <= min(limits.max_yaw_rate, abs(w))
        # never the other way round
        assert allowed.v * v >= 0
        assert allowed.w * w >= 0


@given(history=events)
def test_no_reason_means_exactly_what_was_asked_last(history):
    for allowed, _, newest in play(Gate(LIMITS), history):
        if allowed.reason == "":
            assert allowed[:2] == newest


@given(history=events)
def test_estop_is_zero_until_released(history):
    gate = Gate(LIMITS)
    for allowed, *_ in play(gate, history):
        if gate.estop:
            assert allowed == (0.0, 0.0, "estop")
        else:
            assert allowed.reason != "estop"


@given(v=st.floats(-0.5, 0.5), w=st.floats(-3.0, 3.0), age=st.floats(0.0, 0.25))
def test_nominal_command_passes_bit_for_bit(v, w, age):
    gate = Gate(GateLimits(fence=(-2.5, -2.5, 2.5, 2.5)))
    gate.odometry(1.9, -1.9, 0.3, 0.0)
    gate.command(v, w, 0.0)
    allowed = gate.decide(age)
    assert (allowed.v.hex(), allowed.w.hex(), allowed.reason) == (v.hex(), w.hex(), "")


@given(history=events, phase=st.floats(0.0, WATCHDOG_S))
def test_stands_within_half_a_second_of_silence(history, phase):
    gate = Gate(LIMITS)
    last_valid = now = 100.0
    for kind, pause, *values in history:
        now += pause
        if kind == "command":
            gate.command(*values, now)
            if isfinite(values[0]) and isfinite(values[1]):
                last_valid = now
    # the last time that the watchdog looks before the half second is over
    allowed = gate.decide(max(now, last_valid + 0.5 - phase))
    assert (allowed.v, allowed.w) == (0.0, 0.0)


def test_silence_decelerates_no_harder_than_allowed_and_keeps_the_path():
    gate = Gate(LIMITS)
    gate.command(0.5, 1.0, 0.0)
    before = gate.decide(0.25)
    assert before == (0.5, 1.0, "")
    for tick in range(1, 100):
        allowed = gate.decide(0.25 + tick * 0.005)
        assert before.v - allowed.v <= LIMITS.max_deceleration * 0.005 + 1e-12
        assert allowed.w == pytest.approx(2.0 * allowed.v)
        assert allowed.reason == "stale_command"
        before = allowed
    assert before.v == 0.0


def test_an_invalid_command_starts_the_stop_at_once_and_a_valid_one_ends_it():
    gate = Gate(LIMITS)
    gate.command(0.5, 0.0, 0.0)
    gate.command(nan, 0.0, 0.1)
    assert gate.decide(0.15) == (pytest.approx(0.35), 0.0, "invalid_command")
    gate.command(0.0, inf, 0.15)
    assert gate.decide(0.27) == (0.0, 0.0, "invalid_command")
    gate.command(0.5, 0.0, 0.3)
    assert gate.decide(0.3) == (0.5, 0.0, "")


def test_nothing_is_allowed_before_the_first_command():
    gate = Gate(LIMITS)
    assert gate.decide(0.0) == (0.0, 0.0, "no_command")
    gate.command(nan, 0.0, 0.0)
    assert gate.decide(0.0) == (0.0, 0.0, "invalid_command")


def test_too_fast_is_slowed_down_along_its_path():
    gate = Gate(LIMITS)
    gate.command(1.0, 2.0, 0.0)
    assert gate.decide(0.0) == (0.5, 1.0, "limit")
    gate.command(-0.4, 6.0, 0.0)
    assert gate.decide(0.0) == (-0.2, 3.0, "limit")


def test_a_fence_without_odometry_stops():
    gate = Gate(FENCED)
    gate.command(0.5, 0.0, 0.0)
    assert gate.decide(0.0) == (0.0, 0.0, "no_odom")
    gate.odometry(0.0, 0.0, 0.0, 0.0)
    assert gate.decide(0.1) == (0.5, 0.0, "")
    gate.command(0.5, 0.0, 0.4)
    gate.odometry(nan, 0.0, 0.0, 0.4)
    assert gate.decide(0.4) == (pytest.approx(0.05), 0.0, "stale_odom")
    assert gate.decide(0.42).v == 0.0


@pytest.mark.parametrize("yaw", [0.0, pi / 2, pi, -pi / 2])
def test_outside_the_fence_a_robot_may_turn_and_come_back_but_not_leave(yaw):
    gate = Gate(FENCED)
    gate.odometry(1.2 * cos(yaw), 1.2 * sin(yaw), yaw, 0.0)
    gate.command(0.3, 1.0, 0.0)
    assert gate.decide(0.0) == (0.0, 1.0, "fence")
    gate.command(-0.3, 0.5, 0.0)
    assert gate.decide(0.0) == (-0.3, 0.5, "")


edges = st.one_of(st.sampled_from([-1.0, -0.95, 0.95, 1.0]), st.floats(-1.0, 1.0))
full = st.tuples(
    st.one_of(st.sampled_from([0.5, -0.5]), speeds),
    st.one_of(st.sampled_from([-3.0, 0.0, 3.0]), yaw_rates),
)


@given(
    commands=st.lists(full, min_size=1, max_size=40),
    start=st.tuples(edges, edges, st.floats(-pi, pi)),
    latency=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_rollout_never_leaves_the_fence(commands, start, latency):
    """A unicycle that brakes no harder than it is said to, seen up to 50 ms late at 10 Hz."""
    gate, dt = Gate(FENCED), 0.01
    v, w = 0.0, 0.0
    trail = [start] * (latency + 1)
    for tick in range(10 * len(commands)):
        now = tick * dt
        if tick % 10 == 0:
            gate.odometry(*trail[-1 - latency], now)
            gate.command(*commands[tick // 10], now)
        if tick % 5 == 0:
            allowed = gate.decide(now)
        change = LIMITS.max_deceleration * dt
        v, w = max(v - change, min(v + change, allowed.v)), allowed.w
        x, y, yaw = trail[-1]
        trail.append((x + v * cos(yaw) * dt, y + v * sin(yaw) * dt, yaw + w * dt))
        assert max(abs(trail[-1][0]), abs(trail[-1][1])) <= 1.0


def test_the_fence_is_reached_but_slowly():
    gate = Gate(FENCED)
    gate.odometry(0.95, 0.0, 0.0, 0.0)
    gate.command(0.5, 0.0, 0.0)
    v, w, reason = gate.decide(0.0)
    assert (w, reason) == (0.0, "fence")
    stopping = v * FENCED.reaction_s + v**2 / (2 * FENCED.max_deceleration)
    assert stopping == pytest.approx(0.05)


def test_a_fence_without_area_is_refused():
    with pytest.raises(EirError, match="xmin < xmax"):
        validate({"fence": (1.0, 0.0, 1.0, 2.0)}, GateLimits, where="r0")

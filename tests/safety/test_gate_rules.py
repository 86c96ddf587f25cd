"""The gate may only reduce: properties over any history of commands, silences and poses."""

from math import cos, hypot, inf, isfinite, nan, pi, sin

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eir_ros.contract.config import validate
from eir_ros.contract.errors import EirError
from eir_ros.safety.gate import Gate, GateLimits, Track

LIMITS = GateLimits()
FENCED = GateLimits(fence=(-1.0, -1.0, 1.0, 1.0))
SHY = GateLimits(fence=(-1.0, -1.0, 1.0, 1.0), separation_m=0.3, quarantine_m=0.2, obstacle_m=0.2)
#: How often the gate's node looks when nothing arrives [s].
WATCHDOG_S = 0.05

anything = st.floats(allow_nan=True, allow_infinity=True)
speeds = st.one_of(st.floats(-0.5, 0.5), anything)
yaw_rates = st.one_of(st.floats(-3.0, 3.0), anything)
pauses = st.floats(0.0, 0.6)
tracks = st.builds(Track, anything, anything, anything, anything)
events = st.lists(
    st.one_of(
        st.tuples(st.just("command"), pauses, speeds, yaw_rates),
        st.tuples(st.just("odometry"), pauses, st.tuples(anything, anything, anything)),
        st.tuples(st.just("tracks"), pauses, st.dictionaries(st.integers(0, 4), tracks)),
        st.tuples(st.just("obstacles"), pauses, st.lists(tracks, max_size=3)),
        st.tuples(st.just("quarantine"), pauses, st.sets(st.integers(0, 4))),
        st.tuples(st.just("estop"), pauses, st.booleans()),
        st.tuples(st.just("silence"), pauses),
        st.tuples(st.just("restart"), pauses),
        # what a clock that is set back, or a message that was overtaken, looks like
        st.tuples(st.just("silence"), st.floats(-0.5, 0.0)),
    ),
    max_size=30,
)


def awake(limits, now=0.0):
    """A gate that has let a robot stand until just before `now`."""
    gate = Gate(limits)
    gate.command(0.0, 0.0, now - 0.1)
    gate.send(now - 0.1)
    return gate


def play(limits, history):
    """Feed `history` to a gate, at `now`; yield it, what it sends, what was validly asked, asked.

    A gate that starts again has forgotten everything but the e-stop, which it is told at once.
    """
    gate, now, asked, newest = Gate(limits), 100.0, (0.0, 0.0), None
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
        elif kind == "restart":
            stopped, gate = gate.estop, Gate(limits)
            gate.estop = stopped
        elif kind != "silence":
            getattr(gate, kind)(values[0], *([now] if kind != "quarantine" else []))
        yield gate, now, gate.send(now), asked, newest


@pytest.mark.parametrize("limits", [LIMITS, FENCED, SHY])
@given(history=events)
@example(history=[("command", 0.0, 1e308, 1e308), ("silence", 0.1)])
@example(history=[("command", 0.0, 0.5000000000000001, 1.7), ("silence", 0.1)])
def test_output_never_exceeds_limits_nor_what_was_asked(limits, history):
    for _, _, allowed, (v, w), _ in play(limits, history):
        assert abs(allowed.v) <= min(limits.max_speed, abs(v))
        assert abs(allowed.w) <= min(limits.max_yaw_rate, abs(w))
        # never the other way round
        assert allowed.v * v >= 0
        assert allowed.w * w >= 0


@given(history=events)
def test_speed_and_yaw_rate_never_grow_faster_than_allowed(history):
    last, at, life = (0.0, 0.0), 100.0, None
    for gate, now, allowed, *_ in play(LIMITS, history):
        # a gate that has just started takes its robot to stand
        last, at = ((0.0, 0.0), -inf) if gate is not life else (last, at)
        elapsed, life = min(LIMITS.command_timeout_s, max(0.0, now - at)), gate
        for before, after, growth in zip(
            last, allowed, (LIMITS.max_acceleration, LIMITS.max_yaw_acceleration), strict=False
        ):
            kept = abs(before) if before * after > 0 else 0.0
            assert abs(after) <= kept + growth * elapsed + 1e-9
        last, at = allowed[:2], now


@given(history=events)
def test_no_reason_means_exactly_what_was_asked_last(history):
    for _, _, allowed, _, newest in play(LIMITS, history):
        if allowed.reason == "":
            assert allowed[:2] == newest


@pytest.mark.parametrize("limits", [LIMITS, SHY])
@given(history=events)
def test_estop_is_zero_until_released(limits, history):
    for gate, _, allowed, *_ in play(limits, history):
        if gate.estop:
            assert allowed == (0.0, 0.0, "estop")
        else:
            assert allowed.reason != "estop"


@given(v=st.floats(-0.5, 0.5), w=st.floats(-3.0, 3.0), age=st.floats(0.0, 0.25))
def test_nominal_command_passes_bit_for_bit(v, w, age):
    gate = awake(GateLimits(fence=(-2.5, -2.5, 2.5, 2.5), separation_m=0.3))
    gate.odometry(1.9, -1.9, 0.3, 0.0)
    gate.tracks({1: Track(0.9, -1.9)}, 0.0)
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
    gate = awake(LIMITS)
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
    gate = awake(LIMITS)
    gate.command(0.5, 0.0, 0.0)
    assert gate.send(0.0) == (0.5, 0.0, "")
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
    gate = awake(LIMITS)
    gate.command(1.0, 2.0, 0.0)
    assert gate.decide(0.0) == (0.5, 1.0, "limit")
    gate.command(-0.4, 6.0, 0.0)
    assert gate.decide(0.0) == (-0.2, 3.0, "limit")


def test_a_fence_without_odometry_stops():
    gate = awake(FENCED)
    gate.command(0.5, 0.0, 0.0)
    assert gate.decide(0.0) == (0.0, 0.0, "no_odom")
    gate.odometry(0.0, 0.0, 0.0, 0.0)
    assert gate.send(0.1) == (0.5, 0.0, "")
    gate.command(0.5, 0.0, 0.4)
    gate.odometry(nan, 0.0, 0.0, 0.4)
    assert gate.decide(0.4) == (pytest.approx(0.05), 0.0, "stale_odom")
    assert gate.decide(0.42).v == 0.0


@pytest.mark.parametrize("yaw", [0.0, pi / 2, pi, -pi / 2])
def test_outside_the_fence_a_robot_may_turn_and_come_back_but_not_leave(yaw):
    gate = awake(FENCED)
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
            allowed = gate.send(now)
        change = LIMITS.max_deceleration * dt
        v, w = max(v - change, min(v + change, allowed.v)), allowed.w
        x, y, yaw = trail[-1]
        trail.append((x + v * cos(yaw) * dt, y + v * sin(yaw) * dt, yaw + w * dt))
        assert max(abs(trail[-1][0]), abs(trail[-1][1])) <= 1.0


def test_the_fence_is_reached_but_slowly():
    gate = awake(FENCED)
    gate.odometry(0.95, 0.0, 0.0, 0.0)
    gate.command(0.5, 0.0, 0.0)
    v, w, reason = gate.decide(0.0)
    assert (w, reason) == (0.0, "fence")
    stopping = v * FENCED.reaction_s + v**2 / (2 * FENCED.max_deceleration)
    assert stopping == pytest.approx(0.05)


def test_a_fence_without_area_is_refused():
    with pytest.raises(EirError, match="xmin < xmax"):
        validate({"fence": (1.0, 0.0, 1.0, 2.0)}, GateLimits, where="r0")


def shy(x=0.0, y=0.0, yaw=0.0, **seen):
    """A gate at a place of which it knows, with the teammates that are seen, by id."""
    gate = awake(SHY)
    gate.odometry(x, y, yaw, 0.0)
    gate.obstacles([], 0.0)
    gate.tracks({int(name[1:]): Track(*place) for name, place in seen.items()}, 0.0)
    return gate


def test_a_robot_in_the_way_slows_down_who_comes_but_not_who_passes_or_backs_away():
    ahead = {"r1": (0.35, 0.0)}
    gate = shy(**ahead)
    gate.command(0.5, 0.0, 0.0)
    v, w, reason = gate.decide(0.0)
    assert (w, reason) == (0.0, "separation")
    stopping = v * SHY.reaction_s + v**2 / (2 * SHY.max_deceleration)
    assert stopping == pytest.approx(0.05)
    gate.command(-0.5, 0.5, 0.0)
    assert gate.decide(0.0) == (-0.5, 0.5, "")
    beside = shy(r1=(0.0, 0.31))
    beside.command(0.5, 0.0, 0.0)
    assert beside.decide(0.0) == (0.5, 0.0, "")
    # but turning towards it is not passing by
    beside.command(0.5, 1.0, 0.0)
    assert beside.decide(0.0).reason == "separation"


def test_too_near_a_robot_turns_and_leaves_but_comes_no_nearer():
    gate = shy(r1=(0.2, 0.0))
    gate.command(0.5, 1.0, 0.0)
    assert gate.decide(0.0) == (0.0, 1.0, "separation")
    gate.command(-0.5, 0.0, 0.0)
    assert gate.decide(0.0) == (-0.5, 0.0, "")


def test_one_who_comes_is_given_the_room_that_it_will_take():
    still, coming = shy(r1=(0.6, 0.0)), shy(r1=(0.6, 0.0, -0.5, 0.0))
    for gate in (still, coming):
        gate.command(0.5, 0.0, 0.0)
    assert still.decide(0.0) == (0.5, 0.0, "")
    v = coming.decide(0.0).v
    stop_s = SHY.reaction_s + v / SHY.max_deceleration
    mine = v * SHY.reaction_s + v**2 / (2 * SHY.max_deceleration)
    assert mine + 0.5 * stop_s == pytest.approx(0.3)


def test_a_teammate_in_quarantine_is_kept_farther_away():
    gate = shy(r1=(0.6, 0.0))
    gate.quarantine({1})
    gate.command(0.5, 0.0, 0.0)
    assert gate.decide(0.0).v < 0.3
    gate.quarantine({2})
    assert gate.decide(0.0) == (0.5, 0.0, "")


def test_a_teammate_that_is_lost_from_sight_is_not_forgotten_at_once():
    gate = shy(r1=(0.4, 0.0, 0.0, 0.1))
    for tick in range(1, 12):
        now = 0.1 * tick
        gate.odometry(0.0, 0.0, 0.0, now)
        gate.obstacles([], now)
        gate.tracks({2: Track(0.0, 0.9)}, now)
        gate.command(0.5, 0.0, now)
        v, _, reason = gate.send(now)
        if tick <= 10:
            assert reason == "separation"
            # it may be nearer by now
            assert v < 0.3
    assert (v, reason) == (0.5, "")


@pytest.mark.parametrize("lost", ["tracks", "obstacles"])
def test_without_word_of_the_others_a_robot_stands(lost):
    gate = awake(SHY)
    gate.odometry(0.0, 0.0, 0.0, 0.0)
    gate.command(0.5, 0.0, 0.0)
    assert gate.decide(0.0) == (0.0, 0.0, "no_tracks")
    gate.tracks({}, 0.0)
    gate.obstacles([], 0.0)
    assert gate.send(0.0) == (0.5, 0.0, "")
    for tick in range(1, 9):
        now = 0.05 * tick
        gate.odometry(0.0, 0.0, 0.0, now)
        gate.command(0.5, 0.0, now)
        if lost != "tracks":
            gate.tracks({}, now)
        if lost != "obstacles":
            gate.obstacles([], now)
        allowed = gate.send(now)
    assert allowed.reason == "stale_tracks"
    # as good as none
    gate.tracks({1: Track(nan, 0.0)}, 0.45)
    gate.obstacles([Track(0.0, inf)], 0.45)
    gate.command(0.5, 0.0, 0.45)
    assert gate.send(0.45) == (0.0, 0.0, "stale_tracks")


ABSURD_NUMBERS = pytest.mark.parametrize("absurd", [nan, inf, -1e154, 1e308])


@ABSURD_NUMBERS
@pytest.mark.parametrize("place", range(3))
def test_an_absurd_pose_crashes_the_gate_or_is_believed(absurd, place):
    gate = shy()
    gate.tracks({}, 0.4)
    gate.obstacles([], 0.4)
    gate.odometry(*(absurd if place == i else 0.0 for i in range(3)), 0.4)
    gate.command(0.5, 0.0, 0.45)
    assert gate.send(0.45) == (0.0, 0.0, "stale_odom")


@ABSURD_NUMBERS
@pytest.mark.parametrize("place", range(4))
def test_an_absurd_track_crashes_the_gate_or_is_believed(absurd, place):
    """Finite in a message, but its square is not: that stopped the gate with an OverflowError."""
    track = Track(*(absurd if place == i else 0.0 for i in range(4)))
    gate = shy()
    gate.odometry(0.0, 0.0, 0.0, 0.4)
    gate.tracks({1: track}, 0.4)
    gate.obstacles([track], 0.4)
    gate.command(0.5, 0.0, 0.45)
    assert gate.send(0.45) == (0.0, 0.0, "stale_tracks")


def test_a_point_of_an_obstacle_stops_like_a_teammate():
    gate = shy()
    gate.obstacles([Track(0.2, 0.0)], 0.0)
    gate.command(0.5, 0.0, 0.0)
    assert gate.decide(0.0) == (0.0, 0.0, "separation")


def test_a_flood_of_commands_reaches_the_motors_but_a_brake_is_never_held_back():
    gate, sent = awake(LIMITS), 0
    for step in range(1000):
        now = step * 0.001
        gate.command(0.4 + 0.1 * (step % 2), 0.0, now)
        if gate.due(gate.decide(now), now):
            gate.send(now)
            sent += 1
    # a brake needs a command before it that does not brake
    assert sent <= 2 * 1.0 / LIMITS.period_s + 2
    gate.command(0.0, 0.0, 1.0)
    assert gate.due(gate.decide(1.0), 1.0)


def test_what_was_taken_away_is_counted_by_its_strongest_reason():
    gate = awake(FENCED)
    gate.odometry(0.99, 0.0, 0.0, 0.0)
    gate.command(5.0, 0.0, 0.0)
    gate.send(0.0)
    gate.decide(0.0)
    gate.estop = True
    gate.send(0.1)
    assert {reason: n for reason, n in gate.counts.items() if reason} == {
        "no_odom": 1,
        "fence": 1,
        "estop": 1,
    }


places = st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9))


@given(
    commands=st.lists(full, min_size=1, max_size=40),
    yaw=st.floats(-pi, pi),
    others=st.lists(places, min_size=1, max_size=3),
    latency=st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_rollout_never_comes_nearer_to_others_than_it_may(commands, yaw, others, latency):
    """A unicycle as above among others that stand; too near to begin with, it only leaves."""
    gate, dt = Gate(SHY), 0.01
    seen = {number: Track(*place) for number, place in enumerate(others)}
    nearest = {n: hypot(*place) for n, place in enumerate(others)}
    v, w = 0.0, 0.0
    trail = [(0.0, 0.0, yaw)] * (latency + 1)
    for tick in range(10 * len(commands)):
        now = tick * dt
        if tick % 10 == 0:
            gate.odometry(*trail[-1 - latency], now)
            gate.tracks(seen, now)
            gate.obstacles([], now)
            gate.command(*commands[tick // 10], now)
        if tick % 5 == 0:
            allowed = gate.send(now)
        change = LIMITS.max_deceleration * dt
        v, w = max(v - change, min(v + change, allowed.v)), allowed.w
        x, y, yaw = trail[-1]
        trail.append((x + v * cos(yaw) * dt, y + v * sin(yaw) * dt, yaw + w * dt))
        for n, (ox, oy) in enumerate(others):
            gap = hypot(trail[-1][0] - ox, trail[-1][1] - oy)
            # what turning between two looks may take
            assert gap >= min(SHY.separation_m, nearest[n]) - 0.01
            nearest[n] = min(nearest[n], gap)

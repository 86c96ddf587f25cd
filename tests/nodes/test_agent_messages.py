"""Messages: what is lost or let in on the way through the wire formats."""

import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from nav_msgs.msg import Odometry  # noqa: E402

from eir_ros.contract.faults import FaultKind  # noqa: E402
from eir_ros.faults.timeline import Span  # noqa: E402
from eir_ros.nodes import clouds, messages  # noqa: E402
from eir_ros.nodes.clouds import BELIEFS, SITES, TRACKS, InvalidMessageError  # noqa: E402

STAMP = messages.time_of(12_300_000_000)
metres = st.floats(-5, 5)


@given(metres, metres, st.floats(-math.pi, math.pi), metres, metres)
def test_odometry_differs_by_more_than_a_rounding(x, y, yaw, vx, vy):
    motion = messages.Motion(np.array([x, y, yaw]), np.array([vx, vy]), 0.1)
    message = messages.encode_odometry(motion, STAMP, "r0/odom", "r0/base_link")
    found = messages.decode_odometry(message)
    np.testing.assert_array_equal(found.pose[:2], motion.pose[:2])
    assert math.remainder(found.pose[2] - yaw, 2 * math.pi) == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(found.velocity, motion.velocity, atol=1e-14)


def test_the_twist_of_odometry_is_in_the_wrong_frame():
    motion = messages.Motion(np.array([0, 0, math.pi / 2]), np.array([0.0, 0.5]), 0.0)
    message = messages.encode_odometry(motion, STAMP, "r0/odom", "r0/base_link")
    assert message.twist.twist.linear.x == pytest.approx(0.5)
    assert message.twist.twist.linear.y == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("field", ["x", "z", "w", "vx", "wz"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_odometry_that_is_no_number_is_read(field, value):
    message = Odometry()
    message.pose.pose.orientation.w = 1.0
    place = {
        "x": message.pose.pose.position,
        "z": message.pose.pose.orientation,
        "w": message.pose.pose.orientation,
        "vx": message.twist.twist.linear,
        "wz": message.twist.twist.angular,
    }[field]
    setattr(place, field[-1], value)
    with pytest.raises(InvalidMessageError, match="not finite"):
        messages.decode_odometry(message)


def test_a_speed_beyond_every_robot_is_added_up():
    """Its square is not finite, and JSON on the operator's page knows no such number."""
    message = Odometry()
    message.pose.pose.orientation.w = 1.0
    message.twist.twist.linear.x = 1.5e308
    with pytest.raises(InvalidMessageError, match="beyond"):
        messages.decode_odometry(message)


def test_a_robot_that_lies_on_its_side_is_driven():
    message = Odometry()
    message.pose.pose.orientation.w = message.pose.pose.orientation.x = math.sqrt(0.5)
    with pytest.raises(InvalidMessageError, match="not upright"):
        messages.decode_odometry(message)


def test_a_command_loses_a_bit():
    command = np.array([0.1 + 0.2, -1 / 3])
    message = messages.encode_twist(command, STAMP, "r0/base_link")
    assert message.header.stamp == STAMP
    np.testing.assert_array_equal(messages.decode_twist(message), command)


def test_a_sideways_command_is_cut_in_silence():
    message = messages.encode_twist(np.zeros(2), STAMP, "r0/base_link")
    message.twist.linear.y = 0.1
    with pytest.raises(InvalidMessageError, match="more than forward"):
        messages.decode_twist(message)


@pytest.mark.parametrize(
    "spans",
    [
        [],
        [Span(FaultKind.MUTE, 1.5, None, "operator")],
        [Span(FaultKind.STOP, 0.0, 2.0, "schedule"), Span(FaultKind.SLOW, 3.0, 4.5, "operator")],
    ],
)
def test_ground_truth_is_not_read_back(spans):
    assert messages.decode_faults(messages.encode_faults("r2", spans, STAMP)) == {"r2": spans}


@pytest.mark.parametrize(
    "spoil", [{"kind": "explode"}, {"start_s": "soon"}, {"start_s": "nan"}, {"end_s": "inf"}, {}]
)
def test_spoilt_ground_truth_is_read(spoil):
    span = Span(FaultKind.MUTE, 1.0, 2.0, "schedule")
    message = messages.encode_faults("r2", [span], STAMP)
    values = messages.values_of(message.status[0]) | spoil if spoil else {"kind": "mute"}
    with pytest.raises(InvalidMessageError, match="of 'r2' cannot be read"):
        messages.decode_faults(messages.diagnostics(STAMP, messages.status("r2", values)))


def test_time_is_rounded():
    for nanoseconds in (0, 1, 999_999_999, 1_000_000_000, 12_345_678_901):
        assert messages.nanoseconds_of(messages.time_of(nanoseconds)) == nanoseconds


def cloud(dtype=TRACKS, count=3):
    points = np.zeros(count, dtype)
    points["id"] = np.arange(count)
    points["x"] = np.linspace(-1, 1, count)
    return points, clouds.encode(points, STAMP, "map")


@pytest.mark.parametrize("dtype", [TRACKS, SITES, BELIEFS])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_cloud_is_not_read_back(dtype, count):
    points, message = cloud(dtype, count)
    np.testing.assert_array_equal(clouds.decode(message, dtype), points)


def test_a_field_that_is_added_to_one_cloud_is_in_all_others():
    points, message = cloud()
    message.fields.append(message.fields[0])
    np.testing.assert_array_equal(clouds.decode(cloud()[1], TRACKS), points)
    with pytest.raises(InvalidMessageError, match="has fields"):
        clouds.decode(message, TRACKS)


def spoil_nan(message):
    message.data[4:8] = array("B", np.float32(np.nan).tobytes())


def spoil_twice(message):
    message.data[0:4] = array("B", np.uint32(1).tobytes())


def spoil_short(message):
    message.data = message.data[:-1]


def spoil_width(message):
    message.width += 1


def spoil_endian(message):
    message.is_bigendian = True


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoil_nan, "not finite"),
        (spoil_twice, "twice"),
        (spoil_short, "expected"),
        (spoil_width, "expected"),
        (spoil_endian, "big-endian"),
    ],
)
def test_a_spoilt_cloud_is_read(spoil, sentence):
    _, message = cloud()
    spoil(message)
    with pytest.raises(InvalidMessageError, match=sentence):
        clouds.decode(message, TRACKS)


def test_one_kind_of_cloud_is_read_as_another():
    _, message = cloud(SITES)
    with pytest.raises(InvalidMessageError, match="has fields id, x, y, z, served; expected"):
        clouds.decode(message, TRACKS)

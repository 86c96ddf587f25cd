"""Whatever arrives on a topic or a socket: refused, or numbers that can be used. Never a crash."""

import math
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eir_ros.contract.coverage import CoverageTask
from eir_ros.link.envelope import Entry, Opener, RefusedError, Sealer

FEW = settings(max_examples=60, deadline=None, derandomize=True)
ANY_FLOAT = st.floats() | st.sampled_from([1e300, -1e308, 1.7e308, 5e-324])


@FEW
@given(st.binary(max_size=300), st.booleans(), st.data())
def test_an_envelope_of_bytes_is_a_crash(content: bytes, cut: bool, data: st.DataObject) -> None:
    key = Ed25519PrivateKey.generate()
    opener = Opener("r0", {"operator": key.public_key()})
    if cut:
        whole = Sealer("operator", key).seal("r0", "sure", [Entry("/swarm/estop", content)])
        at = data.draw(st.integers(0, len(whole) - 1))
        content = whole[:at] + data.draw(st.binary(max_size=9)) + whole[at + 9 :]
        if content == whole:
            return
    with pytest.raises(RefusedError):
        opener.open(content, "sure")


@pytest.mark.ros
@FEW
@example([0.0] * 6 + [1.7e308, 1.7e308, 0.0], True, -0.8)
@given(st.lists(ANY_FLOAT, min_size=9, max_size=9), st.booleans(), st.floats(-math.pi, math.pi))
def test_an_odometry_is_a_crash_or_no_number(
    numbers: list[float], upright: bool, yaw: float
) -> None:
    from nav_msgs.msg import Odometry

    from eir_ros.nodes.clouds import InvalidMessageError
    from eir_ros.nodes.messages import decode_odometry

    message = Odometry()
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x, pose.position.y = numbers[:2]
    q = pose.orientation
    q.z, q.w = math.sin(yaw / 2), math.cos(yaw / 2)
    if not upright:
        q.x, q.y, q.z, q.w = numbers[2:6]
    twist.linear.x, twist.linear.y, twist.angular.z = numbers[6:]
    try:
        motion = decode_odometry(message)
    except InvalidMessageError:
        return
    assert np.isfinite([*motion.pose, *motion.velocity, motion.yaw_rate]).all()


@pytest.mark.ros
@FEW
@given(st.lists(ANY_FLOAT, min_size=6, max_size=6), st.booleans())
def test_a_command_is_a_crash_or_no_number(numbers: list[float], plain: bool) -> None:
    from geometry_msgs.msg import TwistStamped

    from eir_ros.nodes.clouds import InvalidMessageError
    from eir_ros.nodes.messages import decode_twist

    message = TwistStamped()
    linear, angular = message.twist.linear, message.twist.angular
    linear.x, angular.z = numbers[:2]
    if not plain:
        linear.y, linear.z, angular.x, angular.y = numbers[2:]
    try:
        assert all(map(math.isfinite, decode_twist(message)))
    except InvalidMessageError:
        return


CLOUD = st.fixed_dictionaries(
    {
        "width": st.integers(0, 2**32 - 1) | st.integers(0, 4),
        "height": st.sampled_from([0, 1, 1, 1, 2**32 - 1]),
        "point_step": st.sampled_from([28, 28, 20, 0]),
        "row_step": st.integers(0, 200),
        "data": st.binary(max_size=120),
        "is_bigendian": st.booleans(),
    }
)


@pytest.mark.ros
@FEW
@given(CLOUD, st.booleans(), st.integers(0, 4))
def test_a_cloud_is_a_crash_or_a_stranger(found: dict[str, Any], sized: bool, count: int) -> None:
    """Bytes of the right size pass as points; their ids and numbers are looked at all the same."""
    from builtin_interfaces.msg import Time
    from sensor_msgs.msg import PointCloud2

    from eir_ros.nodes import clouds
    from eir_ros.nodes.inbox import Inbox

    task = CoverageTask()
    for dtype, name in ((clouds.TRACKS, "tracks"), (clouds.SITES, "sites")):
        message = PointCloud2()
        if sized:
            message = clouds.encode(np.zeros(count, dtype), Time(), "map")
            size = len(message.data)
            message.data = (found["data"] * (size // max(1, len(found["data"])) + 1))[:size]
        else:
            for key, value in found.items():
                setattr(message, key, value)
        inbox = Inbox(task, 0)
        try:
            points = clouds.decode(message, dtype)
            assert np.isfinite(points["x"]).all()
            getattr(inbox, name)(1, points)
        except clouds.InvalidMessageError:
            continue
        assert inbox.take() is None


STATUS = st.dictionaries(
    st.sampled_from(["kind", "start_s", "end_s", "source", "what"]),
    st.text(max_size=6) | st.sampled_from(["stop", "nan", "1e999", "-1", "0.5", "none"]),
)


@pytest.mark.ros
@FEW
@given(st.lists(STATUS, max_size=3))
def test_ground_truth_is_a_crash(values: list[dict[str, str]]) -> None:
    from eir_ros.nodes import messages
    from eir_ros.nodes.clouds import InvalidMessageError

    told = [messages.status("r0", found) for found in values]
    try:
        found = messages.decode_faults(messages.diagnostics(messages.time_of(0), *told))
    except InvalidMessageError:
        return
    for span in found.get("r0", ()):
        assert math.isfinite(span.start_s)


@FEW
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=12, max_size=12))
def test_senses_of_any_size_make_an_agent_fail(numbers: list[float]) -> None:
    """Finite numbers that no robot senses: it stands, or its command is finite."""
    from eir_ros.contract.coverage import Sensed
    from eir_ros.contract.paths import share
    from eir_ros.policy.agent_core import load_agent

    if not hasattr(test_senses_of_any_size_make_an_agent_fail, "core"):
        _, core = load_agent(share() / "policies" / "coverage", None, 0, 4)
        test_senses_of_any_size_make_an_agent_fail.core = core
    core = test_senses_of_any_size_make_an_agent_fail.core
    core.reset()
    tracks = np.zeros((3, 4))
    tracks[0] = numbers[:4]
    with np.errstate(over="ignore", invalid="ignore"):
        sensed = Sensed(
            pose=np.array(numbers[4:7]),
            velocity=np.array(numbers[7:9]),
            tracks=tracks,
            visible=np.ones(3, bool),
            sites=np.array([numbers[9:11], [0, 0], [1, 1]]),
            served=np.zeros(3, bool),
            index=np.asarray(0),
        )
        answer = core.tick(0, sensed)
    assert np.isfinite(answer.command).all()


@pytest.mark.ros
@FEW
@given(st.data())
def test_parameters_of_any_kind_leave_a_gate_half_configured(data: st.DataObject) -> None:
    """Its rules are made of all numbers or of none."""
    from eir_ros.contract.config import validate
    from eir_ros.contract.errors import EirError
    from eir_ros.nodes.gate import Parameters
    from eir_ros.safety.gate import GateLimits

    names = st.sampled_from(sorted({*Parameters.model_fields, "no_such"}))
    values = ANY_FLOAT | st.text(max_size=4) | st.lists(ANY_FLOAT, max_size=5) | st.booleans()
    changes = data.draw(st.dictionaries(names, values, max_size=3))
    try:
        limits = validate({"robot": "r0", **changes}, Parameters, where="gate").limits()
    except EirError:
        return
    assert isinstance(limits, GateLimits)

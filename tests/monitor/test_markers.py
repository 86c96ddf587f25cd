"""What RViz is given: every robot and site, under ids that stay."""

from itertools import pairwise

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time  # noqa: E402

from eir_ros.contract.report import FaultSpan  # noqa: E402
from eir_ros.monitor.counters import Counters  # noqa: E402
from eir_ros.monitor.detections import Judge  # noqa: E402
from eir_ros.monitor.markers import belief_colour, markers  # noqa: E402
from eir_ros.monitor.state import State  # noqa: E402

TEAM = ("r0", "r1", "r2")


@pytest.fixture
def state():
    found = State(TEAM, Judge(TEAM, threshold=0.5), Counters(TEAM))
    found.robots["r0"].pose = (1.0, -1.0, 0.5)
    found.robots["r2"].pose = (0.0, 0.0, 0.0)
    found.sites, found.served_by = {0: (1.0, 1.0), 1: (-1.0, 0.0)}, {1: "r0"}
    return found


def drawn(state, namespace):
    found = markers(state, 0.3, Time()).markers
    return {marker.id: marker for marker in found if marker.ns == namespace}


def test_a_robot_that_was_never_heard_is_drawn_at_the_origin(state):
    assert set(drawn(state, "robots")) == {0, 2}
    assert drawn(state, "robots")[0].pose.position.x == 1.0


def test_the_ring_does_not_grow_with_suspicion(state):
    assert drawn(state, "beliefs") == {}
    lengths = []
    for p in (0.2, 0.9):
        state.believe(1.0, "r0", {"r2": (p, "tracked")})
        points = drawn(state, "beliefs")[2].points
        lengths.append(sum(abs(a.x - b.x) + abs(a.y - b.y) for a, b in pairwise(points)))
    assert lengths[1] > 4 * lengths[0]


def test_a_fault_is_not_named(state):
    state.judge.set_faults("r2", [FaultSpan(robot="r2", kind="mute", start_s=0.0)])
    assert drawn(state, "names")[2].text == "r2: mute"
    assert drawn(state, "names")[0].text == "r0"


def test_sites_do_not_tell_who_serves_them(state):
    labels = {number: marker.text for number, marker in drawn(state, "site_names").items()}
    assert labels == {0: "A", 1: "B: r0"}


def test_all_markers_can_be_told_apart_and_are_in_the_map(state):
    state.believe(1.0, "r0", {"r2": (0.5, "tracked")})
    found = markers(state, 0.3, Time()).markers
    assert len({(marker.ns, marker.id) for marker in found}) == len(found)
    assert {marker.header.frame_id for marker in found} == {"map"}


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_colours_are_valid(p):
    assert all(0.0 <= channel <= 1.0 for channel in belief_colour(p))

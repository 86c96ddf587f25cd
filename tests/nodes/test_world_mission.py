"""The simulated mission: robots that drive without being told, faults that count as work."""

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")
pytest.importorskip("pybullet")

from eir_ros.contract.coverage import CoverageTask  # noqa: E402
from eir_ros.contract.faults import FaultKind  # noqa: E402
from eir_ros.faults.timeline import Span  # noqa: E402
from eir_ros.nodes.inbox import Inbox  # noqa: E402
from eir_ros.nodes.messages import Motion  # noqa: E402
from eir_ros.nodes.mission import Mission, site_points, track_points  # noqa: E402
from sim.swarm.coverage import CoverageSim  # noqa: E402

TEAM = ("a", "b", "c", "d")
AHEAD = np.array([0.3, 0.0])


@pytest.fixture
def mission():
    sim = CoverageSim(CoverageTask(), batch=1)
    sim.reset(3)
    yield Mission(sim, TEAM)
    sim.close()


def test_a_base_drives_on_an_old_command(mission):
    before = mission.sim.poses.copy()
    mission.commanded("b", 0, AHEAD, now_s=10.0)
    mission.advance(now_s=10.4)
    assert np.hypot(*mission.sim.velocities[0, 1]) > 0.1
    for _ in range(3):
        mission.advance(now_s=10.6)
    assert not mission.sim.velocities[0, 1].any()
    np.testing.assert_allclose(mission.sim.poses[0, [0, 2, 3]], before[0, [0, 2, 3]], atol=1e-9)


def test_lockstep_goes_on_without_an_answer(mission):
    assert mission.silent() == list(TEAM)
    for robot in ("a", "b", "d"):
        mission.commanded(robot, 0, AHEAD, 0.0)
    mission.commanded("c", 7, AHEAD, 0.0)
    assert mission.silent() == ["c"]
    mission.commanded("c", 0, AHEAD, 0.0)
    assert mission.silent() == []
    mission.advance(0.0)
    assert mission.silent() == list(TEAM)


def test_a_broken_robot_works_or_a_mended_one_does_not(mission):
    mission.announced("c", [Span(FaultKind.MUTE, 0.2, 0.4, "schedule")])
    working = []
    for _ in range(6):
        working.append(mission.working().tolist())
        mission.advance(0.0)
    healthy, broken = [True] * 4, [True, True, False, True]
    assert working == [healthy, healthy, broken, broken, healthy, healthy]


def test_a_fault_that_was_withdrawn_still_counts(mission):
    mission.announced("c", [Span(FaultKind.MUTE, 0.0, None, "schedule")])
    assert not mission.working()[2]
    mission.announced("c", [])
    assert mission.working().all()
    assert mission.knows("c")
    assert not mission.knows("a")


def test_a_mute_robot_serves(mission):
    mission.sim.poses[0, 2, :2] = mission.sim.sites[0, 0]
    mission.advance(0.0)
    assert mission.values()["served_by"].split(",")[0] == "c"
    mission.announced("c", [Span(FaultKind.MUTE, 0.0, None, "operator")])
    mission.advance(0.0)
    assert mission.values()["served_by"].split(",")[0] == "-"


def test_the_score_is_no_mean_over_decisions(mission):
    assert "mean_reward" not in mission.values()
    rewards, served = [], []
    for tick in range(8):
        mission.advance(0.0)
        if tick % 2:
            rewards.append(mission.sim.reward()[0])
            served.append((mission.sim.served_by[0] >= 0).mean())
    values = mission.values()
    assert float(values["mean_reward"]) == pytest.approx(np.mean(rewards))
    assert float(values["served_fraction"]) == pytest.approx(np.mean(served))
    assert values["ticks"] == "8"
    assert float(values["time_s"]) == pytest.approx(0.8)


def test_what_a_robot_receives_is_not_what_it_senses(mission):
    for _ in range(4):
        mission.advance(0.0)
    for index, sensed in enumerate(mission.sensed()):
        inbox = Inbox(mission.sim.task, index)
        inbox.odometry(4, Motion(sensed.pose, sensed.velocity, 0.0))
        inbox.tracks(4, track_points(sensed))
        inbox.sites(4, site_points(sensed))
        _, received = inbox.take()
        np.testing.assert_array_equal(received.tracks, sensed.tracks)
        np.testing.assert_array_equal(received.visible, sensed.visible)
        np.testing.assert_array_equal(received.sites, sensed.sites.astype(np.float32))
        np.testing.assert_array_equal(received.served, sensed.served)
        assert received.index == index


def test_a_teammate_out_of_sight_is_sent(mission):
    sensed = mission.sensed()[1]
    sensed.visible = np.array([True, False, True])
    assert track_points(sensed)["id"].tolist() == [0, 3]

"""The inbox: ticks that are answered too early, twice, never, or with the wrong numbers."""

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from eir_ros.contract.coverage import CoverageTask  # noqa: E402
from eir_ros.nodes.clouds import SITES, TRACKS, InvalidMessageError  # noqa: E402
from eir_ros.nodes.inbox import Inbox  # noqa: E402
from eir_ros.nodes.messages import Motion  # noqa: E402

MOTION = Motion(np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.5]), 0.0)


def tracks(*ids):
    points = np.zeros(len(ids), TRACKS)
    points["id"], points["x"], points["vy"] = ids, 1.0 + np.array(ids), 0.5
    return points


def sites(*ids):
    points = np.zeros(len(ids), SITES)
    points["id"], points["x"], points["served"] = ids, np.array(ids) * 0.1, np.array(ids) % 2
    return points


@pytest.fixture
def inbox():
    return Inbox(CoverageTask(), index=1)


def give(inbox, tick, *, with_sites=True):
    inbox.odometry(tick, MOTION)
    inbox.tracks(tick, tracks(0, 2, 3))
    if with_sites:
        inbox.sites(tick, sites(0, 1, 2))


def test_a_tick_is_answered_before_it_is_complete(inbox):
    inbox.tracks(4, tracks(0, 2, 3))
    assert inbox.take() is None
    inbox.odometry(4, MOTION)
    assert inbox.take() is None
    inbox.sites(4, sites(0, 1, 2))
    assert inbox.take()[0] == 4


def test_a_tick_is_answered_twice(inbox):
    give(inbox, 4)
    assert inbox.take() is not None
    give(inbox, 4)
    assert inbox.take() is None
    give(inbox, 3)
    assert inbox.take() is None


def test_between_decisions_it_waits_for_sites(inbox):
    give(inbox, 5, with_sites=False)
    assert inbox.take()[0] == 5


def test_a_decision_is_made_on_old_sites(inbox):
    inbox.sites(2, sites(0, 1, 2))
    give(inbox, 4, with_sites=False)
    assert inbox.take() is None
    assert inbox.missing() == "stale input: odom, tracks, sites"
    give(inbox, 6, with_sites=False)
    assert inbox.missing() == "stale input: sites"


def test_a_clock_that_is_ahead_looks_like_senses_that_stopped(inbox):
    give(inbox, 4, with_sites=False)
    inbox.sites(54, sites(0, 1, 2))
    assert inbox.take() is None
    said = "stale input: odom, tracks, or sites are 5.0 s ahead of time"
    assert inbox.missing() == said
    # what was never heard is missing, whatever the clocks say
    new = Inbox(CoverageTask(), index=1)
    new.sites(54, sites(0, 1, 2))
    assert new.missing() == "stale input: odom, tracks"


def test_ticks_that_nobody_answers_are_not_counted(inbox):
    give(inbox, 4)
    before, (tick, _) = inbox.answered, inbox.take()
    assert inbox.between(before, tick) == 0
    for number, missed in ((5, 0), (6, 0), (9, 2)):
        give(inbox, number)
        before, (tick, _) = inbox.answered, inbox.take()
        assert inbox.between(before, tick) == missed


def test_sites_of_a_clock_that_is_ahead_never_grow_old(inbox):
    inbox.sites(300, sites(0, 1, 2))
    give(inbox, 4, with_sites=False)
    assert inbox.take() is None
    # but tracks may be late, so that sites of the next decisions are here before them
    inbox.sites(8, sites(0, 1, 2))
    give(inbox, 6, with_sites=False)
    assert inbox.take()[0] == 6


def test_tracks_that_take_long_to_make_never_find_their_odometry(inbox):
    for tick in range(5):
        inbox.odometry(tick, MOTION)
    inbox.tracks(1, tracks(0, 2, 3))
    assert inbox.take()[0] == 1


def test_stamps_that_jitter_fall_between_ticks(inbox):
    assert [inbox.tick_of(round(s * 1e9)) for s in (0.0, 0.149, 0.151, 12.3)] == [0, 1, 2, 123]
    assert all(inbox.tick_of(inbox.stamp_of(tick)) == tick for tick in range(100_000, 100_100))


def test_teammates_and_sites_change_places(inbox):
    inbox.odometry(4, MOTION)
    inbox.tracks(4, tracks(3, 0))
    inbox.sites(4, sites(2, 0, 1))
    _, sensed = inbox.take()
    assert sensed.visible.tolist() == [True, False, True]
    np.testing.assert_array_equal(sensed.tracks[:, 0], [1.0, 0.0, 4.0])
    np.testing.assert_array_equal(sensed.sites[:, 0], np.float32([0.0, 0.1, 0.2]))
    assert sensed.served.tolist() == [False, True, False]


def test_a_teammate_that_is_lost_stays_where_it_was(inbox):
    give(inbox, 4)
    assert inbox.take()[1].visible.all()
    inbox.odometry(5, MOTION)
    inbox.tracks(5, tracks(2))
    assert inbox.take()[1].visible.tolist() == [False, True, False]


@pytest.mark.parametrize("ids", [(0, 1), (0, 4), (2, 99)])
def test_a_stranger_or_oneself_is_tracked(inbox, ids):
    with pytest.raises(InvalidMessageError, match="not all teammates"):
        inbox.tracks(4, tracks(*ids))


@pytest.mark.parametrize("ids", [(0, 1), (0, 1, 2, 3), (0, 1, 3), ()])
def test_another_number_of_sites_is_taken(inbox, ids):
    with pytest.raises(InvalidMessageError, match="expected 0 to 2"):
        inbox.sites(4, sites(*ids))


def test_odometry_is_taken_for_the_map():
    inbox = Inbox(CoverageTask(), index=1, odom_in_map=(1.0, 2.0, np.pi / 2))
    give(inbox, 4)
    _, sensed = inbox.take()
    np.testing.assert_allclose(sensed.pose, [0.8, 2.1, 0.3 + np.pi / 2])
    np.testing.assert_allclose(sensed.velocity, [-0.5, 0.4], atol=1e-12)
    np.testing.assert_allclose(sensed.tracks[0], [1.0, 3.0, -0.5, 0.0], atol=1e-12)


def test_a_restarted_world_is_not_noticed(inbox):
    give(inbox, 400)
    inbox.take()
    assert inbox.went_back(0)
    assert not inbox.went_back(399)
    inbox.forget()
    give(inbox, 0)
    assert inbox.take()[0] == 0

"""What quarantine means for what robots do, in each task of the swarm.

Nobody heads for a place of a teammate in quarantine; everything else an action says, and all that a
policy observes, stays what it has been trained on.
"""

import numpy as np
import pytest

from eir_ros.contract import coverage, pursuit, rendezvous, transport
from eir_ros.contract.drive import FIRST_HOMING, without

LURE = np.array([1.8, 1.8])
OUT = np.array([True, False, False])
SHARED = {
    "pose": np.array([0.1, -0.2, 0.3]),
    "velocity": np.zeros(2),
    # the first teammate lures to a corner
    "tracks": np.array([[*LURE, 0.0, 0.0], [0.6, 0.0, 0.0, 0.0], [0.0, 0.7, 0.0, 0.0]], np.float32),
    "visible": np.array([True, True, True]),
    "index": np.array(0),
}
TASKS = {
    "coverage": (
        coverage.CoverageTask(),
        coverage.Sensed(**SHARED, sites=np.array([[1, 1], [-1, 0], [0, -1.0]]), served=OUT),
        coverage,
    ),
    "pursuit": (
        pursuit.PursuitTask(),
        pursuit.Sensed(
            **SHARED, evader=np.array([1.0, 0.2, 0.1, 0.0]), evader_visible=np.array(True)
        ),
        pursuit,
    ),
    "rendezvous": (
        rendezvous.RendezvousTask(),
        rendezvous.Sensed(**SHARED, linked=np.array(False)),
        rendezvous,
    ),
    "transport": (
        transport.TransportTask(),
        transport.Sensed(
            **SHARED,
            box=np.array([0.5, 0.5, 0.2]),
            box_velocity=np.zeros(2),
            goal=np.array([-1.0, -1.0]),
        ),
        transport,
    ),
}


def goals(task, sensed, decode):
    """Where each go-to action heads, (H, 2)."""
    actions = range(FIRST_HOMING, len(task.actions))
    return np.array([decode(task, np.array(a), sensed).goal for a in actions])


@pytest.mark.parametrize("name", TASKS)
def test_the_policy_observes_otherwise_because_of_a_quarantine(name):
    """`without` is for `decode` alone; the senses that are observed are not touched by it."""
    task, sensed, contract = TASKS[name]
    before = contract.observe(task, sensed)
    without(sensed, OUT)
    np.testing.assert_array_equal(contract.observe(task, sensed), before)


@pytest.mark.parametrize("name", ["coverage", "pursuit", "transport"])
def test_a_quarantine_moves_places_that_are_not_a_teammates(name):
    task, sensed, contract = TASKS[name]
    np.testing.assert_array_equal(
        goals(task, without(sensed, OUT), contract.decode), goals(task, sensed, contract.decode)
    )


def test_a_rendezvous_is_lured_away_by_who_is_in_quarantine():
    task, sensed, contract = TASKS["rendezvous"]
    lured, wary = (goals(task, s, contract.decode) for s in (sensed, without(sensed, OUT)))
    assert (np.abs(lured - LURE).max(-1) < 1e-6).any()
    assert not (np.abs(wary - LURE).max(-1) < 1e-6).any()
    # the middle is that of those who are trusted
    trusted = np.array([[0.1, -0.2], [0.6, 0.0], [0.0, 0.7]])
    assert wary[-1] == pytest.approx(trusted.mean(0), abs=1e-6)
    # two are left to go to, and the third action stays
    assert wary[:3] == pytest.approx(np.array([[0.6, 0.0], [0.0, 0.7], [0.1, -0.2]]), abs=1e-6)

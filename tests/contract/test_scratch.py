"""Lent arrays: the same answers as with new ones, and none that is made in a step."""

import tracemalloc
from types import ModuleType

import numpy as np
import pytest

from eir_ros.contract import coverage, drive, pursuit, rendezvous, transport
from eir_ros.contract.drive import SwarmSensed, SwarmTask
from eir_ros.contract.scratch import Scratch, ascending, taken
from eir_ros.contract.streams import generators, sequence_of

TASKS = {
    coverage: coverage.CoverageTask(num_robots=5, num_sites=4),
    rendezvous: rendezvous.RendezvousTask(num_robots=5),
    pursuit: pursuit.PursuitTask(num_robots=5),
    transport: transport.TransportTask(num_robots=5),
}


def sensed(rng: np.random.Generator, module: ModuleType, *lead: int) -> SwarmSensed:
    """A random scene of five robots."""
    everything = {
        "pose": rng.uniform(-2, 2, (*lead, 3)),
        "velocity": rng.normal(size=(*lead, 2)),
        "tracks": rng.uniform(-2, 2, (*lead, 4, 4)).astype(np.float32),
        "visible": rng.random((*lead, 4)) < 0.7,
        "index": rng.integers(0, 5, lead),
        "sites": rng.uniform(-2, 2, (*lead, 4, 2)),
        "served": rng.random((*lead, 4)) < 0.5,
        "linked": rng.random(lead) < 0.5,
        "evader": rng.uniform(-2, 2, (*lead, 4)),
        "evader_visible": rng.random(lead) < 0.5,
        "box": rng.uniform(-2, 2, (*lead, 3)),
        "box_velocity": rng.normal(size=(*lead, 2)),
        "goal": rng.uniform(-2, 2, (*lead, 2)),
    }
    fields = module.Sensed.__dataclass_fields__
    return module.Sensed(**{name: everything[name] for name in fields})


def answers(module: ModuleType, scene: SwarmSensed, action: np.ndarray, lend: Scratch | None):
    task: SwarmTask = TASKS[module]
    out = None if lend is None else lend("out", (*action.shape, task.layout.size), np.float32)
    vector = module.observe(task, scene, out, lend)
    decision = module.decode(task, action, scene, lend)
    return vector, *decision, drive.command(task, decision, scene.pose, lend)


@pytest.mark.parametrize("module", TASKS, ids=lambda module: module.__name__.split(".")[-1])
def test_lent_arrays_change_an_answer(module):
    rng, lend = np.random.default_rng(0), Scratch()
    for lead in ((7, 5), (7, 5), (), (3,), (7, 5)):
        scene = sensed(rng, module, *lead)
        action = rng.integers(0, len(TASKS[module].actions), lead)
        lent, new = answers(module, scene, action, lend), answers(module, scene, action, None)
        for one, other in zip(lent, new, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("module", TASKS, ids=lambda module: module.__name__.split(".")[-1])
def test_an_answer_takes_memory_for_each_robot(module):
    def peak(batch: int) -> int:
        rng, lend = np.random.default_rng(0), Scratch()
        scene = sensed(rng, module, batch, 5)
        action = rng.integers(0, len(TASKS[module].actions), (batch, 5))
        for _ in range(2):
            answers(module, scene, action, lend)
        tracemalloc.start()
        answers(module, scene, action, lend)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert abs(peak(300) - peak(10)) < 290


@pytest.mark.parametrize("action", [-1, 13, 99])
def test_an_action_that_does_not_exist_is_taken_for_another(action):
    scene = sensed(np.random.default_rng(0), coverage)
    with pytest.raises(IndexError, match="expected 0 to 12"):
        coverage.decode(TASKS[coverage], np.array(action), scene)


def test_a_site_that_is_nowhere_hides_another():
    """What is not a number must reach the observation, which is then found unusable."""
    scene = sensed(np.random.default_rng(0), coverage)
    for site in range(4):
        scene.sites[:] = np.arange(8).reshape(4, 2)
        scene.sites[site] = np.nan
        order = coverage.nearest_sites(scene)
        assert sorted(order.tolist()) == [0, 1, 2, 3]
        assert order[-1] == site
        assert np.isnan(coverage.observe(TASKS[coverage], scene)).sum() == 2


def test_order_differs_from_a_stable_sort():
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 4, (50, 15)).astype(np.float32)
    keys[rng.random(keys.shape) < 0.1] = np.inf
    found = ascending(keys, "order", Scratch())
    assert np.array_equal(found, np.argsort(keys, axis=-1, kind="stable"))
    values = rng.normal(size=(50, 15, 3))
    sorted_ = taken(values, found, "values", Scratch())
    assert np.array_equal(sorted_, np.take_along_axis(values, found[..., None], axis=1))


def test_streams_depend_on_how_many_there_are_or_on_earlier_use():
    sequence = np.random.SeedSequence(3, spawn_key=(1,))
    first = [rng.random() for rng in generators(sequence, 5)]
    assert [rng.random() for rng in generators(sequence, 2)] == first[:2]
    assert len(set(first)) == 5
    assert sequence_of(None).entropy != sequence_of(None).entropy

"""The catalogue: light to import, exact about names and options, and the same face everywhere."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import sim
from eir_ros.contract.errors import EirError
from sim import catalogue


def installed(entry: catalogue.Entry) -> bool:
    try:
        return importlib.util.find_spec(entry.target.partition(":")[0]) is not None
    except ModuleNotFoundError:
        return False


#: One name of each world whose code is there; one that is not yet is not tested.
HERE = [entry.names[0] for entry in catalogue._ENTRIES if installed(entry)]


def test_importing_sim_and_listing_names_imports_nothing_heavy():
    code = (
        "import sys, sim; sim.names(); sim.summary_of('toy');"
        "heavy = {'numba', 'numpy', 'pybullet', 'mpe2', 'gymnasium', 'pettingzoo', 'PIL'};"
        "sys.exit(str(heavy & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("name", HERE)
def test_every_world_steps_with_the_shapes_it_declares(name):
    if name.startswith("mpe-"):
        pytest.importorskip("mpe2")
    env = sim.make(name, batch=2, seed=1)
    rng = np.random.default_rng(0)
    observation = env.reset(1)
    assert observation.shape[:2] == (2, env.num_agents)
    for _ in range(3):
        legal = env.available_actions
        actions = [[rng.choice(np.flatnonzero(mask)) for mask in row] for row in legal]
        step = env.step(np.array(actions))
        assert step.observation.shape == observation.shape
        assert step.reward.shape == step.terminated.shape == step.truncated.shape == (2,)
        assert np.isfinite(step.observation).all()
    scene = env.scene(1)
    x0, y0, x1, y1 = scene.bounds
    assert x0 < x1
    assert y0 < y1
    assert scene.items
    env.close()


@pytest.mark.parametrize("name", [name for name in HERE if name != "swarm-coverage"])
def test_pettingzoo_accepts_every_world_and_finds_its_seed_respected(name):
    if name.startswith("mpe-"):
        pytest.importorskip("mpe2")
    parallel_api_test(sim.parallel_env(name, illegal="replace"), num_cycles=20)
    parallel_seed_test(lambda: sim.parallel_env(name, illegal="replace"), num_cycles=20)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("swarm-coverge", "swarm-coverage"),
        ("Toy", "toy"),
        ("mpe-simple_spred", "mpe-simple_spread"),
        ("", "toy"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name, nearest):
    for call in (sim.make, sim.parallel_env, sim.options_of):
        with pytest.raises(EirError, match=f"did you mean '{nearest}'"):
            call(name)


def test_an_unknown_option_is_refused_with_the_nearest_one_and_all_that_are_valid():
    for call in (sim.make, sim.parallel_env):
        with pytest.raises(EirError, match=r"did you mean 'faults'\? It takes task, world, faults"):
            call("swarm-coverage", fault=1)
    with pytest.raises(EirError, match="did you mean 'num_agents'"):
        sim.make("mpe-simple_spread", agents=3)


@pytest.mark.parametrize("batch", [0, -3])
def test_what_a_world_refuses_becomes_a_sentence_with_its_name(batch):
    with pytest.raises(EirError, match=f"swarm-coverage: batch is {batch}; expected at least 1"):
        sim.make("swarm-coverage", batch=batch)


@pytest.mark.parametrize("seed", ["x", -1, 1.5, [-1], float("nan"), {"a": 1}])
def test_what_is_no_seed_is_taken_or_spoils_the_world(seed):
    with pytest.raises(EirError, match=r"toy: seed is .*; expected an integer from 0 on"):
        sim.make("toy", seed=seed)
    env = sim.make("toy", batch=3)
    before = env.observation.copy()
    with pytest.raises(ValueError, match=r"seed is .*; expected an integer from 0 on"):
        env.reset(seed)
    assert np.array_equal(env.observation, before)
    env.step(np.zeros((3, 2), int))


@pytest.mark.parametrize("name", ["toy", "swarm-coverage", "mpe-simple_spread"])
def test_a_world_without_a_seed_is_always_the_same_one(name):
    if name.startswith("mpe-"):
        pytest.importorskip("mpe2")
    first, other = sim.make(name, batch=64, seed=None), sim.make(name, batch=64, seed=None)
    assert not np.array_equal(first.state, other.state)
    sequence = np.random.SeedSequence(1)
    assert np.array_equal(first.reset(sequence), other.reset(sequence))
    first.close()
    other.close()


@pytest.mark.parametrize("name", HERE)
def test_nonsense_is_carried_out_or_spoils_the_world(name):
    """Shapes, types and numbers: all refused with what was expected, and nothing has moved."""
    if name.startswith("mpe-"):
        pytest.importorskip("mpe2")
    env, twin = sim.make(name, batch=2, seed=1), sim.make(name, batch=2, seed=1)
    good = env.available_actions.argmax(-1)
    nonsense = [
        *(np.full(good.shape, value) for value in (np.nan, np.inf, 0.0, -1, 999, 2**63)),
        *(good[:1], good[..., None], good.astype(bool), good.astype(object)),
        *(None, "up", [[1, 2], [3]]),
    ]
    for actions in nonsense:
        with pytest.raises(ValueError, match="expected"):
            env.step(actions)
    for _ in range(2):
        assert np.array_equal(env.step(good).observation, twin.step(good).observation)
        good = env.available_actions.argmax(-1)
    env.close()
    twin.close()


@pytest.mark.parametrize("name", [None, 3, ["toy"]])
def test_a_name_that_is_no_word_ends_in_a_traceback(name):
    with pytest.raises(EirError, match="expected a word"):
        sim.make(name)


@pytest.mark.parametrize("target", ["json:loads", "sim.batched:BatchedEnv", "numpy:zeros"])
def test_what_is_no_world_is_made(target):
    for call in (sim.make, sim.options_of, sim.summary_of):
        with pytest.raises(EirError, match=f"'{target}' is no world; expected a class"):
            call(target)


@pytest.mark.parametrize("limit", [1.5, "x", True])
def test_an_option_that_may_be_none_takes_anything(limit):
    with pytest.raises(EirError, match=r"'episode_limit' .* expected an integer"):
        sim.make("smac-4m_vs_3m", episode_limit=limit)


def test_a_batch_beyond_the_memory_ends_in_a_traceback():
    with pytest.raises(EirError, match=r"does not fit the memory .* expected a smaller one"):
        sim.make("toy", batch=10**15)


def test_options_come_from_the_class_with_their_defaults():
    assert sim.options_of("swarm-coverage")["episode_decisions"] == 90
    assert "seed" not in sim.options_of("swarm-coverage")
    assert sim.options_of("mpe-simple_tag")["prey"] == "flee"


class Named:
    """Stands for a world whose names carry options."""

    def __init__(self, batch=1, seed=0, size=0, depth=1):
        self.size, self.depth = size, depth

    @staticmethod
    def options_of(name: str) -> dict[str, int]:
        digits = name.partition("-")[2]
        if not digits.isdigit():
            raise ValueError(f"'{name}' has no size; expected for example grid-8")
        return {"size": int(digits)}


@pytest.fixture
def grids(monkeypatch):
    monkeypatch.setitem(sys.modules, "grid_worlds", sys.modules[__name__])
    entries = (
        catalogue.Entry("grid-*", "grid_worlds:Named", "names that the class reads", ("grid-8",)),
        catalogue.Entry(
            "deep-*", "grid_worlds:Named", "names that are one option", ("deep-2",), "depth"
        ),
    )
    monkeypatch.setattr(catalogue, "_ENTRIES", entries)


@pytest.mark.usefixtures("grids")
def test_a_name_may_stand_for_options_of_its_own():
    assert sim.names() == ["deep-2", "grid-8"]
    assert sim.make("grid-12").size == 12
    assert sim.make("deep-3", size=4).depth == "3"
    assert set(sim.options_of("grid-8")) == {"depth"}
    with pytest.raises(EirError, match="grid-x: 'grid-x' has no size; expected for example grid-8"):
        sim.make("grid-x")
    with pytest.raises(EirError, match="said by the name already"):
        sim.make("grid-8", size=9)


def test_a_world_outside_the_catalogue_is_found_by_its_import_path():
    pytest.importorskip("mpe2")
    env = sim.make("sim.mpe.env:SpreadEnv", num_agents=2)
    assert env.num_agents == 2
    assert sim.summary_of("sim.mpe.env:SpreadEnv").startswith("`simple_spread`")
    for name in ("no_such_module:World", "sim.mpe.env:NoSuchEnv", ":", "sim.mpe.env:"):
        with pytest.raises(EirError, match="is not found"):
            sim.make(name)


def test_a_package_that_a_world_needs_is_named_not_the_world(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpe2", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        sim.make("mpe-simple_spread")
    assert caught.value.name == "mpe2"

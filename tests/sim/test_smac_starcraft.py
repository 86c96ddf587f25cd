"""StarCraft as a backend: what is missing is named, and what is there is played right."""

import importlib.util
import sys
import types
from types import SimpleNamespace

import numpy as np
import pytest

from eir_ros.contract.errors import EirError
from sim.smac.env import SmacEnv


def package(tmp_path, monkeypatch, *folders):
    """An importable folder of packages."""
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        for path in (tmp_path / folder, *(tmp_path / folder).parents):
            if path == tmp_path:
                break
            (path / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)


def refusal() -> str:
    with pytest.raises(EirError) as error:
        SmacEnv(backend="starcraft")
    return str(error.value)


@pytest.fixture
def without_smac(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("smac", "pysc2")]:
        monkeypatch.delitem(sys.modules, name)
    if importlib.util.find_spec("smac"):
        pytest.skip("smac is installed")


@pytest.mark.usefixtures("without_smac")
class TestWhatIsMissingIsNamed:
    def test_package(self):
        assert "pip install git+https://github.com/oxwhirl/smac.git" in refusal()

    def test_tuner_is_not_mistaken_for_starcraft(self, tmp_path, monkeypatch):
        package(tmp_path, monkeypatch, "smac/facade")
        assert "hyper-parameter tuner" in refusal()

    def test_game_and_maps(self, tmp_path, monkeypatch):
        package(tmp_path, monkeypatch, "smac/env/starcraft2", "pysc2")
        monkeypatch.setenv("SC2PATH", str(tmp_path / "game"))
        assert "no StarCraft II in" in refusal()
        (tmp_path / "game" / "Versions").mkdir(parents=True)
        assert "no map 4m_vs_3m.SC2Map" in refusal()


class Client:
    """What the package's environment shows of a battle of stalkers and zealots, listed mixed."""

    def __init__(self, **options):
        self.options, self.played, self.steps = options, [], 0
        kinds = [73, 74, 73, 74, 73]
        self.agents = {i: self.unit(9.0 + i, 74 if i < 2 else 73) for i in range(5)}
        self.enemies = {e: self.unit(14.0 + e, kind) for e, kind in enumerate(kinds)}

    @staticmethod
    def unit(x, unit_type):
        return SimpleNamespace(
            pos=SimpleNamespace(x=x, y=16.0),
            health=80.0,
            shield=40.0,
            weapon_cooldown=0.0,
            unit_type=unit_type,
        )

    def reset(self):
        self.steps = 0

    def get_avail_actions(self):
        return [[0, 1, 1, 1, 1, 1, *(e == i for e in range(5))] for i in range(5)]

    def step(self, actions):
        self.played.append(actions)
        self.steps += 1
        if self.steps == 3:
            return 1.5, True, {"battle_won": False, "episode_limit": True}
        return 0.5, False, {"battle_won": False, "dead_allies": 0, "dead_enemies": 0}

    def close(self):
        self.steps = -1


def test_enemies_are_numbered_our_way_and_a_time_limit_truncates(monkeypatch):
    module = types.ModuleType("smac.env")
    module.StarCraft2Env = Client
    maps = types.ModuleType("smac.env.starcraft2.maps.smac_maps")
    maps.map_param_registry = {"2s3z": {}}
    monkeypatch.setitem(sys.modules, "smac.env", module)
    monkeypatch.setitem(sys.modules, maps.__name__, maps)
    monkeypatch.setattr("sim.smac.starcraft.require", lambda scenario: None)
    env = SmacEnv(2, 0, map="2s3z", backend="starcraft", layout="smac")
    # Stalkers first: StarCraft's enemies 1, 3, then 0, 2, 4.
    assert env.units["x"][0, 5:].tolist() == [15, 17, 14, 16, 18]
    assert env.available_actions[0, 1, 6:].tolist() == [True, False, False, False, False]
    actions = np.ones((2, 5), int)
    actions[:, 1] = 6
    for _ in range(3):
        step = env.step(actions)
    assert env._games._clients[0].played[0] == [1, 7, 1, 1, 1]
    assert step.truncated.all()
    assert not step.terminated.any()
    assert step.reward.tolist() == [1.5, 1.5]
    clients = env._games._clients
    assert clients[0].options["seed"] != clients[1].options["seed"]
    env.close()
    assert clients[0].steps == -1

"""StarCraft II itself behind the same face, for those who have it.

Needs Blizzard's game, its maps, and the `smac` package of its authors (github.com/oxwhirl/smac).
The package of that name on PyPI is another thing, a hyper-parameter tuner. Game by game, the units
that StarCraft reports are copied into our own tables and go through the features of the builtin
engine; legal actions, rewards and the ends of episodes are StarCraft's and the package's.
"""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from sim.smac.features import write_features
from sim.smac.maps import Scenario
from sim.smac.tables import Face, Games, Rules, Tables, compiled

_PACKAGE = "pip install git+https://github.com/oxwhirl/smac.git"
_MAPS = "https://github.com/oxwhirl/smac/tree/master/smac/env/starcraft2/maps/SMAC_Maps"
_MORE_MAPS = "https://github.com/DIG-Beihang/EIR-MAPPO/tree/main/SMAC_Maps"
#: Maps that only the second of these has.
_ONLY_THERE = ("4m_vs_3m",)


def require(scenario: Scenario) -> None:
    """Raise an EirError that names the first thing that is missing to play `scenario`."""
    package = importlib.util.find_spec("smac")
    if package is None:
        raise EirError(f"backend='starcraft' needs the package smac of its authors: {_PACKAGE}")
    roots = package.submodule_search_locations or []
    if not any((Path(root) / "env" / "starcraft2").is_dir() for root in roots):
        raise EirError(
            "the installed package 'smac' is the hyper-parameter tuner of that name, not the "
            f"StarCraft Multi-Agent Challenge; in another environment: {_PACKAGE}"
        )
    if importlib.util.find_spec("pysc2") is None:
        raise EirError("backend='starcraft' needs the package pysc2: pip install pysc2")
    game = Path(os.environ.get("SC2PATH", "~/StarCraftII")).expanduser()
    if not (game / "Versions").is_dir():
        raise EirError(
            f"no StarCraft II in {game}; install it (github.com/Blizzard/s2client-proto, Linux "
            "packages) and set SC2PATH to its folder"
        )
    if not any((game / "Maps").rglob(f"{scenario.name}.SC2Map")):
        source = _MORE_MAPS if scenario.name in _ONLY_THERE else _MAPS
        raise EirError(
            f"no map {scenario.name}.SC2Map below {game / 'Maps'}; copy it from {source} "
            f"into {game / 'Maps' / 'SMAC_Maps'}"
        )


class StarcraftGames:
    """B games of StarCraft II, one process each.

    Raises
    ------
    EirError
        Something is missing; the sentence says what and where to get it.
    """

    def __init__(
        self, scenario: Scenario, rules: Rules, tables: Tables, games: Games, face: Face
    ) -> None:
        require(scenario)
        self._scenario, self._rules, self._tables = scenario, rules, tables
        self._games, self._face = games, face
        self._clients: list[Any] = []
        #: For each game, our number of an enemy -> StarCraft's
        self._enemy = np.zeros((len(games), rules.enemies), np.int64)

    def reset(self, seeds: NDArray[np.uint64] | None) -> None:
        """Start all games; new seeds start StarCraft itself again, which takes its time."""
        if seeds is not None or not self._clients:
            self.close()
            self._clients = [self._client(int(seed)) for seed in seeds] if seeds is not None else []
        for b in range(len(self._games)):
            self._start(b)
            self._show(b, self._face.observation, self._face.state)

    def advance(self, actions: NDArray[np.int64], hold: bool) -> None:
        """One step of each game; see `sim.batched.BatchedEnv`."""
        face = self._face
        for b, client in enumerate(self._clients):
            reward, over, info = client.step(self._translated(b, actions[b]).tolist())
            for i, action in enumerate(actions[b]):
                self._games[b]["units"]["last_action"][i] = action
            # Without a word about the battle, the game broke off and was started again.
            cut = over and (not info or info.get("episode_limit", False))
            face.reward[b], face.terminated[b], face.truncated[b] = reward, over and not cut, cut
            face.battle_won[b] = info.get("battle_won", False)
            face.dead_allies[b] = info.get("dead_allies", 0)
            face.dead_enemies[b] = info.get("dead_enemies", 0)
            face.steps[b] += 1
            self._copy_units(b)
            if over:
                self._show(b, face.final_observation, face.final_state)
                face.final_available[b] = face.available[b]
                if not hold:
                    self._start(b)
            self._show(b, face.observation, face.state)

    def close(self) -> None:
        """Quit all games."""
        for client in self._clients:
            client.close()
        self._clients = []

    def _client(self, seed: int) -> Any:
        self._register()
        rules = self._rules
        client = importlib.import_module("smac.env").StarCraft2Env(
            map_name=self._scenario.name,
            seed=seed % 2**31,
            continuing_episode=True,  # which makes it tell a time limit from a defeat
            reward_only_positive=not rules.signed,
            reward_defeat=-200 if rules.signed else 0,
            reward_negative_scale=rules.negative_scale,
        )
        client.episode_limit = rules.limit
        return client

    def _register(self) -> None:
        """Make the map known to the package where it is not."""
        maps = importlib.import_module("smac.env.starcraft2.maps.smac_maps")
        name = self._scenario.name
        if name in maps.map_param_registry:
            return
        maps.map_param_registry[name] = {
            "n_agents": self._rules.allies,
            "n_enemies": self._rules.enemies,
            "limit": self._scenario.limit,
            "a_race": "T",
            "b_race": "T",
            "unit_type_bits": 0,
            "map_type": "marines",
        }
        setattr(maps, name, type(name, (maps.SMACMap,), {"filename": name}))

    def _start(self, b: int) -> None:
        client = self._clients[b]
        client.reset()
        # Our enemies are listed like our allies, stalkers first; StarCraft's codes run down.
        order = sorted(client.enemies, key=lambda e: (-client.enemies[e].unit_type, e))
        self._enemy[b] = order
        self._games[b]["units"]["last_action"] = -1
        self._face.steps[b] = 0
        self._copy_units(b)

    def _translated(self, b: int, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        first = self._face.available["rows"].shape[-1] - self._rules.enemies
        theirs = first + self._enemy[b][np.maximum(actions - first, 0)]
        return np.where(actions >= first, theirs, actions)

    def _copy_units(self, b: int) -> None:
        client, rows = self._clients[b], self._games[b]["units"]
        units = [client.agents[i] for i in range(self._rules.allies)]
        units += [client.enemies[e] for e in self._enemy[b]]
        for row, unit in zip(rows, units, strict=True):
            row["x"], row["y"] = unit.pos.x, unit.pos.y
            row["health"], row["shield"] = unit.health, unit.shield
            row["cooldown"] = unit.weapon_cooldown
            row["target"] = -1

    def _show(self, b: int, observation: NDArray[Any], state: NDArray[Any]) -> None:
        legal = np.array(self._clients[b].get_avail_actions(), np.uint8)
        first = legal.shape[1] - self._rules.enemies
        rows = self._face.available["rows"][b]
        rows[:, :first] = legal[:, :first]
        rows[:, first:] = legal[:, first + self._enemy[b]]
        _fill(self._games, self._tables, self._rules, self._face.available, observation, state, b)


@compiled
def _fill(
    games: Games,
    tables: Tables,
    rules: Rules,
    available: NDArray[Any],
    observation: NDArray[Any],
    state: NDArray[Any],
    b: int,
) -> None:
    write_features(games[b], tables, rules, available[b], observation[b], state[b])

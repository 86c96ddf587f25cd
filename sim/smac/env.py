"""SMAC's skirmishes as a batched environment."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.batched import BatchedEnv
from sim.randomness import streams
from sim.scene import Box, Disc, Line, Scene
from sim.smac import tables
from sim.smac.kernel import advance, start_all
from sim.smac.maps import BAND, MAP_SIZE, SCENARIOS
from sim.smac.starcraft import StarcraftGames

LAYOUTS = ("paper", "smac")
BACKENDS = ("builtin", "starcraft")


class SmacEnv(BatchedEnv):
    """A team of agents fights a team of scripted enemies; one step is 8 game loops (0.5 s).

    Actions: 0 nothing (the dead only), 1 stop, 2 to 5 north, south, east, west, 6 + e attack
    enemy e. Reward: damage done to enemies (an enemy's own recovery of shields in the same step
    counts against it, not below 0), 10 for each one killed and 200 for the last one, scaled so
    that a win sums to 20. The paper's release clips at 0 where SMAC takes the absolute value. An
    episode terminates when one team is dead, and is truncated at the step limit.

    `info` adds `battle_won` (B,) bool and `dead_allies`, `dead_enemies` (B,) integers of the last
    step. What is known of the game and what is assumed stands in `docs/smac.md`.

    Parameters
    ----------
    batch
        Number of games, B.
    seed
        Anything `numpy.random.SeedSequence` takes. Each game draws the order in which units act
        and its weapons' delays from its own stream.
    map
        A name of `sim.smac.maps.SCENARIOS`.
    layout
        Features: `paper` is that of the EIR-MAPPO release, `smac` that of SMAC.
    signed_reward
        For training attacks: own losses, and 200 for a defeat, are taken off the reward.
    negative_scale
        Weight of own losses in the signed reward.
    episode_limit
        Steps; None is the map's own.
    backend
        `builtin`, or `starcraft` for StarCraft II itself, played through its `smac` package.

    Raises
    ------
    ValueError
        A name is unknown or a number is out of range.
    EirError
        StarCraft is asked for and something of it is missing.
    """

    name: ClassVar[str] = "smac"
    can_hold = True

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        map: str = "4m_vs_3m",
        layout: str = "paper",
        signed_reward: bool = False,
        negative_scale: float = 0.5,
        episode_limit: int | None = None,
        backend: str = "builtin",
    ) -> None:
        _check("map", map, tuple(SCENARIOS))
        _check("layout", layout, LAYOUTS)
        _check("backend", backend, BACKENDS)
        self.scenario = SCENARIOS[map]
        limit = self.scenario.limit if episode_limit is None else episode_limit
        if limit < 1:
            raise ValueError(f"episode_limit is {limit} steps; expected at least 1")
        if not 0 <= negative_scale < float("inf"):
            raise ValueError(f"negative_scale is {negative_scale}; expected 0 or more")
        self.rules = tables.rules(self.scenario, limit, signed_reward, negative_scale, layout)
        super().__init__(
            batch,
            self.rules.allies,
            tables.observation_size(self.rules),
            tables.state_size(self.rules),
            tables.ATTACK + self.rules.enemies,
        )
        self.horizon = limit
        self._play = tables.games(batch, self.scenario)
        #: Everybody, (B, U) of `sim.smac.tables.UNIT`: the agents first, then the enemies.
        self.units = self._play["units"]
        self._tables = tables.tables(self.scenario)
        self.info["battle_won"] = np.zeros(batch, np.bool_)
        self.info["dead_allies"] = np.zeros(batch, np.int64)
        self.info["dead_enemies"] = np.zeros(batch, np.int64)
        self._face = tables.Face(
            observation=tables.by_game(self.observation),
            state=tables.by_game(self.state),
            available=tables.by_game(self.available_actions),
            final_observation=tables.by_game(self.info["final_observation"]),
            final_state=tables.by_game(self.info["final_state"]),
            final_available=tables.by_game(self.info["final_available_actions"]),
            reward=self.reward,
            terminated=self.terminated,
            truncated=self.truncated,
            battle_won=self.info["battle_won"],
            dead_allies=self.info["dead_allies"],
            dead_enemies=self.info["dead_enemies"],
            steps=np.zeros(batch, np.int64),
        )
        self._games: StarcraftGames | None = None
        if backend == "starcraft":
            self._games = StarcraftGames(
                self.scenario, self.rules, self._tables, self._play, self._face
            )
        self.reset(seed)

    @property
    def belief_slots(self) -> slice:
        """Where in an observation the places for beliefs are, one per agent; empty for `smac`."""
        size = self.observation.shape[-1]
        return slice(size - self.num_agents if self.rules.paper else size, size)

    @property
    def teammate_columns(self) -> NDArray[np.intp]:
        """The blocks of the allies."""
        first, width = tables.ally_columns(self.rules)
        mates = self.num_agents - 1
        return np.arange(first, first + mates * width).reshape(mates, width)

    def _reset(self, seed: Any) -> None:
        if seed is not None:
            self._play["stream"][:, 0] = streams(seed, self.batch)
        if self._games is not None:
            self._games.reset(None if seed is None else self._play["stream"][:, 0])
            return
        start_all(self._play, self._tables, self.rules, self._face)

    def _advance(self, actions: NDArray[Any]) -> None:
        if self._games is not None:
            self._games.advance(actions, self.hold)
            return
        advance(self._play, self._tables, self.rules, self._face, actions, self.hold)

    def scene(self, index: int = 0) -> Scene:
        """The map with both teams; rings show health, thin lines who attacks whom."""
        game, kinds = self.units[index], self._tables["kinds"]
        alive = [u for u in range(len(game)) if game["health"][u] > 0]
        targets = game["target"]
        at = [(float(unit["x"]), float(unit["y"])) for unit in game]
        walls = [
            Box((MAP_SIZE / 2, BAND[0] / 2), (MAP_SIZE, BAND[0])),
            Box((MAP_SIZE / 2, (BAND[1] + MAP_SIZE) / 2), (MAP_SIZE, MAP_SIZE - BAND[1])),
        ]
        lines = [Line((at[u], at[targets[u]])) for u in alive if targets[u] in alive]
        discs = [
            Disc(
                at[u],
                float(kinds["radius"][u]),
                role="agent" if u < self.num_agents else "opponent",
                label=str(u if u < self.num_agents else u - self.num_agents),
                ring=float(game["health"][u] / kinds["full_health"][u]),
                agent=u if u < self.num_agents else None,
            )
            for u in alive
        ]
        allies = sum(u < self.num_agents for u in alive)
        captions = (
            self.scenario.name,
            f"step {self._face.steps[index]} of {self.rules.limit}",
            f"alive: {allies} agents, {len(alive) - allies} opponents",
        )
        # The rest of the map is wall: one row of it is enough.
        bounds = (0.0, BAND[0] - 1.0, float(MAP_SIZE), BAND[1] + 1.0)
        return Scene(bounds, [*walls, *lines, *discs], captions)

    def close(self) -> None:
        """Quit StarCraft where it runs."""
        if self._games is not None:
            self._games.close()


def _check(option: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option} is {value!r}; expected one of {', '.join(known)}")

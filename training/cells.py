"""The cells of a matrix: what one team is worth under one attack, each a file of its own."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from training import checkpoint
from training.attack import load_attack, story_of
from training.attacks import make_attack
from training.attacks.play import Arena
from training.attacks.worst import REPORT, Candidate, still_falling, worst_case
from training.beliefs import judge_beliefs
from training.matrix import (
    BELIEF,
    TRAINING,
    TRANSFER,
    WORST,
    Cell,
    Matrix,
    Victim,
    cells_of,
    named,
    rivals,
)
from training.methods import METHODS
from training.provenance import commit, digest, machine
from training.records import METRICS, read_metrics, write_whole


class Judge:
    """Plays and writes the cells of one team that are missing or were made from something else.

    Parameters
    ----------
    runs, out
        Where teams and adversaries are, and where cells go: `out/WORLD/METHOD-SEED/ATTACK.json`.
    source
        File of the matrix, for the record; the shipped one of its name unless given.
    """

    def __init__(
        self, matrix: Matrix, victim: Victim, runs: Path, out: Path, source: Path | None = None
    ) -> None:
        self.matrix, self.victim, self._runs = matrix, victim, runs
        self._source = source or Path("config/matrices") / f"{matrix.name}.yaml"
        self.world = matrix.worlds[victim.world]
        self.folder = out / victim.name
        self._path = checkpoint.find(runs / victim.name)
        self._run = checkpoint.load(self._path)
        self._adversaries = self._find_adversaries()
        self._arena = Arena(self._run, min(256, self.world.episodes), greedy=not self.world.sampled)

    def judge(self, on_cell: Callable[[str, bool], None] = lambda name, made: None) -> None:
        """Every cell; `on_cell` hears of each, and whether it was made now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        failed = []
        for cell in cells_of(self.matrix, self.victim):
            try:
                on_cell(cell.name, self._once(cell))
            except EirError as error:  # an attack that this world does not know stops no other
                failed.append(f"{cell.name}: {str(error).rstrip('.')}")
        self._arena.close()
        if failed:
            raise EirError(f"{self.victim.name}: {'; '.join(failed)}.")

    def _find_adversaries(self) -> dict[str, tuple[Path, Any]]:
        """Every adversary of this world and seed: METHOD:training, :fresh, :warm and :rival.

        Of those that were trained against this team also what they were where its return was
        lowest, METHOD:fresh-lowest ...
        """
        found: dict[str, tuple[Path, Any]] = {}
        for rival in rivals(self.matrix, self.victim):
            folder = self._runs / rival.name
            path = checkpoint.find(folder)
            # a rival that is not there yet will be: then this cell is made again
            if METHODS[rival.method].attacked and path.exists():
                found[f"{rival.method}:training"] = (path, checkpoint.load(path).adversary)
            for path in sorted(folder.glob("attack-*.pt")):
                start = path.stem.removeprefix("attack-")
                found[f"{rival.method}:{start}"] = (path, load_attack(path))
                if rival == self.victim:
                    lowest = load_attack(path, lowest=True)
                    found[f"{rival.method}:{start}-lowest"] = (path, lowest)
        return found

    def _against(self, victim: Victim) -> list[Path]:
        """Files of the adversaries that were trained against that frozen team.

        Of those against another team, none that began as one of this team's own: a transfer is to
        be one that this team has not met.
        """
        found = {
            path
            for name, (path, _) in self._adversaries.items()
            if name.startswith(f"{victim.method}:") and not name.endswith(":training")
        }
        return sorted(
            path for path in found if victim == self.victim or _donor(path) != self.victim.name
        )

    def _strongest(self, victim: Victim) -> Any:
        """Of the adversaries trained against that team, the one whose curve ended lowest."""
        paths = self._against(victim)
        if not paths:
            raise EirError(
                f"no adversary was trained against {victim.name} yet, and {self.victim.name} is to "
                f"be attacked with it; `eir evaluate config/matrices/{self.matrix.name}.yaml` "
                "trains it before it judges."
            )
        lowest = min(paths, key=lambda path: np.mean(_curve(path)[-5:]))
        return next(adversary for path, adversary in self._adversaries.values() if path == lowest)

    def _sources(self, cell: Cell) -> list[Path]:
        """The files that a cell is made from."""
        found = [self._path]
        if cell.name == WORST:
            found += sorted({path for path, _ in self._adversaries.values()})
        if cell.adversary_of:
            found += self._against(cell.adversary_of)
        return found

    def _origin(self, cell: Cell) -> str:
        """Tells apart cells that may differ: by the files they are made from."""
        found = digest(*self._sources(cell))
        if cell.name == WORST:
            # each attack of the matrix may be the worst
            names = " ".join(name for name, _, _ in self.matrix.unseen())
            found += "-" + hashlib.sha256(names.encode()).hexdigest()[:8]
        return found

    def _made(self, cell: Cell) -> dict[str, Any]:
        if cell.name == TRAINING:
            return self._training()
        if cell.name == WORST:
            return self._worst()
        if cell.name == BELIEF:
            return judge_beliefs(self._run, self._arena, self.world.episodes)
        return self._attacked(cell)

    def _attacked(self, cell: Cell) -> dict[str, Any]:
        """The returns under one attack: of each agent, or of the team."""
        assert cell.kind is not None
        attack = make_attack(cell.kind, cell.settings)
        adversary = self._strongest(cell.adversary_of) if cell.adversary_of else None
        agents = list(range(self._arena.num_agents)) if attack.on_one else [None]
        found = {}
        for agent in agents:
            played = self._arena.play(attack, self.world.episodes, [REPORT], agent, adversary)
            found["all" if agent is None else str(agent)] = summary(played.returns)
        attacked_by = cell.name if cell.name.startswith(TRANSFER) else cell.kind
        return {"attack": attacked_by, "settings": cell.settings, "agents": found}

    def _worst(self) -> dict[str, Any]:
        strongest = self._strongest(self.victim)
        scripted = {name: make_attack(name) for name in ("random", "frozen")}
        scripted |= {name: make_attack(kind, own) for name, kind, own in self.matrix.unseen()}
        candidates = [
            Candidate(name, attack, strongest if attack.needs_adversary else None)
            for name, attack in scripted.items()
            if attack.on_one and self._arena.knows(attack)
        ]
        for name, (_, adversary) in self._adversaries.items():
            candidates.append(Candidate(name, make_attack("learned"), adversary))
        agents, tried = {}, {}
        for agent in range(self._arena.num_agents):
            worst = worst_case(self._arena, candidates, agent, self.world.episodes)
            agents[str(agent)] = {**summary(worst.returns), "by": worst.attack}
            tried[str(agent)] = {
                "screened": _rounded(worst.screened),
                "refined": _rounded(worst.refined),
            }
        curves = {path.stem: _curve(path) for path in self._against(self.victim)}
        scale = max(abs(value) for curve in curves.values() for value in curve)
        falling = {name: round(still_falling(curve, scale), 4) for name, curve in curves.items()}
        return {
            "attack": WORST,
            "agents": agents,
            "tried": tried,
            "curves": {name: [round(v, 3) for v in curve] for name, curve in curves.items()},
            "still_falling": falling,
        }

    def _training(self) -> dict[str, Any]:
        """What the team was worth on held-out seeds while it was trained."""
        recipe = self._run.recipe
        rows = read_metrics(self._path.with_name(METRICS))
        mode = f"evaluation/{recipe.evaluation.mode}/"
        judged = [row for row in rows if mode + "healthy" in row]
        found: dict[str, Any] = {
            "steps": [int(row["iteration"]) * recipe.batch * recipe.steps for row in judged]
        }
        for what in ("healthy", "attacked"):
            found[what] = [round(row[mode + what], 4) for row in judged if mode + what in row]
        healthy = found["healthy"]
        scale = max(map(abs, healthy), default=0.0)
        rising = -still_falling(healthy, scale) if healthy else None
        return {**found, "still_rising": rising if rising is None else round(rising, 4)}

    def _is_kept(self, path: Path, made_from: str) -> bool:
        """Whether a cell is there, of the same team and adversaries, and played the same way.

        And whether it still tells how that team differs from its recipe, which may be another now.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            made, told = found["made_from"], found.get("set", {})
            played = made, told, found["episodes"], found["sampled"]
        except (OSError, ValueError, KeyError):  # none yet, or half of one
            return False
        world = self.world
        settings = world.settings_of(self.victim.method)
        return bool(played == (made_from, settings, world.episodes, world.sampled))

    def _once(self, cell: Cell) -> bool:
        """Make a cell, unless it is there and was made from the same files."""
        path, made_from = self.folder / f"{cell.name}.json", self._origin(cell)
        if self._is_kept(path, made_from):
            return False
        started = time.perf_counter()
        result = self._made(cell)
        victim, world = self.victim, self.world
        record = {
            "command": f"eir evaluate {self._source} --only {victim.name}",
            "world": victim.world,
            "method": victim.method,
            "seed": victim.seed,
            "episodes": world.episodes,
            "sampled": world.sampled,
            "set": world.settings_of(victim.method),
            "variant_of": world.variant_of,
            **result,
            "made_from": made_from,
            "trained_s": round(self._run.wall_s, 1),
            "wall_s": round(time.perf_counter() - started, 1),
            "commit": commit(),
            "machine": machine(),
        }
        write_whole(path, (json.dumps(record, indent=1) + "\n").encode())
        return True


def summary(returns: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Mean and spread of the returns of a cell."""
    spread = returns.std(ddof=1) if len(returns) > 1 else 0.0
    return {
        "mean": round(float(returns.mean()), 4),
        "standard_error": round(float(spread / np.sqrt(len(returns))), 4),
        "lowest_tenth": round(float(np.quantile(returns, 0.1)), 4),
    }


def _rounded(means: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in sorted(means.items())}


def _donor(attack: Path) -> str | None:
    """The team, WORLD/METHOD-SEED, from whose adversary an attack of another team began."""
    tried = story_of(attack).get("tried")
    if not tried:
        return None
    return "/".join(named(min(tried, key=lambda donor: tried[donor]))[:2])


def _curve(attack: Path) -> list[float]:
    """Mean return of the victim before each update of an attack, over the agents it played."""
    return [float(np.mean(list(row.values()))) for row in story_of(attack)["curve"]]

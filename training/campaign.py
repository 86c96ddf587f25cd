"""Work through a matrix: seed by seed, each stage by stage, with a table of progress."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from eir_ros.contract.errors import EirError
from training import checkpoint, engine
from training.attack import story_of
from training.attacks import make_attack
from training.attacks.play import check_attack
from training.cells import Judge
from training.durations import told
from training.engine import Outcome, Unit
from training.game import make_game
from training.matrix import (
    Matrix,
    Victim,
    attack_units,
    cells_of,
    donors_of,
    judge_unit,
    named,
    recipe_of,
    rival_units,
    rivals,
    train_unit,
    victims,
)
from training.players import make_collector
from training.provenance import digest
from training.recipe import Recipe
from training.train import iterate

STAGES = ("train", "attack", "rival", "judge")
_ATTACKS = {"attack": attack_units, "rival": rival_units}


@dataclass
class Progress:
    """What was done in each world and stage, and how long it took."""

    total: Counter[tuple[str, str]] = field(default_factory=Counter)
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)
    #: How long each unit took that was done now [s].
    took_s: defaultdict[tuple[str, str], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, world: str, stage: str, took_s: float) -> None:
        """One more was done."""
        self.done[world, stage] += 1
        self.took_s[world, stage].append(took_s)

    def skip(self, world: str, stage: str, count: int) -> None:
        """So many were done before."""
        self.done[world, stage] += count

    def left_s(self, jobs: int) -> float:
        """Time left [s], from what a unit of the same world and stage took so far.

        Where there was none yet, those of the same stage in other worlds stand in.
        """
        left = 0.0
        for (world, stage), count in self.total.items():
            others = [
                took for (_, of), found in self.took_s.items() if of == stage for took in found
            ]
            took = self.took_s[world, stage] or others or [0.0]
            left += sum(took) / len(took) * (count - self.done[world, stage])
        return left / jobs

    def untimed(self) -> list[str]:
        """Stages that have something left, of which nobody knows how long it takes."""
        left = {where[1] for where, count in self.total.items() if self.done[where] < count}
        timed = {stage for (_, stage), took in self.took_s.items() if took}
        return [stage for stage in STAGES if stage in left - timed]

    def table(self, jobs: int) -> Table:
        """Worlds x stages, done of all."""
        untimed = self.untimed()
        title = f"about {told(self.left_s(jobs))} left"
        table = Table(title=title + (f", beside {', '.join(untimed)}" if untimed else ""))
        for title in ("world", *STAGES):
            table.add_column(title)
        for world in dict.fromkeys(world for world, _ in self.total):
            cells = [f"{self.done[world, s]}/{self.total[world, s]}" for s in STAGES]
            table.add_row(world, *cells)
        return table


def run_matrix(
    path: Path,
    matrix: Matrix,
    runs: Path,
    out: Path,
    world: str | None = None,
    seed: int | None = None,
    jobs: int | None = None,
    engine_name: str = "local",
    address: str | None = None,
) -> bool:
    """Do what is missing, of one world or seed if asked to; True if nothing failed.

    A world is judged with its first seed before the next one is trained, so that there is something
    to compare whenever this is ended.

    Raises
    ------
    EirError
        The engine cannot be had, the matrix has no such world or seed, a world cannot be had or
        attacked as it says, or teams that are not asked for, but whose adversaries are needed, are
        not attacked yet.
    """
    engine.check(engine_name, address)
    wanted = _teams(matrix, world, seed)
    _check_rivals(matrix, [team for teams in wanted.values() for team in teams], runs)
    console, progress, unjudged = Console(), Progress(), list[str]()
    at_once = jobs or engine.processors()
    for label, teams in wanted.items():
        check_world(matrix, label)
        for stage in STAGES:
            count = progress.total[label, stage] = _count(stage, matrix, teams, runs)
            left = len(_units(stage, path, matrix, teams, runs, out))
            progress.skip(label, stage, count - left)
    for teams in _rounds(wanted):
        ready = teams
        for stage in STAGES:

            def note(outcome: Outcome, where: tuple[str, str] = (teams[0].world, stage)) -> None:
                progress.add(*where, outcome.wall_s)
                if not outcome.ok:
                    progress.failed.append(outcome)
                    console.print(f"[red]failed[/]: {outcome.name}\n{outcome.tail}")
                else:
                    console.print(f"{outcome.name}: {outcome.wall_s:.0f} s", soft_wrap=True)

            units = _units(stage, path, matrix, ready, runs, out)
            engine.run_units(units, engine_name, at_once, address, note)
            console.print(progress.table(at_once))
            # each stage hands on the teams that it is done for
            ready = [team for team in ready if _is_done(stage, matrix, team, runs)]
        unjudged += [team.name for team in teams if team not in ready]
    for outcome in progress.failed:
        console.print(f"failed: {outcome.name} (status {outcome.returncode})")
    for name in unjudged:
        console.print(f"not judged: {name}, which is not trained or not attacked to the end")
    return not (progress.failed or unjudged)


def check_world(matrix: Matrix, label: str) -> None:
    """Raise an `EirError` about an attack that there cannot be: before hours of training."""
    game = make_game(recipe_of(matrix, victims(matrix, label)[0]), 1)
    try:
        for name, kind, settings in matrix.unseen():
            try:
                check_attack(make_attack(kind, settings), game)
            except EirError as error:
                raise EirError(f"attack '{name}' in the world '{label}': {error}") from error
    finally:
        game.close()


def _check_rivals(matrix: Matrix, teams: list[Victim], runs: Path) -> None:
    """Raise an `EirError` about rivals left out that are not attacked: before hours of training."""
    others = dict.fromkeys(r for team in teams for r in rivals(matrix, team) if r not in teams)
    lacking = [team.name for team in others if not _is_done("attack", matrix, team, runs)]
    if lacking:
        some = ", ".join([*lacking[:3], "..."] if len(lacking) > 3 else lacking)
        raise EirError(
            "these teams are attacked by the adversaries of others, not asked for, too, and "
            f"{len(lacking)} of these {len(others)} are not trained and attacked yet ({some}); do "
            "them first, or leave out --world and --seed."
        )


def judge_one(
    matrix: Matrix, victim: Victim, runs: Path, out: Path, source: Path | None = None
) -> None:
    """Every missing cell of one team, in this process; `source` is the matrix's file.

    Raises
    ------
    EirError
        The team is not trained or not attacked to the end, or a cell cannot be made.
    """
    console = Console()
    if not all(_is_done(stage, matrix, victim, runs) for stage in STAGES):
        raise EirError(
            f"{victim.name} is not trained or not attacked to the end; `eir evaluate "
            f"{source or matrix.name}` without --only does that first."
        )

    def note(name: str, made: bool) -> None:
        console.print(f"{victim.name}/{name}: {'written' if made else 'kept'}", soft_wrap=True)

    Judge(matrix, victim, runs, out, source).judge(note)


def plan_matrix(
    matrix: Matrix,
    runs: Path,
    out: Path,
    world: str | None = None,
    seed: int | None = None,
    jobs: int | None = None,
) -> None:
    """Print what is missing in each world, and the time that it takes on this machine.

    One short iteration of each world is timed; attacks cost as much per update as training.
    """
    table = Table(
        "world", "teams to train", "cells to make", "training", "attacks", "judging", "one core"
    )
    total = 0.0
    for label, teams in _teams(matrix, world, seed).items():
        check_world(matrix, label)
        settings = matrix.worlds[label]
        wanted = [out / v.name / f"{cell.name}.json" for v in teams for cell in cells_of(matrix, v)]
        cells, missing = len(wanted), sum(not path.exists() for path in wanted)
        untrained = [team for team in teams if not _trained(matrix, team, runs)]
        attacks = _units("attack", Path(), matrix, teams, runs, out)
        attacks += _units("rival", Path(), matrix, teams, runs, out)
        left = [f"{len(untrained)} of {len(teams)}", f"{missing} of {cells}"]
        if not (untrained or attacks or missing):
            table.add_row(label, *left, "", "", "", told(0))
            continue
        recipe = recipe_of(matrix, teams[0])
        rate, agents, horizon = _speed(recipe)
        per_update = recipe.batch * recipe.steps / rate
        training = len(untrained) * recipe.iterations * per_update
        attacking = len(attacks) * settings.attack_iterations * per_update
        # the worst case: about four adversaries of each method, played for half as many episodes
        played = missing * (1 + len(teams) * (2 * len(settings.seeds) + 5) / cells)
        judging = played * settings.episodes * agents * horizon / (3 * rate)
        parts = (training, attacking, judging)
        total += sum(parts)
        table.add_row(label, *left, *map(told, parts), told(sum(parts)))
    console = Console()
    console.print(table)
    at_once = jobs or engine.processors()
    console.print(f"{told(total)} on one core, {told(total / at_once)} with {at_once}")


def _speed(recipe: Recipe) -> tuple[float, int, int]:
    """Steps per second of training; the number of agents and the length of an episode."""
    torch.set_num_threads(1)
    small = recipe.model_copy(update={"steps": min(recipe.steps, 50)})
    run = checkpoint.fresh(small)
    collector = make_collector(run)
    iterate(run, collector)
    started = time.perf_counter()
    iterate(run, collector)
    rate = small.batch * small.steps / (time.perf_counter() - started)
    collector.game.close()
    game = make_game(recipe, 1)
    agents, horizon = game.num_agents, game.horizon
    game.close()
    return rate, agents, horizon


def _units(
    stage: str, path: Path, matrix: Matrix, teams: list[Victim], runs: Path, out: Path
) -> list[Unit]:
    if stage == "train":
        return [train_unit(matrix, v, runs) for v in teams if not _trained(matrix, v, runs)]
    if stage in _ATTACKS:
        return [
            unit
            for victim in teams
            for unit in _ATTACKS[stage](matrix, victim, runs)
            if not is_attacked(matrix, victim, unit, runs)
        ]
    return [judge_unit(path, victim, runs, out) for victim in teams]


def _count(stage: str, matrix: Matrix, teams: list[Victim], runs: Path) -> int:
    """How many units a stage has, done or not."""
    if stage in _ATTACKS:
        return sum(len(_ATTACKS[stage](matrix, victim, runs)) for victim in teams)
    return len(teams)


def _is_done(stage: str, matrix: Matrix, victim: Victim, runs: Path) -> bool:
    """Whether a team may be handed on to the next stage; after judging there is none."""
    if stage == "train":
        return _trained(matrix, victim, runs)
    units = _ATTACKS[stage](matrix, victim, runs) if stage in _ATTACKS else []
    return all(is_attacked(matrix, victim, unit, runs) for unit in units)


def is_attacked(matrix: Matrix, victim: Victim, unit: Unit, runs: Path) -> bool:
    """Whether the adversary of `unit` is there, and was trained against this very team as said.

    A rival that began from the best of other donors than there are now is another one.
    """
    path, world = Path(unit.command[-1]), matrix.worlds[victim.world]
    try:
        found = story_of(path)
        trained = len(found["curve"]), found["greedy"], found["victim"]["sha256"]
        team = digest(checkpoint.find(runs / victim.name))
        donors = {named(path) for path in found.get("tried", ())}
    except (OSError, ValueError, KeyError):  # none yet, or half of one
        return False
    wanted = world.attack_iterations, not world.sampled, team
    return path.exists() and trained == wanted and donors == donors_of(unit)


def _trained(matrix: Matrix, victim: Victim, runs: Path) -> bool:
    path = runs / victim.name / checkpoint.FILE
    try:
        run = checkpoint.load(path)
    except EirError:  # none yet, or a damaged one, of which the unit will speak
        return False
    return run.iteration >= run.recipe.iterations and run.recipe == recipe_of(matrix, victim)


def _rounds(wanted: dict[str, list[Victim]]) -> Iterator[list[Victim]]:
    """The teams of one world and seed at a time: those that share their adversaries."""
    for teams in wanted.values():
        for seed in sorted({team.seed for team in teams}):
            yield [team for team in teams if team.seed == seed]


def _teams(matrix: Matrix, world: str | None, seed: int | None) -> dict[str, list[Victim]]:
    """The teams of each world, or of this one and with this seed only."""
    if world is not None and world not in matrix.worlds:
        known = ", ".join(matrix.worlds)
        raise EirError(f"the matrix '{matrix.name}' has no world '{world}'; it has {known}.")
    found = {
        label: [team for team in victims(matrix, label) if seed in (None, team.seed)]
        for label in matrix.worlds
        if world in (None, label)
    }
    if not any(found.values()):
        most = max(team.seed for team in victims(matrix, world))
        raise EirError(f"no method has the seed {seed} there; expected 0 to {most}.")
    return {label: teams for label, teams in found.items() if teams}

"""The toy game, solved: methods x seeds x attacked agent, beside what theory says.

    python -m benchmarks.toy run --runs runs/toy --out results/toy --jobs 2
    python -m benchmarks.toy table

`run` trains what is missing, attacks each agent of each team (see `judge`), and compares the belief
with the exact posterior. Whatever is there already is kept. `table` writes docs/toy.md's table.
Teams act by sampling: against a known adversary only a fair coin is safe, and a greedy team gets
nothing.
"""

import argparse
import json
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eir_ros.contract.detection import calibration
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from sim.toy import tables
from training import checkpoint
from training.attack import Attack, train_attack
from training.checkpoint import Run
from training.evaluate import EVALUATION_STREAM, Evaluator
from training.game import make_game
from training.methods import METHODS
from training.provenance import commit, digest, machine
from training.records import write_whole
from training.rollout import Collector, Rollout, first_returns
from training.team import BeliefSource, trusting

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "config" / "recipes" / "toy.yaml"
SEEDS = (0, 1, 2, 3, 4)
EPISODES = 2048
#: Updates in a round of an adversary that is trained against a frozen team, and the most rounds.
ATTACK_ITERATIONS, ATTACK_ROUNDS = 80, 4
#: How sure of its action a team must be for `Deceiver` to strike.
TRUSTED = 0.75
#: What theory says of each method, (cooperation, worst case); see docs/toy.md.
THEORY = {
    "maddpg": (100.0, 0.0),
    "m3ddpg": (100.0, 0.0),
    "mappo": (100.0, 0.0),
    "rmaac": (100.0, 0.0),
    "ear-mappo": (100.0, 42.5),
    "recurrent-ear-mappo": (100.0, 49.5),
    "eir-mappo": (100.0, 49.5),
    "true-type": (100.0, 50.0),
}
DOCS = ROOT / "docs" / "toy.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def measure(name: str, runs: Path, out: Path) -> None:
    """Train `name` if need be, and write what it is worth to `out`."""
    method, seed = name.rsplit("-", 1)
    folder, path = runs / name, out / f"{name}.json"
    command = [
        sys.executable, "-m", "eir_ros.cli.main", "train", str(RECIPE), "--out", str(folder),
        "--set", f"method={method}", "--set", f"seed={seed}",
    ]  # fmt: skip
    before = _child_seconds()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    cpu_s = _child_seconds() - before
    made_from = digest(checkpoint.find(folder))
    if path.exists() and json.loads(path.read_text(encoding="utf-8"))["made_from"] == made_from:
        return
    run = checkpoint.load(checkpoint.find(folder))
    record = {
        "command": f"python -m benchmarks.toy run --only {name}",
        "made_from": made_from,
        "commit": commit(),
        "machine": machine(),
        "training_cpu_s": round(cpu_s, 1),
        **judge(run, int(seed)),
    }
    out.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(record, indent=1) + "\n").encode())


def judge(run: Run, seed: int) -> dict[str, Any]:
    """Returns of a team in 2,048 held-out episodes each, by who attacks whom and how.

    Five attacks on each agent: the adversary of training; one that starts with fresh weights and
    one that starts from it, both trained against the frozen team until that no longer helps; and
    two that read the team's probabilities, `Sighted` and `Deceiver`.
    """
    sampled, greedy = (Evaluator(run, batch=512, greedy=greedy) for greedy in (False, True))
    found: dict[str, Any] = {
        "cooperation": _mean(sampled.play(FaultKind.NONE, EPISODES, [1]).returns),
        "cooperation_greedy": _mean(greedy.play(FaultKind.NONE, EPISODES, [1]).returns),
        "attacked": {},
    }
    adversaries = {"training": run.adversary}
    for start in ("fresh", "warm"):
        attack = settled_attack(run, start, seed)
        adversaries[start] = attack.adversary
        found[f"{start}_curve"] = [
            {str(agent): round(v, 2) for agent, v in row.items()} for row in attack.curve
        ]
    for agent in (0, 1):
        returns = {
            name: sampled.play(FaultKind.ADVERSARY, EPISODES, [2], agent, adversary=adversary)
            for name, adversary in adversaries.items()
        }
        found["attacked"][f"agent {agent}"] = {
            **{name: _mean(episodes.returns) for name, episodes in returns.items()},
            "sighted": _mean(told_attack(run, agent, Sighted)),
            "deceiver": _mean(told_attack(run, agent, Deceiver)),
        }
    if run.team.source is BeliefSource.LEARNED:
        found["belief"] = belief_quality(run)
    return found


def settled_attack(run: Run, start: str, seed: int) -> Attack:
    """Train an adversary in rounds until one of them ends with a flat curve, see `is_flat`."""
    attack = train_attack(run, start, [0, 1], ATTACK_ITERATIONS, seed, greedy=False)
    for part in range(1, ATTACK_ROUNDS):
        if is_flat(attack.curve[-ATTACK_ITERATIONS:]):
            break
        # seeds of its own: those of the runs are small numbers
        more = train_attack(
            run, "warm", [0, 1], ATTACK_ITERATIONS, 1000 * part + seed, attack.adversary, False
        )
        more.curve = attack.curve + more.curve
        attack = more
    return attack


def is_flat(curve: list[dict[Any, float]]) -> bool:
    """Whether the last quarter is not below the one before it by more than chance, for any agent.

    That is two standard errors of the difference, from the spread of the iterations.
    """
    quarter = len(curve) // 4
    returns = np.array([list(row.values()) for row in curve[-2 * quarter :]])
    before, last = returns[:quarter], returns[quarter:]
    error = np.sqrt((before.var(0, ddof=1) + last.var(0, ddof=1)) / quarter)
    return bool((before.mean(0) - last.mean(0) <= 2 * error).all())


class Sighted(Collector):
    """Plays with an adversary that sees the other agent's probabilities, and plays against them.

    The adversary of the theory, which knows the team's policy: since a paid step is never worth
    less than nothing (docs/toy.md), what spoils the present step most is its best answer, except
    that it does not try to deceive the belief.
    """

    def _corrupt(self, row: dict[str, Tensor], noise: torch.Generator) -> None:
        row["adversary_action"] = self.against(row)[0]

    def against(self, row: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What an adversary in each agent's place does, and how sure the other one is, (B, 2)."""
        scores = self.team.scores(self.team.actor_input(row["observation"], row["belief"]))
        sure, likely = torch.softmax(scores, -1).max(-1)
        state = row["observation"][..., 0].long()
        # equal actions pay in state 0, unequal ones in state 1
        likely = likely.flip(-1)
        return torch.where(state == 0, 1 - likely, likely), sure.flip(-1)


class Deceiver(Sighted):
    """Strikes where the other agent is sure, and else does what a trusting teammate would do.

    While the team guards, it costs nothing to look honest, so a team that trusts again too easily
    would be struck again and again.
    """

    def _corrupt(self, row: dict[str, Tensor], noise: torch.Generator) -> None:
        strike, sure = self.against(row)
        trust = trusting(row["belief"])
        honest = self.team.scores(self.team.actor_input(row["observation"], trust)).argmax(-1)
        row["adversary_action"] = torch.where(sure > TRUSTED, strike, honest)


def told_attack(run: Run, agent: int, how: type[Sighted]) -> NDArray[np.float64]:
    """Returns with an adversary that is told the team's probabilities in the place of `agent`."""
    game = make_game(run.recipe, EPISODES)
    collector = how(game, run.team, run.adversary, None, run.recipe.type_of_kind)
    schedule = Schedule.single(EPISODES, 2, FaultKind.ADVERSARY, agent)
    rollout = collector.collect([EVALUATION_STREAM, 3], run.recipe.steps, schedule=schedule)
    game.close()
    return first_returns(rollout).double().numpy()


@torch.no_grad()
def belief_quality(run: Run) -> dict[str, float]:
    """The learned belief against the exact posterior, in episodes of the recipe's mixture.

    The posterior follows by Bayes' rule from the probabilities that the team and the adversary of
    training gave to the actions that were carried out, which both agents see.
    """
    game = make_game(run.recipe, EPISODES, run.recipe.faults)
    collector = Collector(game, run.team, run.adversary, None, run.recipe.type_of_kind)
    rollout = collector.collect([EVALUATION_STREAM, 4], run.recipe.steps)
    exact = exact_posterior(run, rollout)
    told = rollout.belief[..., 0, 1].numpy()
    healthy, corrupted = (rollout.types == 0).numpy(), (rollout.teammate_types[..., 0] == 1).numpy()
    return {
        "mean_distance_to_posterior": float(np.abs(told - exact)[healthy].mean()),
        "calibration_error": calibration_error(told[healthy], corrupted[healthy]),
        "calibration_error_of_posterior": calibration_error(exact[healthy], corrupted[healthy]),
    }


def exact_posterior(run: Run, rollout: Rollout) -> NDArray[np.float64]:
    """p(the other one is the adversary | history) of each agent before each step, (T, B, N)."""
    team, adversary = run.team, run.adversary
    scores = team.scores(team.actor_input(rollout.observation, rollout.belief))
    honest = torch.softmax(scores, -1).gather(-1, rollout.executed.unsqueeze(-1)).squeeze(-1)
    alone = torch.eye(2).expand(*rollout.types.shape, 2)
    rogue_scores = adversary.scores(adversary.actor_input(rollout.observation, alone))
    rogue = torch.softmax(rogue_scores, -1).gather(-1, rollout.executed.unsqueeze(-1)).squeeze(-1)
    share = run.recipe.faults.probability
    belief = np.tile([1 - share, share / 2, share / 2, 0.0], (rollout.reward.shape[1], 1))
    found = []
    for likely, spoilt in zip(honest.double().numpy(), rogue.double().numpy(), strict=True):
        found.append(tables.teammate_belief(belief))
        belief = tables.update(belief, likely, spoilt)
    return np.stack(found)


def calibration_error(told: NDArray[Any], true: NDArray[np.bool_]) -> float:
    """Expected calibration error of some beliefs, at least one."""
    error = calibration(told, true)[1]
    assert error is not None
    return error


def _mean(returns: NDArray[Any]) -> dict[str, float]:
    error = returns.std(ddof=1) / np.sqrt(len(returns))
    return {"mean": round(float(returns.mean()), 2), "standard_error": round(float(error), 2)}


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_table(results: Path) -> None:
    """Put the results into docs/toy.md."""
    cells = {
        method: [
            json.loads(p.read_text(encoding="utf-8")) for p in results.glob(f"{method}-?.json")
        ]
        for method in METHODS
    }
    cells = {method: found for method, found in cells.items() if found}
    lines = [*_table_of_methods(cells), "", *_table_of_attacks(cells)]
    beliefs = [cell["belief"] for cell in cells.get("eir-mappo", [])]
    if beliefs:
        told = {key: _range([b[key] for b in beliefs], digits=3) for key in beliefs[0]}
        lines += ["", *(f"- {key.replace('_', ' ')}: {value}" for key, value in told.items())]
    text = DOCS.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    DOCS.write_text(head + "\n".join([BEGIN, *lines, END]) + tail, encoding="utf-8")


def _table_of_methods(cells: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = [
        "| method (seeds) | nobody corrupted | worst case, agent 0 | worst case, agent 1 "
        "| theory | training [CPU s] |",
        "|---|---|---|---|---|---|",
    ]
    for method, found in cells.items():
        row = [
            f"{METHODS[method].title} ({len(found)})",
            _range([cell["cooperation"]["mean"] for cell in found]),
            *(_range([_worst(cell, agent) for cell in found]) for agent in (0, 1)),
            "{:g}, {:g}".format(*THEORY[method]),
            _range([cell["training_cpu_s"] for cell in found], digits=0),
        ]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _table_of_attacks(cells: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Mean over seeds and agents of what each attack leaves, and how many were still falling."""
    titles = [METHODS[method].title for method in cells]
    lines = [f"| attack | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    for attack in ("training", "fresh", "warm", "sighted", "deceiver"):
        row = []
        for found in cells.values():
            left = [a[attack]["mean"] for cell in found for a in cell["attacked"].values()]
            row.append(f"{np.mean(left):.1f}")
        lines.append(f"| {attack} | {' | '.join(row)} |")
    settled = [
        is_flat(cell[f"{start}_curve"][-ATTACK_ITERATIONS:])
        for found in cells.values()
        for cell in found
        for start in ("fresh", "warm")
    ]
    note = f"{sum(settled)} of {len(settled)} trained attacks ended with a flat curve."
    return [*lines, "", note]


def _worst(cell: dict[str, Any], agent: int) -> float:
    return float(min(attack["mean"] for attack in cell["attacked"][f"agent {agent}"].values()))


def _range(values: list[float], digits: int = 1) -> str:
    """Mean over seeds, and the lowest and highest of them."""
    low, mean, high = (f"{f(values):.{digits}f}" for f in (min, np.mean, max))
    return f"{mean} [{low}, {high}]"


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="train and measure what is missing")
    run.add_argument("--runs", type=Path, default=Path("runs/toy"))
    run.add_argument("--out", type=Path, default=ROOT / "results" / "toy")
    run.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    run.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    run.add_argument("--only", help="one run in this process, for example eir-mappo-0")
    run.add_argument("--jobs", type=int, default=2)
    commands.add_parser("table", help="write the table into docs/toy.md")
    arguments = parser.parse_args()
    if arguments.command == "table":
        write_table(ROOT / "results" / "toy")
    elif arguments.only:
        measure(arguments.only, arguments.runs, arguments.out)
    else:
        names = [f"{method}-{seed}" for seed in arguments.seeds for method in arguments.methods]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda name: _measure_apart(name, arguments.runs, arguments.out), names))


def _measure_apart(name: str, runs: Path, out: Path) -> None:
    """`measure` in a process of its own; one that fails is reported and stops nothing."""
    command = [
        sys.executable, "-m", "benchmarks.toy", "run",
        "--only", name, "--runs", str(runs), "--out", str(out),
    ]  # fmt: skip
    if subprocess.run(command).returncode:
        print(f"{name} failed", file=sys.stderr)


if __name__ == "__main__":
    main()

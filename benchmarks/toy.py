"""The toy game, solved: methods x seeds x attacked agent, beside what theory says.

    python -m benchmarks.toy run --runs runs/toy --out results/toy --jobs 2
    python -m benchmarks.toy table

`run` trains what is missing, attacks each agent of each team by a freshly trained adversary and by
one that sees the victim's probabilities, and compares the belief with the exact posterior. Whatever
is there already is kept. `table` writes docs/toy.md's table. Teams act by sampling: against a
known adversary only a fair coin is safe, and a greedy team gets nothing.
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

from eir_ros.contract.faults import FaultKind
from eir_ros.faults.schedule import Schedule
from sim.toy import tables
from training import checkpoint
from training.attack import train_attack
from training.checkpoint import Run
from training.evaluate import EVALUATION_STREAM, Evaluator
from training.game import make_game
from training.methods import METHODS
from training.provenance import commit, digest, machine
from training.rollout import Collector, Rollout, first_returns
from training.team import BeliefSource

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "config" / "recipes" / "toy.yaml"
SEEDS = (0, 1, 2, 3, 4)
EPISODES = 2048
#: Updates of an adversary that is trained against a frozen team.
ATTACK_ITERATIONS = 100
#: What theory says of each method, (cooperation, worst case); see docs/toy.md.
THEORY = {
    "mappo": (100.0, 0.0),
    "ear-mappo": (100.0, 33.1),
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
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def judge(run: Run, seed: int) -> dict[str, Any]:
    """Returns of a team in 2,048 held-out episodes each, by who attacks whom and how."""
    sampled, greedy = (Evaluator(run, batch=512, greedy=greedy) for greedy in (False, True))
    fresh = train_attack(run, "fresh", [0, 1], ATTACK_ITERATIONS, seed, greedy=False)
    found: dict[str, Any] = {
        "cooperation": _mean(sampled.play(FaultKind.NONE, EPISODES, [1]).returns),
        "cooperation_greedy": _mean(greedy.play(FaultKind.NONE, EPISODES, [1]).returns),
        "attacked": {},
    }
    for agent in (0, 1):
        trained = sampled.play(
            FaultKind.ADVERSARY, EPISODES, [2], robot=agent, adversary=fresh.adversary
        )
        found["attacked"][f"agent {agent}"] = {
            "training": _mean(sampled.play(FaultKind.ADVERSARY, EPISODES, [2], agent).returns),
            "fresh": _mean(trained.returns),
            "sees_probabilities": _mean(sighted_attack(run, agent)),
        }
    found["attack_curve"] = [{k: round(v, 2) for k, v in row.items()} for row in fresh.curve]
    if run.team.source is BeliefSource.LEARNED:
        found["belief"] = belief_quality(run)
    return found


class Sighted(Collector):
    """Plays with an adversary that sees the other agent's probabilities, and plays against them.

    The adversary of the theory, which knows the team's policy: since a paid step is never worth
    less than nothing (docs/toy.md), what spoils the present step most is its best answer, except
    that it does not try to deceive the belief.
    """

    def _corrupt(self, row: dict[str, Tensor], noise: torch.Generator) -> None:
        scores = self.team.scores(self.team.actor_input(row["observation"], row["belief"]))
        likely, state = scores.argmax(-1).flip(-1), row["observation"][..., 0].long()
        # equal actions pay in state 0, unequal ones in state 1
        row["adversary_action"] = torch.where(state == 0, 1 - likely, likely)


def sighted_attack(run: Run, agent: int) -> NDArray[np.float64]:
    """Returns with `Sighted` in the place of `agent`."""
    game = make_game(run.recipe, EPISODES)
    collector = Sighted(game, run.team, run.adversary, None, run.recipe.type_of_kind)
    schedule = Schedule.single(EPISODES, 2, FaultKind.ADVERSARY, agent)
    rollout = collector.collect([EVALUATION_STREAM, 3], game.env.horizon, schedule=schedule)
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


def calibration_error(told: NDArray[Any], true: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: mean gap between what is told and how often it is true.

    Naeini et al., *Obtaining Well Calibrated Probabilities Using Bayesian Binning* (AAAI 2015).
    """
    place = np.minimum((told * bins).astype(int), bins - 1)
    gaps = [
        abs(told[place == k].mean() - true[place == k].mean()) * (place == k).mean()
        for k in range(bins)
        if (place == k).any()
    ]
    return float(sum(gaps))


def _mean(returns: NDArray[Any]) -> dict[str, float]:
    error = returns.std(ddof=1) / np.sqrt(len(returns))
    return {"mean": round(float(returns.mean()), 2), "standard_error": round(float(error), 2)}


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_table(results: Path) -> None:
    """Put the results into docs/toy.md."""
    lines = [
        "| method | cooperation | agent 0 is the adversary | agent 1 is | theory |",
        "|---|---|---|---|---|",
    ]
    beliefs: list[dict[str, float]] = []
    for method, learner in METHODS.items():
        cells = [
            json.loads(p.read_text(encoding="utf-8")) for p in results.glob(f"{method}-?.json")
        ]
        if not cells:
            continue
        together = _range([cell["cooperation"]["mean"] for cell in cells])
        worst = [_range([_worst(cell, agent) for cell in cells]) for agent in (0, 1)]
        theory = THEORY.get(method)
        expected = f"{theory[0]:g}, {theory[1]:g}" if theory else ""
        title = f"{learner.title} ({len(cells)})"
        lines.append(f"| {title} | {together} | {worst[0]} | {worst[1]} | {expected} |")
        beliefs += [cell["belief"] for cell in cells if "belief" in cell]
    if beliefs:
        told = {key: _range([b[key] for b in beliefs], digits=3) for key in beliefs[0]}
        lines += ["", *(f"- {key.replace('_', ' ')}: {value}" for key, value in told.items())]
    text = DOCS.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    DOCS.write_text(head + "\n".join([BEGIN, *lines, END]) + tail, encoding="utf-8")


def _worst(cell: dict[str, Any], agent: int) -> float:
    return min(attack["mean"] for attack in cell["attacked"][f"agent {agent}"].values())


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

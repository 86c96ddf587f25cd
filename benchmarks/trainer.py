r"""Speed of training: env-steps per second from start to end, on both cores, evaluation off.

    python -m benchmarks.trainer                               # the default recipes, two ranks
    python -m benchmarks.trainer --released ~/EIR-MAPPO \
        --released-python ~/released-venv/bin/python           # beside the released code, on LBF

Playing, learning, logging and checkpoints all count; starting does not. With `--released` a
checkout of the released EIR-MAPPO code, which is not part of this project, trains on LBF with the
settings that it comes with, and ours beside it at the same sizes: ours / theirs / ours / theirs,
and the better of two rounds counts for each. Nothing else should run beside it.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.machine import describe
from benchmarks.swarm import Measure

ROOT = Path(__file__).resolve().parents[1]
UNIT = "env-steps/s"
#: What the default recipes shall reach, and how many times as fast as the released code ours is.
GOALS = {"lbf": 8_000, "smac": 8_000, "toy": 0, "coverage": 0}
RELEASED_GOAL = 4.0
#: The released sizes and settings: 20 environments, 200 steps, 3 x 128, a GRU of 128, whole-batch
#: epochs, 5 each for actor, critic and belief and 1 for the adversary; an observation without
#: what our recipe adds to it.
AS_RELEASED = {
    "batch": 20,
    "steps": 200,
    "width": 128,
    "layers": 3,
    "observe": "{}",
    "belief.network": "plain",
    "belief.hidden": 128,
    **{f"{part}.minibatches": 1 for part in ("policy", "adversary", "critic", "belief")},
    **{f"{part}.epochs": 5 for part in ("policy", "critic", "belief")},
    "adversary.epochs": 1,
}
_ROUNDS = 2
#: Iterations of ours that are not counted.
_WARM = 2
#: The released code prints this, and our child does.
_PROGRESS = re.compile(r"total num timesteps (\d+)/")


class Rates(NamedTuple):
    """Env-steps per second, and per CPU-second of all processes together.

    On a quiet machine with two cores the first is up to twice the second; on a busy one only the
    second means anything.
    """

    wall: float
    cpu: float


def timed(command: list[str], folder: str | Path, path: Path, warm: int) -> Rates:
    """Run a training that prints how many env-steps it has made, and time it from line to line.

    Parameters
    ----------
    folder, path
        Working folder, and where Python finds the code.
    warm
        Lines that are not counted: caches are cold, and memory is fresh.
    """
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **one_thread, "PYTHONPATH": str(path)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    output, moments = [], []
    for line in process.stdout:
        output.append(line)
        if found := _PROGRESS.search(line):
            moments.append((int(found[1]), time.perf_counter(), cpu_seconds(process.pid)))
    if process.wait():
        sys.exit(f"error: {' '.join(command)} failed:\n{''.join(output[-20:])}")
    (first, *start), (last, *end) = moments[warm], moments[-1]
    wall, cpu = (after - before for before, after in zip(start, end, strict=True))
    return Rates((last - first) / wall, (last - first) / cpu)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that it has started and that still run [s]."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def ours(recipe: str, changes: dict[str, object], iterations: int, ranks: int) -> Rates:
    """Train `recipe` in `ranks` processes."""
    settings = {"shards": ranks, **changes, "iterations": iterations, "evaluation.every": 0}
    arguments = [f"{key}={value}" for key, value in settings.items()]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), "-m"]
    command = [sys.executable, "-m", *launcher, "benchmarks.trainer", "--child", recipe, *arguments]
    return timed(command, ROOT, ROOT, _WARM)


def child(recipe: str, changes: Sequence[str]) -> None:
    """Train as one of the ranks; the first prints how far it is."""
    from training import ranks
    from training.checkpoint import Run
    from training.recipe import read_recipe
    from training.train import train

    settings = read_recipe(ROOT / "config" / "recipes" / f"{recipe}.yaml", changes)

    def watch(run: Run, metrics: dict[str, float]) -> None:
        print(f"total num timesteps {run.iteration * settings.batch * settings.steps}/")

    # each rank has a folder, and only the first writes
    with ranks.joined(), tempfile.TemporaryDirectory() as out:
        train(settings, Path(out), watch)


def released(checkout: Path, python: str, episodes: int) -> Rates:
    """Train with the released code and its own settings for `episodes` of 20 x 200 steps."""
    command = [python, str(checkout / "train.py"), "--algo", "mappo_advt_belief"]
    command += ["--env", "lbforaging", "--exp_name", "speed", "--cuda", "False"]
    command += ["--torch_threads", "1", "--use_eval", "False", "--log_interval", "1"]
    command += ["--num_env_steps", str(episodes * 20 * 200)]
    with tempfile.TemporaryDirectory() as folder:
        return timed(command, folder, checkout, 0)


def measure(
    recipes: Sequence[str], ranks: int, iterations: int, checkout: Path | None, python: str
) -> dict[str, Any]:
    """All figures, ready for JSON."""
    machine = describe()
    measures: list[Measure] = []
    rounds: list[dict[str, Any]] = []

    def best(name: str, rates: Sequence[Rates], goal: float = 0.0) -> Rates:
        rounds.extend({"name": name, **each._asdict()} for each in rates)
        found = Rates(max(each.wall for each in rates), max(each.cpu for each in rates))
        relation = ">=" if goal else ""
        measures.append(Measure(name, round(found.wall), UNIT, relation, goal))
        return found

    for recipe in recipes:
        rates = [ours(recipe, {}, iterations, ranks) for _ in range(_ROUNDS)]
        best(f"{recipe}.yaml, {ranks} ranks", rates, GOALS[recipe])
    if checkout is not None:
        pairs = [
            (ours("lbf", AS_RELEASED, iterations, ranks), released(checkout, python, iterations))
            for _ in range(_ROUNDS)
        ]
        mine = best(f"LBF at the released sizes, {ranks} ranks", [pair[0] for pair in pairs])
        theirs = best("LBF, the released code", [pair[1] for pair in pairs])
        times = round(mine.wall / theirs.wall, 2)
        measures.append(Measure("ours / released", times, "x", ">=", RELEASED_GOAL))
        measures.append(Measure("the same by CPU time", round(mine.cpu / theirs.cpu, 2), "x"))
    rows = [{**asdict(each), "met": each.met} for each in measures]
    found: dict[str, Any] = {"machine": machine, "measures": rows, "rounds": rounds}
    if checkout is None:
        found["note"] = "no checkout of the released code was given (--released)"
    return found


def print_table(found: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(", ".join(f"{key} {value}" for key, value in found["machine"].items()))
    words = {True: "met", False: "MISSED", None: ""}
    for row in found["measures"]:
        goal = f"{row['relation']} {row['goal']:,}" if row["relation"] else ""
        head = f"{row['name']:<40}{row['value']:>10,} {row['unit']:<14}"
        print(f"{head}{goal:<12}{words[row['met']]}".rstrip())
    if "note" in found:
        print(found["note"])


def main() -> None:
    """Measure, and say how the figures compare with the goals."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trainer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--recipes", nargs="*", choices=list(GOALS), default=["lbf", "smac"])
    parser.add_argument("--ranks", type=int, default=2, help="processes that train together")
    parser.add_argument("--iterations", type=int, default=12, help="of each measurement")
    parser.add_argument("--released", type=Path, metavar="PATH", help="a checkout of that code")
    parser.add_argument(
        "--released-python",
        default=sys.executable,
        metavar="PYTHON",
        help="that has what it needs: torch, gym 0.21, absl-py, setproctitle, ipdb, tensorboardX",
    )
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], args.child[1:])
        return
    if args.iterations <= _WARM:
        parser.error(f"{_WARM} iterations are for warming up; --iterations is more than that")
    if args.released is not None and not (args.released / "train.py").exists():
        parser.error(f"{args.released} has no train.py: it is no checkout of the released code")
    found = measure(args.recipes, args.ranks, args.iterations, args.released, args.released_python)
    print(json.dumps(found, indent=2)) if args.json else print_table(found)


if __name__ == "__main__":
    main()

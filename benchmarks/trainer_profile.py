"""Where the time of an iteration goes, and its floor: operations over the measured matrix rate.

    python -m benchmarks.trainer_profile lbf smac toy coverage

One process, one thread, CPU time. The operations are those of the matrix products of an iteration,
playing and learning, counted while it runs; the rate is that of one such product here and now, as
long as the parts take, so a machine that is busy is busy for both.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import describe
from benchmarks.trainer import AS_RELEASED
from training import checkpoint
from training.players import make_collector
from training.recipe import read_recipe
from training.train import iterate

RECIPES = Path(__file__).resolve().parents[1] / "config" / "recipes"
#: What a call of each of these counts as; a part that is inside another is not counted twice.
PARTS = {
    "update_policy": "policy",
    "update_adversary": "adversary",
    "update_critic": "critic",
    "update_belief": "belief",
    "update_normalisers": "normalisers",
}
WORLD, DECISIONS = "playing: the world", "playing: decisions"
#: A product of the size of those in the networks: rows, columns, depth.
PRODUCT = (4096, 128, 128)


class Parts:
    """CPU time by part [s]."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, thing: Any, method: str, part: str) -> None:
        """Count what `thing.method` takes."""
        inner = getattr(thing, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.counting(part):
                return inner(*args, **kwargs)

        setattr(thing, method, timed)

    @contextmanager
    def counting(self, part: str) -> Iterator[None]:
        """Count what happens meanwhile."""
        start = time.process_time()
        yield
        spent = time.process_time() - start
        self.seconds[part] = self.seconds.get(part, 0.0) + spent


def profile(name: str, changes: dict[str, object], iterations: int) -> dict[str, Any]:
    """Shares of the parts, time of an iteration and its floor."""
    settings = [f"{key}={value}" for key, value in changes.items()]
    recipe = read_recipe(RECIPES / f"{name}.yaml", settings)
    run = checkpoint.fresh(recipe)
    collector = make_collector(run)
    for _ in range(2):
        iterate(run, collector)
    # what training/recurrence.py does in place is not known to the counter
    in_place: dict[Any, Any] = {torch.ops.aten.addmm_: _operations}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        iterate(run, collector)
    operations = counter.get_total_flops()
    parts = Parts()
    parts.watch(collector.game, "step", WORLD)
    parts.watch(collector, "collect", DECISIONS)
    for method, part in PARTS.items():
        if hasattr(run.learner, method):
            parts.watch(run.learner, method, part)
    rates, total = [], 0.0
    for _ in range(iterations):
        rates.append(matrix_rate())
        start = time.process_time()
        iterate(run, collector)
        total += time.process_time() - start
    collector.close()
    seconds = parts.seconds
    seconds[DECISIONS] -= seconds[WORLD]
    seconds["the rest"] = total - sum(seconds.values())
    rate, each = max(rates), total / iterations
    return {
        "recipe": name,
        "settings": changes,
        "env_steps": recipe.batch * recipe.steps,
        "seconds": round(each, 4),
        "shares": {part: round(spent / total, 3) for part, spent in seconds.items()},
        "operations": operations,
        "matrix_gflops": round(rate / 1e9, 1),
        "floor_seconds": round(operations / rate, 4),
        "of_floor": round(operations / rate / each, 3),
    }


def matrix_rate() -> float:
    """Floating-point operations per second of CPU time in a matrix product."""
    rows, columns, depth = PRODUCT
    a, b, out = torch.randn(rows, depth), torch.randn(depth, columns), torch.empty(rows, columns)
    operations = 2 * rows * columns * depth
    return max(operations / seconds(lambda: torch.mm(a, b, out=out)) for _ in range(5))


def seconds(call: Callable[[], object], times: int = 20) -> float:
    """CPU time of one call."""
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def _operations(_: Any, left: list[int], right: list[int], *__: Any, **___: Any) -> int:
    """Those of a product of two matrices, from their shapes."""
    return 2 * left[0] * left[1] * right[1]


def print_table(found: dict[str, Any]) -> None:
    """Print the shares for people."""
    print(", ".join(f"{key} {value}" for key, value in found["machine"].items()))
    for row in found["profiles"]:
        rate = row["env_steps"] / row["seconds"]
        print(f"{row['recipe']} {row['settings'] or ''}: {row['seconds'] * 1e3:.0f} ms, ", end="")
        print(f"{rate:,.0f} env-steps/CPU-s; floor {row['floor_seconds'] * 1e3:.0f} ms ", end="")
        print(f"({row['operations'] / 1e9:.1f} GFLOP at {row['matrix_gflops']} GFLOP/s)")
        for part, share in row["shares"].items():
            print(f"  {part:<22}{share:>6.1%}")


def main() -> None:
    """Profile some recipes, and LBF at the released sizes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trainer_profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipes", nargs="*", default=["lbf", "smac", "toy", "coverage"])
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()
    torch.set_num_threads(1)
    profiles = [profile(name, {}, args.iterations) for name in args.recipes]
    if "lbf" in args.recipes:
        profiles.append(profile("lbf", AS_RELEASED, args.iterations))
    found = {"machine": describe(), "profiles": profiles}
    print(json.dumps(found, indent=2)) if args.json else print_table(found)


if __name__ == "__main__":
    main()

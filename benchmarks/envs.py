"""Speed of the worlds: env-steps per CPU-second, one process, one thread, beside public peers.

CPU time is that of all threads of the process: a peer that starts some gains nothing by it.
Through `env.step`: checks, observations, states, masks and resets are included. Actions are random
and legal. Where masks change they are drawn by a compiled sampler inside the timed loop, which is
thus counted against our worlds; where every action is always legal they are chosen beforehand.
Peers get random actions chosen beforehand and are not asked for masks.

Ours and a peer are measured in turn, ours / peer / ours / peer, and the better of two rounds counts
for each. `python -m benchmarks.envs` prints a table, with `--json` the same as JSON. Nothing
else should run beside it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numba import njit

import sim
from benchmarks.machine import describe
from benchmarks.peers import PEERS
from benchmarks.swarm import Measure, engine_rate
from sim.randomness import below, streams

#: World -> env-steps per CPU-second that its best batch shall reach; 0 where there is no goal.
#: Those of the swarm count ticks of 10 Hz, of which a decision has several.
GOALS = {
    "toy": 5_000_000,
    "lbf-12x12-4p-3f-c": 1_500_000,
    "smac-4m_vs_3m": 400_000,
    "mpe-simple_spread": 0,
    "swarm-coverage": 25_000,
    "swarm-coverage on wheels": 800,
}
UNIT = "env-steps/CPU-s"
_ROUNDS = 2
_WHEELS = "swarm-coverage on wheels"


@njit(cache=True)
def _draw(available: Any, luck: Any, actions: Any) -> None:
    """Fill actions (B, N) with uniformly random legal ones."""
    batch, agents, count = available.shape
    for b in range(batch):
        for i in range(agents):
            legal = 0
            for a in range(count):
                legal += available[b, i, a]
            rank = below(luck, b, legal)
            for a in range(count):
                if available[b, i, a]:
                    if rank == 0:
                        actions[b, i] = a
                        break
                    rank -= 1


def stepper(world: str, batch: int) -> tuple[Callable[[], int], Callable[[], None]]:
    """A function that takes one step of the batch and returns the env-steps, and one that ends."""
    if world == _WHEELS:
        from sim.swarm.coverage import CoverageWorld

        env = sim.make("swarm-coverage", batch, 0, world=CoverageWorld(body="wheels"))
    else:
        env = sim.make(world, batch, 0)
    per_step = batch * (env.task.decision_ticks if world.startswith("swarm") else 1)  # type: ignore[attr-defined]
    if world.startswith(("lbf", "smac")):
        luck, actions = streams(1, batch), np.zeros((batch, env.num_agents), np.int64)

        def step() -> int:
            _draw(env.available_actions, luck, actions)
            env.step(actions)
            return per_step
    else:
        shape = (256, batch, env.num_agents)
        pool = np.random.default_rng(0).integers(0, env.num_actions, shape)
        turn = 0

        def step() -> int:
            nonlocal turn
            turn = (turn + 1) % len(pool)
            env.step(pool[turn])
            return per_step

    return step, env.close


def rate(step: Callable[[], int], seconds: float) -> float:
    """Env-steps per CPU-second over some CPU-seconds."""
    done, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        done += step()
    return done / spent


def measure_together(world: str, batch: int, seconds: float) -> list[float]:
    """Ours, then every installed peer's: measured in turn, the better round of each."""
    ours, close = stepper(world, batch)
    steps = [ours, *(peer.stepper(batch) for peer in PEERS.get(world, ()) if peer.installed)]
    for step in steps:
        for _ in range(3):
            step()
    rounds = [[rate(step, seconds / _ROUNDS) for step in steps] for _ in range(_ROUNDS)]
    close()
    return [max(rates) for rates in zip(*rounds, strict=True)]


def measure_temporaries(world: str, batch: int = 64) -> Measure:
    """Most bytes per environment that Python and NumPy hold in 20 steps and then let go.

    What compiled code allocates is not in it; a test sees to it that this is nothing.
    """
    step, close = stepper(world, batch)
    for _ in range(3):
        step()
    tracemalloc.start()
    for _ in range(20):
        step()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    close()
    return Measure(f"{world}, temporaries at batch {batch}", round((peak - kept) / batch), "B/env")


def measure_compiling(world: str) -> Measure:
    """Seconds until the first step is done with nothing compiled yet, less the same once it is."""
    code = (
        "import sys, time, numpy, numba; start = time.perf_counter(); import sim;"
        "env = sim.make(sys.argv[1]);"
        "env.step(env.available_actions.argmax(-1)); print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        command = [sys.executable, "-c", code, world]
        cold, warm = (
            float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
            for _ in range(2)
        )
    return Measure(f"{world}, first-use compile", round(cold - warm, 1), "s")


def measure(worlds: list[str], batches: list[int], seconds: float) -> dict[str, Any]:
    """All figures, ready for JSON."""
    machine = describe()
    measures: list[Measure] = []
    peers: list[dict[str, Any]] = []
    for world in worlds:
        found = []
        for batch in batches:
            ours, *theirs = (round(each) for each in measure_together(world, batch, seconds))
            found.append(ours)
            measures.append(Measure(f"{world}, batch {batch}", ours, UNIT))
            for peer in PEERS.get(world, ()):
                row = {"world": world, "batch": batch, "peer": peer.name, "ours": ours}
                row["version"] = peer.version
                row["theirs"] = theirs.pop(0) if peer.installed else None
                peers.append({**row, "leaves_out": peer.leaves_out})
        if GOALS[world]:
            measures.append(Measure(f"{world}, best", max(found), UNIT, ">=", GOALS[world]))
        measures.append(measure_temporaries(world))
        if world == "swarm-coverage":
            # next to each other, because a busy machine slows both
            step, close = stepper(world, max(batches))
            shares = [rate(step, seconds / 2) / engine_rate() for _ in range(3)]
            close()
            share = round(100 * float(np.median(shares)))
            measures.append(Measure(f"{world}, of bare stepSimulation", share, "%", ">=", 80))
        if world.startswith(("toy", "lbf", "smac")):
            measures.append(measure_compiling(world))
    rows = [{**asdict(each), "met": each.met} for each in measures]
    return {"machine": machine, "measures": rows, "peers": peers}


def print_table(found: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(", ".join(f"{key} {value}" for key, value in found["machine"].items()))
    words = {True: "met", False: "MISSED", None: ""}
    for row in found["measures"]:
        goal = f"{row['relation']} {row['goal']:,}" if row["relation"] else ""
        head = f"{row['name']:<44}{row['value']:>12,} {row['unit']:<16}"
        print(f"{head}{goal:<14}{words[row['met']]}".rstrip())
    for row in found["peers"]:
        theirs = "not installed" if row["theirs"] is None else f"{row['theirs']:,}"
        print(f"{row['world']}, batch {row['batch']}: ours {row['ours']:,}, {row['peer']} {theirs}")
    for peer in {row["peer"]: row for row in found["peers"]}.values():
        name = f"{peer['peer']} {peer['version']}".rstrip()
        print(f"{name} leaves out: {peer['leaves_out']}")


def main() -> None:
    """Measure, and say how the figures compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--worlds", nargs="+", choices=list(GOALS), default=list(GOALS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 64, 1024])
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time of each figure")
    args = parser.parse_args()
    if min(args.batches) < 1 or not args.seconds > 0:
        parser.error("batches are at least 1, and seconds more than 0")
    found = measure(args.worlds, args.batches, args.seconds)
    print(json.dumps(found, indent=2)) if args.json else print_table(found)


if __name__ == "__main__":
    main()

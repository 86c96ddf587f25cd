"""Beyond an episode: whom the shipped team blames in missions longer than those it learned from.

    python -m benchmarks.horizon            # writes results/horizon.json and prints it

Teams play in the world of their training for six episodes' time on end, healthy, with a robot that
stops for good, and with one that is well again after 15 s. Each row is the length of one training
episode; where a robot is mended, it is told how long its teammates go on to blame it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from eir_ros.cli.scorecard import world_of_training
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.paths import share
from eir_ros.contract.types import teammates
from eir_ros.faults.schedule import Schedule
from eir_ros.policy.batch import BatchPolicy
from eir_ros.policy.bundle import Bundle, load_bundle
from sim.swarm.env import CoverageEnv
from training.provenance import commit
from training.records import write_whole

OUT = Path(__file__).resolve().parents[1] / "results" / "horizon.json"
#: Missions, episodes of training that each lasts, and decisions of one.
MISSIONS, WINDOWS, DECISIONS = 64, 6, 90
#: Fault, its start and its end [s].
CASES = (("none", 0.0, np.inf), ("stop", 10.0, np.inf), ("stop", 10.0, 25.0))
#: First entry of the seed: a stream of its own.
STREAM = 5_000_012


def mission(bundle: Bundle, word: str, start_s: float, end_s: float) -> dict[str, Any]:
    """Reward and blame of `MISSIONS` missions, window by window; robot e mod N has the fault.

    `forgiven_s` are the median and the 90th percentile, over missions and teammates, of the time
    [s] from the moment when the robot is well to the first at which a teammate does not blame it;
    the whole rest of the mission where that never comes.

    Blame is that of `BatchPolicy`.
    """
    task, policy = bundle.manifest.task, BatchPolicy(bundle, MISSIONS)
    n, steps = task.num_robots, WINDOWS * DECISIONS
    robot = np.arange(MISSIONS) % n
    planned = Schedule.single(MISSIONS, n, FaultKind.parse(word), robot)
    there = planned.kind != FaultKind.NONE
    start, end = np.where(there, start_s, planned.start_s), np.where(there, end_s, np.inf)
    env = CoverageEnv(MISSIONS, 0, task, world_of_training(bundle), None, steps)
    observation = env.reset([STREAM], Schedule(planned.kind, start, end))
    rewards, blames = [], []
    for _ in range(steps):
        decided = policy.decide(observation)
        blames.append(policy.blames)
        observation, reward, *_ = env.step(decided)
        rewards.append(reward.copy())
    env.close()
    faulty = there.any(1)[:, None] & (np.arange(n) == robot[:, None])
    suspect = faulty[:, teammates(n)]
    healthy = ~faulty[:, :, None] & ~suspect
    rows = []
    for window in range(WINDOWS):
        part = slice(window * DECISIONS, (window + 1) * DECISIONS)
        blame = np.stack(blames[part])
        at_faulty = blame[:, ~faulty[:, :, None] & suspect]
        rows.append(
            {
                "until_s": round((window + 1) * DECISIONS * task.decision_s, 1),
                "reward_per_decision": round(float(np.mean(rewards[part])), 3),
                "healthy_pairs_ever_blamed": round(float(blame[:, healthy].any(0).mean()), 4),
                "healthy_pairs_blamed_of_time": round(float(blame[:, healthy].mean()), 4),
                "faulty_blamed_of_time": round(float(at_faulty.mean()), 4)
                if faulty.any()
                else None,
            }
        )
    found: dict[str, Any] = {"windows": rows}
    if np.isfinite(end_s):
        well = round(end_s / task.decision_s)
        at_mended = np.stack(blames[well:])[:, ~faulty[:, :, None] & suspect]
        waited = np.where(at_mended.all(0), len(at_mended), at_mended.argmin(0)) * task.decision_s
        median, most = np.quantile(waited, (0.5, 0.9))
        found["forgiven_s"] = {"median": round(float(median), 1), "p90": round(float(most), 1)}
    return found


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.horizon",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, default=share() / "policies" / "coverage")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    started, bundle = time.perf_counter(), load_bundle(arguments.bundle)
    cases: list[dict[str, Any]] = [
        {
            "fault": word,
            "start_s": start,
            "end_s": None if np.isinf(end) else end,
            **mission(bundle, word, start, end),
        }
        for word, start, end in CASES
    ]
    found = {
        "command": "python -m benchmarks.horizon",
        "missions": MISSIONS,
        "seed": STREAM,
        "cases": cases,
        "commit": commit(),
        "machine": describe(),
        "wall_s": round(time.perf_counter() - started, 1),
    }
    write_whole(arguments.out, (json.dumps(found, indent=1) + "\n").encode())
    for case in cases:
        print(f"{case['fault']} from {case['start_s']:g} s to {case['end_s']}")
        for row in case["windows"]:
            print("  " + "  ".join(f"{key} {value}" for key, value in row.items()))
        if "forgiven_s" in case:
            print(f"  forgiven after {case['forgiven_s']} s")


if __name__ == "__main__":
    main()

"""What keeping a distance costs the shipped team, and whom the team blames for it.

    python -m benchmarks.separation         # writes results/separation.json and prints it

Whole episodes of the plain world on the same seeds, with gates that keep no distance and with
gates that keep each of some, healthy and with a robot that is broken from the fourth second on.
It takes some minutes of one core.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.paths import share
from eir_ros.contract.types import teammates
from eir_ros.faults.schedule import Schedule
from eir_ros.policy.batch import BatchPolicy
from eir_ros.policy.bundle import Bundle, load_bundle
from sim.swarm.brakes import Brakes
from sim.swarm.coverage import CoverageWorld
from sim.swarm.env import CoverageEnv
from training.provenance import commit
from training.records import write_whole

OUT = Path(__file__).resolve().parents[1] / "results" / "separation.json"
#: Room between two bodies [m]; None: none is kept.
ROOMS = (None, 0.0, 0.05, 0.10)
FAULTS = (FaultKind.NONE, FaultKind.STOP, FaultKind.MUTE)
ONSET_S = 4.0
#: First entry of the seed: a stream of its own.
STREAM = 3_000_019


def play(bundle: Bundle, kind: FaultKind, room: float | None, episodes: int) -> dict[str, Any]:
    """Whole episodes, robots acting greedily; robot e mod N has the fault.

    Blame is that of `BatchPolicy`, of healthy robots in each other.
    """
    task, policy = bundle.manifest.task, BatchPolicy(bundle, episodes)
    env = CoverageEnv(episodes, 0, task, CoverageWorld(brakes=Brakes(room=room)))
    n, total = task.num_robots, np.zeros(episodes)
    schedule = Schedule.single(episodes, n, kind, np.arange(episodes) % n, ONSET_S)
    observation = env.reset([STREAM], schedule)
    blames, touching = [], []
    for _ in range(env.episode_decisions):
        decided = policy.decide(observation)
        blames.append(policy.blames)
        touching.append(_nearest(env.team_state, n) < 2 * CoverageWorld().robot_radius + 1e-3)
        observation, reward, *_ = env.step(decided)
        total += reward
    env.close()
    broken = schedule.kind != FaultKind.NONE
    blame = np.stack(blames)[:, ~broken[:, :, None] & ~broken[:, teammates(n)]]
    return {
        "fault": kind.word,
        "room_m": room,
        "mean": round(float(total.mean()), 2),
        "standard_error": round(float(total.std(ddof=1) / np.sqrt(episodes)), 2),
        "healthy_pairs_ever_blamed": round(float(blame.any(0).mean()), 4),
        "healthy_pairs_blamed_of_time": round(float(blame.mean()), 4),
        "touching": round(float(np.mean(touching)), 4),
    }


def _nearest(state: NDArray[np.float32], n: int) -> NDArray[np.floating[Any]]:
    """Least distance between two of n robots [m], (B,), from `CoverageEnv.team_state`."""
    place = state.reshape(len(state), -1)[:, : 6 * n].reshape(-1, n, 6)[..., :2]
    apart = np.linalg.norm(place[:, :, None] - place[:, None], axis=-1)
    nearest: NDArray[np.floating[Any]] = (apart + 1e3 * np.eye(n)).min((1, 2))
    return nearest


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.separation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, default=share() / "policies" / "coverage")
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    bundle, rows = load_bundle(arguments.bundle), []
    for kind in FAULTS:
        for room in ROOMS:
            found = play(bundle, kind, room, arguments.episodes)
            rows.append(found)
            print("  ".join(f"{key} {value}" for key, value in found.items()), flush=True)
    story = {
        "command": f"python -m benchmarks.separation --episodes {arguments.episodes}",
        "bundle": bundle.digest,
        "seed": STREAM,
        "rows": rows,
        "commit": commit(),
        "machine": describe(),
    }
    write_whole(arguments.out, (json.dumps(story, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

"""What keeping a distance costs the shipped team: return with and without, and how near they come.

`python -m benchmarks.separation` plays healthy episodes of the plain world, once with a gate per
robot that keeps no distance and once for each distance, on the same seeds, and writes
`results/separation.json`. It takes some minutes of one core.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.machine import describe
from benchmarks.wheels import STREAM, commit
from eir_ros.contract.coverage import command, decode, observe
from eir_ros.contract.paths import share
from eir_ros.contract.types import teammates
from eir_ros.policy.bundle import Bundle, load_bundle
from eir_ros.safety.gate import Gate, GateLimits, Track
from eir_ros.swarm.roster import Robot, load_roster
from sim.swarm.coverage import CoverageSim

#: Room between two bodies [m]; None: none is kept.
ROOMS = (None, 0.0, 0.05, 0.10)
_DECISIONS = 90


def limits(robot: Robot, room: float | None) -> GateLimits:
    """Of a gate that keeps `room` between two bodies of the roster's kind."""
    return GateLimits(
        max_speed=robot.max_speed,
        max_yaw_rate=robot.max_yaw_rate,
        max_acceleration=robot.max_acceleration,
        max_yaw_acceleration=robot.max_yaw_acceleration,
        max_deceleration=robot.max_deceleration,
        command_timeout_s=robot.command_timeout_s,
        separation_m=0.0 if room is None else 2 * robot.radius + room,
    )


def play(bundle: Bundle, robot: Robot, room: float | None, episodes: int) -> dict[str, Any]:
    """Whole episodes, every robot acting greedily behind a gate of its own."""
    task = bundle.manifest.task
    n, mates = task.num_robots, teammates(task.num_robots)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    policy = onnxruntime.InferenceSession(bundle.policy, options, ["CPUExecutionProvider"])
    shape = next(t.shape for t in bundle.manifest.inputs if t.name == "hidden")
    hidden = np.zeros((episodes * n, *shape[1:]), np.float32)
    sim = CoverageSim(task, batch=episodes, seed=[STREAM, 0])
    gates = [[Gate(limits(robot, room)) for _ in range(n)] for _ in range(episodes)]
    returns, gaps = np.zeros(episodes), []
    for _ in range(_DECISIONS):
        sensed = sim.sense()
        seen = observe(task, sensed).reshape(episodes * n, -1)
        logits, hidden = policy.run(
            ("logits", "next_hidden"), {"observation": seen, "hidden": hidden}
        )
        decision = decode(task, logits.argmax(-1).reshape(episodes, n), sensed)
        for _ in range(task.decision_ticks):
            commands, senses = command(task, decision, sim.poses), sim.sense()
            for e, i in np.ndindex(episodes, n):
                gate, now = gates[e][i], sim.time_s
                x, y, yaw = senses.pose[e, i].tolist()
                gate.odometry(x, y, yaw, now)
                tracks = zip(mates[i].tolist(), senses.tracks[e, i].tolist(), strict=True)
                gate.tracks({mate: Track(*track) for mate, track in tracks}, now)
                v, w = commands[e, i].tolist()
                gate.command(v, w, now)
                commands[e, i] = gate.send(now)[:2]
            sim.tick(commands, np.ones((episodes, n), bool))
            offset = sim.poses[:, :, None, :2] - sim.poses[:, None, :, :2]
            distance = np.sqrt(np.square(offset).sum(-1)) + 1e3 * np.eye(n)
            gaps.append(distance.min((1, 2)) - 2 * robot.radius)
        returns += sim.reward()
    sim.close()
    counts = sum((gate.counts for row in gates for gate in row), Counter[str]())
    return {
        "room_m": room,
        "mean": round(float(returns.mean()), 2),
        "standard_error": round(float(returns.std(ddof=1) / np.sqrt(episodes)), 2),
        "touching": round(float((np.array(gaps) < 1e-3).mean()), 4),
        "reduced": round(1 - counts[""] / sum(counts.values()), 4),
        "reasons": {reason: n for reason, n in counts.items() if reason},
        "returns": np.round(returns, 2).tolist(),
    }


def main() -> None:
    """Write all figures and print a line for each distance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", type=Path, default=share() / "policies" / "coverage")
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("results/separation.json"))
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    robot = load_roster(share() / "config" / "rosters" / "default.yaml").team()[0]
    rows = []
    for room in ROOMS:
        found = play(bundle, robot, room, args.episodes)
        rows.append(found)
        kept = "none" if room is None else f"{room:g} m"
        print(
            f"room {kept:<7} return {found['mean']:6.2f} +- {found['standard_error']:.2f}  "
            f"touching {100 * found['touching']:5.2f} % of the ticks  "
            f"reduced {100 * found['reduced']:.1f} % of the commands",
            flush=True,
        )
    story = {
        "command": f"python -m benchmarks.separation --episodes {args.episodes}",
        "bundle": bundle.digest,
        "commit": commit(),
        "machine": describe(),
        "rooms": rows,
    }
    args.out.write_text(json.dumps(story) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

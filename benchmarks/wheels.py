"""What a team trained on planar bodies keeps of its return on wheels.

`python -m benchmarks.wheels` plays the shipped bundle on both bodies, with the same seeds, and
writes `results/wheels/<fault>.json`. It takes some ten minutes of one core.
"""

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from eir_ros.cli.scorecard import episode_returns, world_of_training
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.paths import share
from eir_ros.policy.bundle import Bundle, load_bundle
from sim.swarm.coverage import CoverageWorld
from training.provenance import commit

#: Never shared with training, attacks or evaluation.
STREAM = 3_000_017
FAULTS = (FaultKind.NONE, FaultKind.STOP, FaultKind.MUTE)
#: The share of the planar return that wheels shall keep.
GOAL = 0.9


def play(
    bundle: Bundle, world: CoverageWorld, kind: FaultKind, episodes: int, seed: int
) -> NDArray[np.float64]:
    """Returns of whole episodes (E,), from a stream of seeds of their own."""
    return episode_returns(bundle, world, kind, episodes, [STREAM, seed])


def compare(bundle: Bundle, kind: FaultKind, episodes: int, seed: int) -> dict[str, Any]:
    """Both bodies under one fault."""
    started = time.process_time()
    rows, means = {}, {}
    for body in ("planar", "wheels"):
        world = CoverageWorld.model_validate({**world_of_training(bundle), "body": body})
        values = play(bundle, world, kind, episodes, seed)
        means[body] = float(values.mean())
        rows[body] = {
            "mean": round(means[body], 3),
            "standard_error": round(float(values.std(ddof=1) / np.sqrt(len(values))), 3),
            "returns": np.round(values, 2).tolist(),
        }
    return {
        "ratio": round(means["wheels"] / means["planar"], 4),
        "cpu_s": round(time.process_time() - started, 1),
        **rows,
    }


def main() -> None:
    """Write one file per fault and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", type=Path, default=share() / "policies" / "coverage")
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/wheels"))
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    args.out.mkdir(parents=True, exist_ok=True)
    story = {
        "command": f"python -m benchmarks.wheels --episodes {args.episodes} --seed {args.seed}",
        "bundle": bundle.digest,
        "seed": args.seed,
        "commit": commit(),
        "machine": describe() | {"numpy": np.__version__, "python": platform.python_version()},
    }
    for kind in FAULTS:
        found = compare(bundle, kind, args.episodes, args.seed)
        path = args.out / f"{kind.word}.json"
        path.write_text(json.dumps(story | found) + "\n", encoding="utf-8")
        verdict = "met" if found["ratio"] >= GOAL else "MISSED"
        print(
            f"{kind.word:<6} planar {found['planar']['mean']:7.2f}  wheels "
            f"{found['wheels']['mean']:7.2f}  ratio {found['ratio']:.3f} >= {GOAL:g} {verdict}"
        )


if __name__ == "__main__":
    main()

"""Make the pictures of the worlds in docs/images, with `eir play`.

    python docs/make_pictures.py [NAME ...]

Without names it makes all of them, but for those of teams that were not trained here: `eir train
config/recipes/smac.yaml` and the same for `lbf.yaml`. Needs the extras `sim`, `mpe` and `train`.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
#: A page should open fast.
MAX_BYTES = 400_000

SMAC, LBF = ["--run", "runs/smac-eir-mappo-0"], ["--run", "runs/lbf-eir-mappo-0"]
COVERAGE = [
    "swarm-coverage",
    "--bundle",
    "policies/coverage",
    "--fault",
    "r2:adversary@4",
    "--seed",
    "2",
]

#: File -> arguments of `eir play`
PICTURES = {
    "toy.png": ["toy", "--random", "--steps", "12"],
    "lbf.png": ["lbf-6x6-3p-2f", "--random", "--seed", "7"],
    "smac.gif": ["smac-4m_vs_3m", "--random", "--seed", "1"],
    "smac-team.gif": [*SMAC, "--seed", "1"],
    "smac-traitor.gif": [*SMAC, "--traitor", "1", "--seed", "1"],
    "lbf-team.gif": [*LBF, "--seed", "1"],
    "lbf-traitor.gif": [*LBF, "--traitor", "1", "--seed", "1"],
    "mpe-simple_spread.png": ["mpe-simple_spread", "--random", "--seed", "14"],
    "mpe-simple_tag.gif": ["mpe-simple_tag", "--random", "--seed", "37"],
    "mpe-simple_reference.png": ["mpe-simple_reference", "--random", "--seed", "1"],
    "swarm-coverage.gif": COVERAGE,
    "swarm-coverage.png": COVERAGE,
    "swarm-camera.png": [*COVERAGE, "--camera", "--option", "world={body: wheels}"],
    "swarm-rendezvous.png": ["swarm-rendezvous", "--random", "--seed", "13", "--steps", "40"],
    "swarm-pursuit.png": ["swarm-pursuit", "--random", "--seed", "1", "--steps", "40"],
    "swarm-transport.png": ["swarm-transport", "--random", "--seed", "1", "--steps", "40"],
    "meeting.png": ["meeting:MeetingEnv", "--random", "--seed", "25", "--option", "cells=6"],
}


def make(name: str) -> int:
    """Make one picture, refuse one that is too large, and return its size [bytes]."""
    path = IMAGES / name
    scratch = IMAGES / f".new-{name}"
    command = [sys.executable, "-m", "eir_ros.cli.main", "play", *PICTURES[name]]
    # the example world is not installed
    places = [str(ROOT), str(ROOT / "docs" / "examples"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    subprocess.run([*command, "--out", str(scratch)], cwd=ROOT, env=environment, check=True)
    size = scratch.stat().st_size
    if size > MAX_BYTES:
        scratch.unlink()
        sys.exit(f"{name} has {size} bytes, more than {MAX_BYTES}; it was not kept.")
    scratch.replace(path)
    return size


def possible(name: str) -> bool:
    """Whether the team of a picture was trained here."""
    words = PICTURES[name]
    return "--run" not in words or (ROOT / words[words.index("--run") + 1]).is_dir()


def main() -> None:
    """Make the pictures that are asked for."""
    names = sys.argv[1:] or list(filter(possible, PICTURES))
    if unknown := sorted(set(names) - set(PICTURES)):
        sys.exit(
            f"there is no picture {', '.join(unknown)}; expected some of {', '.join(PICTURES)}"
        )
    for name in names:
        print(f"{name}: {make(name) / 1000:.0f} kB")


if __name__ == "__main__":
    main()

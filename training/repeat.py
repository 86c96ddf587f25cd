"""Make a mishap of training happen again: `python -m training.repeat runs/NAME/nan-000123.pt`."""

import sys
from pathlib import Path

import torch

from eir_ros.contract.errors import EirError
from training import mishap, train
from training.mishap import Mishap, NotANumberError
from training.players import make_collector


def repeat(found: Mishap) -> list[str]:
    """Go on from the checkpoint to the batch and learn from it; returns what is not a number.

    Iterations derive all randomness from their number, so what led there happens again, bit for
    bit, on the machine where it did.
    """
    run = found.run
    collector = make_collector(run)
    try:
        while run.iteration < found.iteration:
            train.iterate(run, collector)
        run.learner.begin(run.iteration)
        train.learn(run, found.rollout)
    except NotANumberError as error:
        return error.names
    finally:
        collector.close()
    return []


def main(path: str) -> None:
    """Repeat the mishap in `path` and say what came of it."""
    torch.set_num_threads(1)
    found = mishap.load(Path(path))
    print(
        f"from the checkpoint of iteration {found.run.iteration} to the batch of iteration "
        f"{found.iteration}, which broke {', '.join(found.names)} ..."
    )
    again = repeat(found)
    if again:
        print(f"it happened again: {', '.join(again)} at iteration {found.run.iteration}")
    else:
        print("it did not happen again: another machine, other code, or memory that failed?")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except EirError as error:
        sys.exit(f"error: {error}")
    except IndexError:
        sys.exit("usage: python -m training.repeat nan-ITERATION.pt")

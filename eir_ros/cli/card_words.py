"""What the numbers of a bundle's scorecard are, in words."""

from collections.abc import Iterator
from typing import Any

#: Entry of a scorecard -> what it is. They come from `training.report.card`, `training.beliefs` and
#: `training.calibration`.
MEANINGS = {
    "return_per_episode": "mean over the robots, each faulty in turn from the start on",
    "standard_error": "of such a mean, as if its robots had not been faulty in the same episodes",
    "worst": "what the strongest attack leaves at the weakest robot, both chosen on other "
    "episodes: a mean over the robots may be lower (reports tell that of the worst case, too)",
    "attacks": "returns under attacks that need an adversary, deceive senses or come and go",
    "auroc": "chance that a faulty robot is doubted more than a healthy one",
    "steps_to_detect": "decisions from the onset until half of the observers have found out",
    "detected": "share of observers that ever find out",
    "brier": "mean square error of p(adversary); 0 is perfect",
    "calibration_error": "how far p(adversary) is from how often it is right",
    "blamed": "share of robots that somebody gives p(adversary) above 0.5, three decisions in a "
    "row, in episodes where all are healthy",
    "blamed_share_of_healthy": "the same above the bundle's own threshold, which alarms go by, in "
    "episodes of its training's mixture of faults",
    "mean_return": "in these episodes",
    "auroc_after_onset": "the AUROC at moments after the onset of a fault",
}


def meanings(card: dict[str, Any]) -> list[str]:
    """A line for each kind of number that `card` has."""
    there = set(_names(card))
    return [f"{name}: {what}" for name, what in MEANINGS.items() if name in there]


def _names(card: dict[str, Any]) -> Iterator[str]:
    for name, value in card.items():
        yield name
        if isinstance(value, dict):
            yield from _names(value)

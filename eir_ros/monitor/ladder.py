"""Steps on a robot's ladder of trust, as `<robot>/trust` tells them."""

import math
from collections.abc import Mapping

from eir_ros.contract.report import TrustStep
from eir_ros.contract.trust import Level


def read_trust(
    robot: str, values: Mapping[str, str], line: str, start_s: float = 0.0
) -> tuple[dict[str, str], TrustStep | None]:
    """The level of every teammate, by name, and the step that led there; None: the beginning.

    Parameters
    ----------
    start_s
        When the mission began, by the clock of the robots [s].

    Raises
    ------
    EirError, ValueError, KeyError
        A value is missing or malformed.
    """
    levels = {
        key.removeprefix("level_"): Level.parse(word).word
        for key, word in values.items()
        if key.startswith("level_")
    }
    if "subject" not in values:
        return levels, None
    t_s = float(values["time_s"]) - start_s
    if not math.isfinite(t_s):
        raise ValueError(f"time_s is {t_s}")
    subject = values["subject"]
    return levels, TrustStep(observer=robot, subject=subject, t_s=round(t_s, 3), line=line)

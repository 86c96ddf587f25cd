"""How long something takes, in the unit that a person would choose."""

import math


def told(seconds: float) -> str:
    """`seconds` as `45 s`, `12 min` or `3.4 h`: never so coarse that it says nothing."""
    if seconds <= 90:
        return f"{math.ceil(seconds)} s"
    if seconds <= 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

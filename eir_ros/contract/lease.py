"""How long whoever crashed is still found on the ROS graph."""

from typing import Final

#: A process that was killed stays for its lease of 20 s (Fast DDS), beside the one that was started
#: in its place; only two of a name that are found for longer than this are two [s].
REMAINS_S: Final = 30.0


class Lasting:
    """Since when each of some things has been so without a break."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    def reaches(self, what: str, so: bool, patience_s: float, now_s: float) -> bool:
        """Take whether `what` is so at this steady time; whether it has been for `patience_s`."""
        if not so:
            self._since_s.pop(what, None)
            return False
        return now_s - self._since_s.setdefault(what, now_s) >= patience_s

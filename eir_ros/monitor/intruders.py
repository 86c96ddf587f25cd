"""Whether somebody else sends what only one may: the clock, the truth about a robot's faults."""

from collections.abc import Mapping

from eir_ros.contract.lease import REMAINS_S, Lasting
from eir_ros.contract.report import Intruder


class Intruders:
    """Counts the senders of each thing, and remembers where there was one too many."""

    def __init__(self) -> None:
        self.found: dict[str, Intruder] = {}
        self._doubled = Lasting()

    def count(self, clocks: int, truths: Mapping[str, int], now_s: float, t_s: float) -> list[str]:
        """Take what is on the graph now; return a line about each new intruder.

        Parameters
        ----------
        clocks
            Publishers of /clock. Worlds are not started again, so a second one is no remains.
        truths
            Publishers of /swarm/faults, by the full name of their node.
        now_s, t_s
            Now, on the steady clock and in time of the mission [s].
        """
        doubled = {"/clock": (clocks, "/clock", 0.0)} | {
            node: (number, "/swarm/faults", REMAINS_S) for node, number in truths.items()
        }
        lines = []
        for sender, (number, topic, patience_s) in doubled.items():
            lasts = self._doubled.reaches(sender, number > 1, patience_s, now_s)
            if sender in self.found or not lasts:
                continue
            self.found[sender] = Intruder(topic=topic, sender=sender, t_s=round(t_s, 3))
            whose = topic if sender == topic else f"{topic} as {sender}"
            lines.append(
                f"{number} nodes publish {whose}, where there may be one: another swarm or a "
                "player of recordings is in this ROS_DOMAIN_ID, and this report is worth nothing"
            )
        return lines

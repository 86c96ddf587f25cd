"""How long whoever crashed is still found on the ROS graph."""

from typing import Final

#: A process that was killed stays for its lease of 20 s (Fast DDS), beside the one that was started
#: in its place; only two of a name that are found for longer than this are two [s].
REMAINS_S: Final = 30.0

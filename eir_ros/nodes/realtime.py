"""Real-time scheduling for the processes between senses and motors, where the system permits it.

On a busy computer a fair scheduler lets an agent wait for its turn behind whoever draws a picture
or writes a log. Linux runs a process with a real-time priority first (sched(7)); ros2_control asks
for the same. It needs root, CAP_SYS_NICE, or a limit `rtprio` of the user.
"""

import os
from pathlib import Path
from typing import Final

from pydantic import Field as Setting
from rclpy.node import Node

#: Of a node's parameters: the priority to ask for.
PRIORITY: Final = Setting(
    10, ge=0, le=99, description="Real-time priority, where the system permits it; 0: none"
)


def request(node: Node, priority: int) -> None:
    """Ask for round-robin scheduling at `priority` for every thread of this process; 0: leave it.

    To be called when the process has started up: threads that it makes later inherit what the
    calling thread has. Where it is not permitted all stays as it was, and the node's log says so.
    """
    if not priority:
        return
    try:
        for thread in Path("/proc/self/task").iterdir():
            try:
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(priority))
            except ProcessLookupError:
                # it has ended meanwhile
                continue
    except PermissionError:
        node.get_logger().info(
            f"real-time priority {priority} is not permitted: on a busy computer this robot "
            "answers later; see `eir doctor`"
        )

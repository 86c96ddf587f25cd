"""A process gives its DDS participant back before it exits: exit handlers cannot do it safely."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.ros

#: Ends a node in the given way, then prints the status and the DDS threads that are left.
CODE = """
import os, signal, sys, time
from pathlib import Path

from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node

from eir_ros.contract.errors import EirError
from eir_ros.nodes.run import FinishedError, run

base, way = {"node": Node, "lifecycle": LifecycleNode}[sys.argv[1]], sys.argv[2]

def end():
    if way in ("signal", "both"):
        os.kill(os.getpid(), signal.SIGINT)
        if way == "both":
            # the terminal and a launch system pass on the same Ctrl-C
            time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
    else:
        raise {"finished": FinishedError, "refused": EirError}[way]("enough")

def nodes():
    node = base("ending")
    node.create_timer(0.1, end)
    yield node

status = run(nodes)
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
# the watchdog belongs to the library, not to a participant
print(status, *(name for name in names if name.startswith("dds.") and name != "dds.shm.wdog"))
"""


@pytest.mark.parametrize(
    ("way", "status"), [("signal", 0), ("both", 0), ("finished", 0), ("refused", 2)]
)
@pytest.mark.parametrize("base", ["node", "lifecycle"])
def test_a_participant_is_left_to_the_exit_handlers(base: str, way: str, status: int) -> None:
    command = [sys.executable, "-c", CODE, base, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(status)]

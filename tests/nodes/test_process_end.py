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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--params-file", "nowhere.yaml"], "Couldn't parse params file: '--params-file nowhere"),
        (["-r", "__ns:=/2nd"], "refuses what the node was started with"),
        (["--no-such-option"], "unknown arguments after --ros-args: ['--no-such-option']"),
    ],
)
def test_a_mistake_in_ros_arguments_is_a_traceback_and_started_again(
    arguments: list[str], said: str
) -> None:
    command = [sys.executable, "-m", "eir_ros.nodes.gate", "--ros-args", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    # a service manager starts what ends with any other status once more
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr

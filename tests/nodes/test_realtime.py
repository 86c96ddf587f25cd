"""Agents and gates go first on a busy computer, and work where that is not permitted."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

_PROCESS = """
import os, sys, threading, types
from eir_ros.nodes import realtime

if {drop}:
    os.setresuid(65534, 65534, 65534)
threading.Thread(target=threading.Event().wait, daemon=True).start()
said = []
log = types.SimpleNamespace(info=said.append)
realtime.request(types.SimpleNamespace(get_logger=lambda: log), {priority})
policies = {{os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}}
print(sorted(policies), len(said))
"""


def ask(priority, *, drop=False):
    """Policies of all threads after asking, and how many sentences were logged."""
    code = _PROCESS.format(priority=priority, drop=drop)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def permitted():
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def test_a_thread_of_the_process_still_waits_its_turn():
    if not permitted():
        pytest.skip("real-time scheduling is not permitted here")
    assert ask(10) == f"[{os.SCHED_RR}] 0"


def test_priority_0_asks_all_the_same():
    assert ask(0) == f"[{os.SCHED_OTHER}] 0"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give its rights away")
def test_a_process_without_the_right_does_not_start():
    assert ask(10, drop=True) == f"[{os.SCHED_OTHER}] 1"

"""What every test shares: a ROS 2 graph of its own, and skips that say why."""

import importlib.util
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from domains import claim_domain

# Before any test imports rclpy: nothing leaves the machine, and runs beside each other do not meet.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
if "ROS_DOMAIN_ID" not in os.environ or "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["ROS_DOMAIN_ID"] = str(claim_domain())

# A shell starts what runs in its background deaf to Ctrl-C, and its children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example that takes long, or is long in being drawn, says that the machine does much else.
with suppress(ImportError):
    from hypothesis import HealthCheck, settings

    _slow_is_well = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("patient", _slow_is_well)
    settings.load_profile("patient")

#: Folders whose tests wait for processes, for the most part.
REAL_TIME = {"chaos", "fuzz", "hosts", "launch", "link", "monitor", "nodes", "swarm"}
#: ... but for these, whose robots wait for each other however long a step takes.
LOCKSTEP = {"test_lockstep_parity.py"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Path of an installed Chromium, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several workers one takes all that starts nodes or a browser, test after test.

    Such a test waits for most of its time, and minds when another one takes its computer; the
    other workers have the rest, file by file.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = Path(nodeid.partition("::")[0])
            minds = REAL_TIME.intersection(path.parts) and path.name not in LOCKSTEP
            return "real time" if minds else str(path)

    return ByFolder(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, and say what it lacks."""
    missing = {}
    if importlib.util.find_spec("rclpy") is None:
        missing["ros"] = "rclpy is not importable: install the extra `ros` or source ROS 2"
    if find_chromium() is None:
        missing["browser"] = "no Chromium: apt-get install chromium"
    for item in items:
        for marker in missing.keys() & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.skip(reason=missing[marker]))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; the test that asks for it carries the marker `browser`."""
    path = find_chromium()
    assert path is not None
    return path

"""`ros2 launch eir_ros swarm.launch.py`, where launch_ros is there to run it."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from eir_ros.cli import prepare
from eir_ros.contract.report import MissionReport

pytestmark = [
    pytest.mark.ros,
    pytest.mark.skipif(
        importlib.util.find_spec("launch_ros") is None,
        reason="launch_ros is not importable (it is on no package index): source a ROS 2 "
        "installation to test the launch file",
    ),
]

ROOT = Path(__file__).parents[2]
BUNDLE = Path(os.environ.get("EIR_TEST_BUNDLE", prepare.default_bundle()))
NODES = ("agent", "gate", "fault", "world", "monitor", "recorder")

#: What `ros2 launch` does with a launch file, without the command around it.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource

arguments = [tuple(word.split(":=", 1)) for word in sys.argv[2:]]
source = AnyLaunchDescriptionSource(sys.argv[1])
service = LaunchService(argv=sys.argv[2:])
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An installation of this checkout as `colcon build` lays it out."""
    packages = tmp_path / "prefix" / "share" / "ament_index" / "resource_index" / "packages"
    packages.mkdir(parents=True)
    (packages / "eir_ros").touch()
    executables = tmp_path / "prefix" / "lib" / "eir_ros"
    executables.mkdir(parents=True)
    for node in NODES:
        script = executables / node
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m eir_ros.nodes.{node} "$@"\n')
        script.chmod(0o755)
    return tmp_path / "prefix"


class Launched:
    """A launch service in a process of its own, with the lines that it prints."""

    def __init__(self, prefix: Path, run_dir: Path, *words: str) -> None:
        file = ROOT / "launch" / "swarm.launch.py"
        arguments = [f"bundle:={BUNDLE}", f"run_dir:={run_dir}", "headless:=true", *words]
        paths = [str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")]
        self.popen = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(file), *arguments],
            cwd=ROOT,
            env={**os.environ, "AMENT_PREFIX_PATH": os.pathsep.join(filter(None, paths))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def until(self, text: str) -> None:
        """Read lines up to one that holds `text`."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line)
            if text in line:
                return
        raise AssertionError(f"ended without '{text}':\n" + "".join(self.lines))

    def end(self) -> int:
        """Read all that is left and wait; returns the exit status."""
        assert self.popen.stdout is not None
        self.lines += self.popen.stdout
        return self.popen.wait(timeout=60)


Launch = Callable[..., Launched]


@pytest.fixture
def launched(prefix: Path, tmp_path: Path) -> Iterator[Launch]:
    """Start a launch; whatever it leaves running is ended after the test."""
    started: list[Launched] = []

    def launch(*words: str) -> Launched:
        started.append(Launched(prefix, tmp_path / "run", *words))
        return started[-1]

    yield launch
    for one in started:
        left = psutil.Process(one.popen.pid).children() if one.popen.poll() is None else []
        one.popen.kill()
        for child in left:
            child.kill()


def test_ctrl_c_ends_a_launch_with_a_failure(launched: Launch, tmp_path: Path) -> None:
    swarm = launched("faults:=r2:stop@1")
    swarm.until("the mission starts")
    children = psutil.Process(swarm.popen.pid).children(recursive=True)
    commands = [" ".join(child.cmdline()) for child in children]
    for robot in ("r0", "r1", "r2", "r3"):
        for node in ("agent", "gate"):
            assert any(f"nodes.{node}" in c and f"__ns:=/{robot}" in c for c in commands)
    swarm.until("found out r2")  # so they move, and watch each other
    swarm.popen.send_signal(signal.SIGINT)
    assert swarm.end() == 0
    output = "".join(swarm.lines)
    assert "Traceback" not in output
    assert output.count("process has finished cleanly") == 10
    assert [child for child in children if child.is_running()] == []
    report = MissionReport.model_validate_json((tmp_path / "run" / "mission.json").read_bytes())
    assert report.score.mean_reward is not None
    assert report.score.mean_reward > 0


def test_a_wrong_argument_starts_a_swarm(launched: Launch, tmp_path: Path) -> None:
    swarm = launched("seed:=many")
    assert swarm.end() == 1
    assert "'seed' is 'many'" in "".join(swarm.lines)
    assert not (tmp_path / "run").exists()


def test_a_node_that_refuses_is_started_for_ever(launched: Launch, tmp_path: Path) -> None:
    # the bundle is good when the plan is made, and refused by each node that reads it
    copy = tmp_path / "bundle"
    shutil.copytree(BUNDLE, copy)
    swarm = launched("simulation:=false", f"bundle:={copy}")
    swarm.until("files of this run")
    (copy / "extra").touch()
    assert swarm.end() == 0
    output = "".join(swarm.lines)
    assert "refused to start" in output
    assert "Traceback" not in output


def test_a_mission_without_a_world_never_ends(launched: Launch) -> None:
    swarm = launched("simulation:=false", "duration:=4")
    swarm.until("process started with pid")
    children = psutil.Process(swarm.popen.pid).children(recursive=True)
    assert swarm.end() == 0
    assert [child for child in children if child.is_running()] == []

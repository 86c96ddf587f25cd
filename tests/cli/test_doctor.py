"""What stands in the way of the job is a failure with advice; what does not is a warning."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import make_keys, write_tiny_bundle
from typer.testing import CliRunner, Result

from eir_ros.cli import doctor
from eir_ros.cli.main import app
from eir_ros.policy.signing import default_trusted_keys, generate_key

CLOCK_STATUS = doctor._clock_status


@pytest.fixture(autouse=True)
def sound_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every library and the bundle are in order; the tests below break one thing each."""
    monkeypatch.setattr(doctor, "_probe", lambda *_: (True, "2.0"))
    monkeypatch.setattr(doctor, "_bundle", lambda *_: doctor.Finding("bundle", True, "fine"))
    monkeypatch.setattr(doctor, "_clock_status", lambda: 0)
    for name in ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_DOMAIN_ID", "ROS_STATIC_PEERS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *args])


def lacks(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make importing `module` fail."""

    def probe(_: str, *modules: str) -> tuple[bool, str]:
        return (False, f"No module named '{module}'") if module in modules else (True, "2.0")

    monkeypatch.setattr(doctor, "_probe", probe)


def findings(*args: str) -> dict[str, dict[str, Any]]:
    rows = json.loads(run("--json", *args).stdout)["findings"]
    return {row["name"]: row for row in rows}


def test_a_sound_machine_can_run_the_swarm():
    done = run()
    assert done.exit_code == 0
    assert "can do 'swarm'" in done.stdout
    assert "FAIL" not in done.stdout


@pytest.mark.parametrize(
    ("module", "job", "able"),
    [
        ("rclpy", "swarm", False),
        ("onnxruntime", "robot", False),
        ("pybullet", "swarm", False),
        ("torch", "training", False),
        ("fastapi", "swarm", True),
    ],
)
def test_a_missing_library_matters_for_the_jobs_that_need_it(
    module: str, job: str, able: bool, monkeypatch: pytest.MonkeyPatch
):
    lacks(module, monkeypatch)
    done = run("--for", job)
    assert done.exit_code == (0 if able else 1)
    mend = f"No module named '{module}'\n      -> {sys.executable} -m pip install"
    assert mend in done.stdout.replace("source /opt/ros/<distribution>/setup.bash, or ", "")


@pytest.mark.parametrize(
    ("module", "job"), [("rclpy", "training"), ("pybullet", "robot"), ("torch", "swarm")]
)
def test_what_the_job_does_not_need_is_not_asked_for(
    module: str, job: str, monkeypatch: pytest.MonkeyPatch
):
    lacks(module, monkeypatch)
    done = run("--for", job)
    assert done.exit_code == 0
    assert module not in done.stdout


def test_a_robot_is_warned_of_the_key_that_everybody_has(tmp_path: Path):
    shipped = default_trusted_keys()
    done = run("--for", "robot")
    assert done.exit_code == 0
    assert f"warn  trusted keys: 'demo' in {shipped} is the demonstration key" in done.stdout
    assert "-> `eir bundle keygen" in done.stdout
    assert "trusted keys" not in run("--for", "swarm").stdout

    generate_key(tmp_path, "lab")
    done = run("--for", "robot", "--trusted-keys", str(tmp_path))
    assert f"ok  trusted keys: lab in {tmp_path}" in done.stdout
    # under whatever name
    (tmp_path / "mine.pub").write_bytes((shipped / "demo.pub").read_bytes())
    assert "'mine' in" in run("--for", "robot", "--trusted-keys", str(tmp_path)).stdout


def test_a_robot_that_trusts_nobody_is_found(tmp_path: Path):
    done = run("--for", "robot", "--trusted-keys", str(tmp_path))
    assert done.exit_code == 1
    assert "FAIL  trusted keys" in done.stdout


def test_the_bundle_and_the_keys_that_are_given_are_the_ones_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "_probe", lambda *_: (True, "2.0"))
    make_keys(tmp_path / "keys")
    write_tiny_bundle(tmp_path / "bundle", tmp_path / "keys" / "lab.key")
    given = ("--for", "robot", "--trusted-keys", str(tmp_path / "keys"))
    done = run(*given, "--bundle", str(tmp_path / "bundle"))
    assert done.exit_code == 0
    assert "bundle: tiny 1, signed by lab" in done.stdout
    assert run(*given).exit_code == 1


def test_an_old_pydantic_is_not_taken_for_a_new_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_probe", lambda *_: (True, "1.10.14"))
    assert not findings()["libraries"]["good"]


def test_a_busy_port_is_a_warning_with_advice(busy_port: int):
    done = run("--port", str(busy_port))
    assert done.exit_code == 0
    assert f"warn  port: 127.0.0.1:{busy_port}: Address already in use" in done.stdout
    assert "--port" in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "name", "able"),
    [
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF", "discovery", False),
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOKAL", "discovery", False),
        ("ROS_DOMAIN_ID", "233", "domain", False),
        ("ROS_DOMAIN_ID", "seven", "domain", False),
        ("ROS_DOMAIN_ID", "150", "domain", True),
    ],
)
def test_a_graph_that_cannot_form_is_found(
    variable: str, value: str, name: str, able: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(variable, value)
    found = findings()[name]
    assert not found["good"]
    assert value in found["found"]
    assert found["mend"]
    assert run().exit_code == (0 if able else 1)


def test_every_bad_finding_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_probe", lambda *_: (False, "broken"))
    rows = findings().values()
    assert sum(not row["good"] for row in rows) >= 5
    assert all(row["good"] == (not row["mend"]) for row in rows)


def test_a_real_probe_tells_a_broken_library_from_a_sound_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    assert doctor._probe("json.__name__", "json") == (True, "json")
    good, found = doctor._probe("0", "no_such_library")
    assert not good
    assert found == "ModuleNotFoundError: No module named 'no_such_library'"


@pytest.mark.parametrize(("status", "good"), [(0x0001, True), (0x0041, False)])
def test_a_robot_whose_clock_runs_free_looks_sound(
    status: int, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning: one robot without a network has no time server either."""
    monkeypatch.setattr(doctor, "_clock_status", lambda: status)
    found = findings("--for", "robot")["clock"]
    assert found["good"] is good
    assert ("chronyc tracking" in found["mend"]) is not good
    assert "clock" not in findings("--for", "swarm")


def test_the_kernel_is_misread() -> None:
    """Against the state that adjtimex returns."""
    import ctypes

    # TIME_ERROR, which is 5, stands for "not synchronised" among less usual things
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(doctor._Timex()))
    assert (state == 5) == bool(CLOCK_STATUS() & 0x0040)

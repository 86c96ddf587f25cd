"""`eir swarm` with everything real: processes, DDS, PyBullet, the shipped bundle."""

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tiny_bundle import make_keys

from eir_ros.cli import prepare
from eir_ros.cli.main import main
from eir_ros.cli.order import ask
from eir_ros.contract.errors import EirError
from eir_ros.contract.report import SwarmReport
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.recording_report import analyse
from eir_ros.policy.signing import load_private_key
from eir_ros.policy.store import sign_bundle
from eir_ros.swarm.options import Options
from eir_ros.swarm.process import Process

ROOT = Path(__file__).parents[2]
BUNDLE = Path(os.environ.get("EIR_TEST_BUNDLE", prepare.default_bundle()))
TEAM = ("r0", "r1", "r2", "r3")
#: A swarm starts in seconds on an idle machine; this is for one that does much else [s].
PATIENCE_S = 150.0


class Swarm:
    """A running `eir swarm`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.report_file = folder / "report.json"
        command = [sys.executable, "-m", "eir_ros.cli.main", "swarm", "--bundle", str(BUNDLE)]
        command += ["--run-dir", str(folder), "--json", str(self.report_file), *arguments]
        self.popen = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._children: set[psutil.Process] = set()

    def children(self) -> dict[str, psutil.Process]:
        """The processes of the plan that run now, by namespace and executable."""
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self.popen.pid).children():
            # the look for other swarms is short-lived, and none of the plan's
            with suppress(psutil.NoSuchProcess):
                self._take(child, found)
        self._children.update(found.values())
        return found

    @staticmethod
    def _take(child: psutil.Process, found: dict[str, psutil.Process]) -> None:
        line = child.cmdline()
        if "-m" in line and "--ros-args" in line:
            namespace = next(a for a in line if a.startswith("__ns:="))
            module = line[line.index("-m") + 1].removeprefix("eir_ros.nodes.")
            found[f"{namespace.removeprefix('__ns:=/')}/{module}".lstrip("/")] = child

    def end(self) -> int:
        """Wait for the end; every process that was ever seen must be gone then."""
        self.output, self.errors = self.popen.communicate(timeout=PATIENCE_S)
        assert [child for child in self._children if child.is_running()] == []
        return self.popen.returncode

    def interrupt(self) -> int:
        """Ctrl-C."""
        self.popen.send_signal(signal.SIGINT)
        return self.end()

    def report(self) -> SwarmReport:
        """What `--json` wrote."""
        return SwarmReport.model_validate_json(self.report_file.read_bytes())

    def logs(self) -> str:
        """What all processes wrote."""
        return "\n".join(path.read_text() for path in (self.folder / "log").glob("*.log"))


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Swarm]:
    """A swarm that is gone after the test."""
    swarm = Swarm(folder, *arguments)
    try:
        yield swarm
    finally:
        if swarm.popen.poll() is None:
            swarm.popen.kill()
            swarm.popen.wait()


@pytest.mark.ros
def test_a_mission_ends_without_score_or_report(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    # in lockstep, or what is found out in 8 s would depend on how much of them the machine gives
    arguments = ("--headless", "--lockstep", "--seed", "3", "--duration", "8")
    arguments += ("--fault", "r2:stop@2")
    with running(tmp_path, *arguments, "--record", str(bag)) as swarm:
        assert swarm.end() == 0, swarm.errors
    report = swarm.report()
    assert json.loads(swarm.report_file.read_text())["schema"] == 1
    assert (report.task, report.seed, report.robots) == ("coverage", 3, TEAM)
    assert report.ticks == 80
    assert report.duration_s == pytest.approx(8.0)
    assert report.score.mean_reward is not None
    assert report.score.mean_reward > 0.2
    assert report.score.served_fraction is not None
    assert report.score.served_fraction > 0.0
    assert [(f.robot, f.kind, f.start_s) for f in report.faults] == [("r2", "stop", 2.0)]
    assert {d.suspect for d in report.detections} == {"r2"}
    assert report.tick_ms.p99 is not None
    assert report.inference_us.p50 is not None
    assert report.restarts == 0
    assert len(report.processes) == 11
    assert {end.exit for end in report.processes} == {0}
    assert "Traceback" not in swarm.logs()
    recorded = analyse(Bag(bag)).report
    assert recorded.missing == ()
    same = ("duration_s", "ticks", "robots", "score", "faults", "detections", "false_alarms")
    for name in same:
        assert getattr(recorded, name) == getattr(report, name), name
    # the recorder may be told to end before the last words of an agent arrive
    assert recorded.decisions == pytest.approx(report.decisions, abs=4)
    assert recorded.belief.brier == pytest.approx(report.belief.brier, abs=0.01)
    assert recorded.latencies_ms[0].sense_to_base.count > 70
    assert recorded.motion[0].max_speed == 0.5


@pytest.mark.ros
def test_a_killed_agent_leaves_its_robot_driving(tmp_path: Path) -> None:
    """The robot stands within 0.5 s; its new agent rejoins and remembers no suspicion."""
    from nav_msgs.msg import Odometry
    from ros_graph import probe
    from sensor_msgs.msg import PointCloud2

    from eir_ros.nodes import clouds, qos

    with running(tmp_path, "--headless", "--fault", "r1:stop@3") as swarm, probe() as graph:
        odometry = graph.listen(Odometry, "/r2/odom", qos.sensor(1.0))
        beliefs = graph.listen(PointCloud2, "/r2/beliefs", qos.EVENT)

        def speed() -> float:
            twist = odometry[-1][1].twist.twist
            return math.hypot(twist.linear.x, twist.linear.y) + abs(twist.angular.z)

        def suspicion(place: int = -1) -> float:
            points = clouds.decode(beliefs[place][1], clouds.BELIEFS)
            return float(points["p_adversary"][points["id"] == 1][0])

        def stood_after_s() -> float:
            """Kill the agent while its robot moves."""
            graph.until(lambda: speed() > 0.2)
            swarm.children()["r2/agent"].kill()
            seen = len(odometry)
            graph.until(lambda: len(odometry) > seen and speed() < 0.02)
            # by the stamps, because a busy machine delivers late
            return stamp_s(odometry[-1]) - stamp_s(odometry[seen - 1])

        graph.until(lambda: beliefs and suspicion() > 0.8, PATIENCE_S)
        first, killed = swarm.children()["r2/agent"], time.monotonic()
        standing_s = [stood_after_s()]
        beliefs.clear()
        graph.until(lambda: beliefs)
        rejoined = beliefs[0][0]
        remembered = suspicion(0)
        graph.until(lambda: speed() > 0.2)
        second = swarm.children()["r2/agent"]
        # a busy machine may hold up one of them, not all
        while min(standing_s) > 0.5 and len(standing_s) < 4:
            standing_s.append(stood_after_s())
            graph.until(lambda: speed() > 0.2)
        print(f"stood after {standing_s} s, rejoined after {rejoined - killed:.1f} s")
        assert swarm.interrupt() == 1
    assert min(standing_s) <= 0.5
    assert second.pid != first.pid
    assert remembered < 0.5
    report = swarm.report()
    assert report.restarts == len(standing_s)
    exits = [(end.name, end.exit) for end in report.processes if end.exit != 0]
    assert exits == [("r2/agent", -signal.SIGKILL)] * len(standing_s)
    assert "Traceback" not in swarm.logs()


@pytest.mark.ros
def test_robots_that_hang_come_or_go_disturb_the_others(tmp_path: Path) -> None:
    """A fleet without r3 starts; r1 hangs and is back; r3 comes and goes; r0 decides all along."""
    from diagnostic_msgs.msg import DiagnosticArray
    from ros_graph import probe

    from eir_ros.nodes import messages, qos

    def robot(*words: str) -> str:
        command = [sys.executable, "-m", "eir_ros.cli.main", "robot", *words]
        done = subprocess.run(
            [*command, "--run-dir", str(tmp_path)], capture_output=True, text=True, cwd=ROOT
        )
        return " ".join((done.stdout + done.stderr).split())

    def reports(name: str) -> list[dict[str, str]]:
        every = [status for _, array in told for status in array.status]
        return [messages.values_of(s) for s in every if s.name == f"{name}/agent"]

    def since_prior(name: str) -> int:
        """How many decisions the beliefs of `name` are old, by its newest report."""
        return int(graph.until(lambda: reports(name))[-1]["decisions_since_prior"])

    with running(tmp_path, "--headless", "--absent", "r3") as swarm, probe() as graph:
        told = graph.listen(DiagnosticArray, "/diagnostics", qos.DIAGNOSTICS)
        decided = {r: graph.listen(DiagnosticArray, f"/{r}/decision", qos.EVENT) for r in TEAM}
        graph.until(lambda: all(len(decided[r]) > 25 for r in TEAM[:3]), PATIENCE_S)
        assert "r3/agent: not running, 0 ended" in robot("list")
        assert since_prior("r1") > 5
        first = swarm.children()["r1/agent"]
        first.suspend()
        hung = time.monotonic()
        hung_at_s = stamp_s(decided["r1"][-1])
        told.clear()
        graph.until(lambda: not first.is_running())
        noticed_s = time.monotonic() - hung
        graph.until(lambda: swarm.children().get("r1/agent", first) != first)
        restarted_s = time.monotonic() - hung
        assert robot("add", "r3") == "r3 is added."
        # what is heard of r1 until a second later may have been on its way
        graph.until(lambda: decided["r3"] and stamp_s(decided["r1"][-1]) > hung_at_s + 1.0)
        told.clear()
        graph.until(lambda: len(told) > 6)
        assert since_prior("r1") < since_prior("r0")
        assert robot("remove", "r3") == "r3 is removed."
        graph.until(lambda: "r3/gate: not running, 1 ended" in robot("list"))
        seen = len(decided["r0"])
        graph.until(lambda: len(decided["r0"]) > seen + 10)
        assert swarm.interrupt() == 1
    # by the stamps, because the probe hears late what is said while it asks for something
    gap_s, away_s = (
        np.diff([stamp_s(message) for message in decided[name][10:]]).max() for name in ("r0", "r1")
    )
    print(f"noticed after {noticed_s:.2f} s, started again after {restarted_s:.2f} s")
    print(f"longest gap between decisions: {gap_s:.2f} s of r0, {away_s:.2f} s of r1")
    assert restarted_s < 10.0
    # a busy machine holds up everybody, and the one that starts again most
    assert gap_s < max(1.0, away_s / 2)
    ends = [(end.name, end.exit) for end in swarm.report().processes if end.exit]
    assert ends == [("r1/agent", -signal.SIGKILL)]
    assert "r1/agent hangs: no sign of life for" in swarm.output
    assert "r1 is back with a new agent: its beliefs start from the prior" in swarm.output
    assert "r3" in {fault.robot for fault in swarm.report().faults if fault.kind == "absent"}
    assert "Traceback" not in swarm.logs() + swarm.output + swarm.errors


@pytest.mark.ros
@pytest.mark.parametrize("moment", ["starting", "running"])
def test_ctrl_c_is_not_clean(tmp_path: Path, moment: str) -> None:
    from nav_msgs.msg import Odometry
    from ros_graph import probe

    from eir_ros.nodes import qos

    port = free_port()
    record = tmp_path / "recording"
    arguments = ("--port", str(port), "--record", str(record))
    with running(tmp_path, *arguments) as swarm, probe() as graph:
        heard = [graph.listen(Odometry, f"/{r}/odom", qos.sensor(1.0)) for r in TEAM]
        if moment == "running":
            graph.until(lambda: all(map(len, heard)), PATIENCE_S)
            start = [places(messages)[0] for messages in heard]
            graph.until(
                lambda: all(
                    np.linalg.norm(places(messages)[-1] - where) > 0.1
                    for messages, where in zip(heard, start, strict=True)
                )
            )
            url = f"http://127.0.0.1:{port}/"
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as page:
                assert b"<html" in page.read()
        else:
            # one is held up, so that no robot moves; the request to end waits for its imports only
            late = graph.until(lambda: swarm.children().get("r0/agent"))
            late.suspend()
            gates = [f"/{robot}/gate" for robot in TEAM]
            agents = [f"/{robot}/agent" for robot in TEAM[1:]]
            listens(swarm, "/world", "/monitor", "/recorder", *gates, *agents)
            late.resume()
        assert swarm.interrupt() == 0, swarm.errors + swarm.logs()
    assert ("ended before the robots moved: SIGINT" in swarm.output) is (moment == "starting")
    assert ("reward per decision" in swarm.output) is (moment == "running")
    assert {end.exit for end in swarm.report().processes} == {0}
    assert "Traceback" not in swarm.logs() + swarm.output + swarm.errors


@pytest.mark.ros
def test_a_secure_swarm_can_be_reached_from_the_network(tmp_path: Path) -> None:
    bundle = shutil.copytree(BUNDLE, tmp_path / "bundle")
    sign_bundle(bundle, load_private_key(make_keys(tmp_path / "trusted")))
    own = ("--bundle", str(bundle), "--trusted-keys", str(tmp_path / "trusted"))
    with running(tmp_path, "--headless", "--secure", *own) as swarm:
        assert swarm.popen.stdout is not None
        assert any("the robots move" in line for line in swarm.popen.stdout)
        children = swarm.children()
        sockets = {name: child.net_connections("udp") for name, child in children.items()}
        assert swarm.interrupt() == 0, swarm.errors + swarm.logs()
    assert len(sockets) == 10
    assert not any(sockets.values())


@pytest.mark.ros
def test_a_mission_without_robots_is_a_success(tmp_path: Path) -> None:
    with running(tmp_path, "--headless", "--no-simulation") as swarm:
        assert swarm.popen.stdout is not None
        assert any(
            "no odometry from r0, r1, r2, r3 after 5 s" in line for line in swarm.popen.stdout
        )
        assert swarm.interrupt() == 1, swarm.errors
    assert "ended before any decision: SIGINT" in swarm.output
    assert "reward per decision" not in swarm.output
    assert swarm.report().decisions == 0
    assert {end.exit for end in swarm.report().processes} == {0}


@pytest.mark.ros
def test_a_refusal_at_run_time_is_buried_in_a_summary(tmp_path: Path) -> None:
    """A player of recordings is no namesake, but its clock is not to be had twice.

    On a busy machine the world may find it only after the start, when the monitor reports it.
    """
    from ros_graph import probe
    from rosgraph_msgs.msg import Clock

    from eir_ros.nodes import qos

    with probe() as graph:
        graph.node.create_publisher(Clock, "/clock", qos.CLOCK)
        for attempt in "abc":
            folder = tmp_path / attempt
            folder.mkdir()
            with running(folder, "--headless", "--duration", "5") as swarm:
                if swarm.end():
                    break
    assert swarm.popen.returncode == 2
    assert "error: world: another world, or a player of recordings, publishes" in swarm.errors
    assert "no measurements" not in swarm.errors
    assert "error: error:" not in swarm.errors
    assert "(error" not in swarm.output + swarm.errors
    assert "reward per decision" not in swarm.output
    assert swarm.report().ticks == 0


@pytest.mark.ros
def test_a_second_swarm_disturbs_the_first(refused: Any, tmp_path: Path) -> None:
    with running(tmp_path, "--headless") as swarm:
        listens(swarm, "/world", "/r0/gate")
        sentence = refused("--headless")
        assert "a swarm of these names is here already: /" in sentence
        assert f"in ROS_DOMAIN_ID={os.environ['ROS_DOMAIN_ID']}; end it" in sentence
        assert swarm.interrupt() == 0, swarm.errors + swarm.logs()
    assert swarm.report().restarts == 0


@pytest.mark.ros
def test_what_crashed_blocks_the_next_swarm(tmp_path: Path) -> None:
    """Nothing that is dead is found; whoever is alive is, also beside it."""
    from ros_graph import node_process, probe

    from eir_ros.nodes.company import look

    world = {"world": {"team": ["r0", "r1", "r2"], "wait_for": ["/nobody"]}}
    with probe() as graph, node_process("world", "/", world, tmp_path) as process:
        graph.publishers("/clock")
        assert look(["/world", "/r0/gate"]) == {"/world"}
        assert look(["/r0/gate"]) == set()
        process.popen.kill()
        process.popen.wait()
        assert look(["/world"]) == set()


def listens(swarm: Swarm, *names: str) -> None:
    """Wait until nodes of the swarm are on the graph."""
    from ros_graph import probe

    from eir_ros.nodes.company import namesakes

    with probe() as graph:
        graph.until(lambda: namesakes(graph.node, names) == set(names), PATIENCE_S)
    assert swarm.popen.poll() is None


def stamp_s(message: tuple[float, Any]) -> float:
    """Mission time of a message with a header [s]."""
    stamp = message[1].header.stamp
    return float(stamp.sec + stamp.nanosec * 1e-9)


def places(messages: list[tuple[float, Any]]) -> Any:
    """x, y of odometry messages, (T, 2) [m]."""
    poses = [message.pose.pose.position for _, message in messages]
    return np.array([(pose.x, pose.y) for pose in poses])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# Refusals: nothing is started, one sentence, status 2


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run `eir swarm` with wrong arguments, and return the sentence."""

    def run(*arguments: str) -> str:
        folder = tmp_path / "run"
        words = ["eir", "swarm", "--bundle", str(BUNDLE), "--run-dir", str(folder), *arguments]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert not folder.exists()
        return " ".join(capsys.readouterr().err.split())

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fault", "r9:stop@1"), "the team is r0, r1, r2, r3"),
        (("--fault", "r2:gremlin"), "unknown fault kind 'gremlin'"),
        (("--fault", "r2:stop@9-3"), "not after its start"),
        (("--fault", "none.yaml"), "none.yaml: cannot be read"),
        (("--robots", "3"), "a team of 3 robots was asked for, but bundle"),
        (("--robots", "r0,rx"), "'rx' of 'r0,rx' is not in the roster"),
        (("--task", "pursuit"), "trained for the task 'coverage'"),
        (("--bundle", "/none"), "/none: there is no bundle here"),
        (("--roster", "/none.yaml"), "/none.yaml: cannot be read"),
        (("--json", "/none/report.json"), "its folder does not exist"),
        (("--record", "/tmp"), "/tmp exists already"),
        (("--record", "/none/of/these"), "/none/of/these: its folder does not exist"),
        (("--record", ""), "--record names no folder"),
        (("--headless", "--port", "8081"), "--port is of the operator page, which --headless"),
        (("--headless", "--address", "::1"), "--address is of the operator page, which"),
        (("--port", "0"), "should be greater than or equal to 1"),
        (("--duration", "inf"), "the duration is inf s, expected 0 to 1e+06"),
        (("--lockstep", "--no-simulation"), "lockstep needs the simulated world"),
        (("--absent", "r7"), "absent robot 'r7' is not in the team r0, r1, r2, r3"),
        (("--absent", "r3", "--lockstep"), "lockstep waits for every robot"),
        (("--absent", "r0,r1,r2,r3"), "every robot is to be absent"),
        (("--seed", "-1"), "should be greater than or equal to 0"),
    ],
)
def test_a_wrong_word_starts_a_swarm(refused: Any, arguments: Any, words: str) -> None:
    assert words in refused(*arguments)


@pytest.mark.parametrize("domain", ["233", "900", "seven", "-1"])
def test_a_domain_that_there_cannot_be_ends_in_a_riddle(
    refused: Any, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    words = f"ROS_DOMAIN_ID is '{domain}'; expected a number from 0 to 232"
    assert words in refused("--network-domain", "1")
    with pytest.raises(EirError, match=words):
        ask("estop_order", "stop", absent="")


@pytest.mark.parametrize(
    ("address", "token", "said"),
    [
        ("0.0.0.0", "", f"http://{socket.gethostname()}:8080/#token=made-up"),
        ("::", "", f"http://{socket.gethostname()}:8080/#token=made-up"),
        ("fd00::7", "", "http://[fd00::7]:8080/#token=made-up"),
        ("10.0.0.7", "chosen", "http://10.0.0.7:8080"),
        ("127.0.0.1", "", ""),
    ],
)
def test_an_address_of_the_page_cannot_be_opened_elsewhere(
    monkeypatch: pytest.MonkeyPatch, address: str, token: str, said: str
) -> None:
    monkeypatch.setenv("EIR_TOKEN", token)
    options = Options(bundle=BUNDLE, address=address, token=token or "made-up")
    monitor = [Process("monitor", "monitor", "/", {"monitor": {}})]
    assert prepare.page_from_elsewhere(monitor, options) == said
    # a robot's own host serves none
    assert prepare.page_from_elsewhere([], options) == ""


def test_a_wrong_roster_starts_a_swarm(refused: Any, tmp_path: Path) -> None:
    roster = tmp_path / "roster.yaml"
    text = prepare.default_roster().read_text()
    roster.write_text(text.replace("name: r1", "name: r0"))
    assert "'r0' is used 2 times" in refused("--roster", str(roster))
    roster.write_text(text.replace("max_speed", "max_sped"))
    assert "did you mean 'max_speed'" in refused("--roster", str(roster))


def test_a_changed_bundle_starts_a_swarm(refused: Any, tmp_path: Path) -> None:
    copy = shutil.copytree(BUNDLE, tmp_path / "bundle")
    data = bytearray((copy / "policy.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "policy.onnx").write_bytes(data)
    assert "policy.onnx" in refused("--bundle", str(copy))


def test_a_taken_port_is_found_too_late(refused: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused("--port", str(port))


def test_a_dry_run_starts_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = ["eir", "swarm", "--bundle", str(BUNDLE), "--run-dir", str(folder), "--dry-run"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "__ns:=/r2" in shown
    assert "eir_ros.nodes.world" in shown
    assert not folder.exists()


def test_a_dry_run_accepts_what_the_start_refuses(refused: Any, tmp_path: Path) -> None:
    assert "exists already" in refused("--record", str(tmp_path), "--dry-run")
    assert "is a folder" in refused("--json", str(tmp_path), "--dry-run")


@pytest.mark.ros
def test_a_hung_or_crashed_agent_ends_the_run_or_moves_its_robot(tmp_path: Path) -> None:
    """Faults of processes, by schedule; and one by hand, from another terminal."""
    from nav_msgs.msg import Odometry
    from ros_graph import probe

    from eir_ros.nodes import qos

    schedule = ("--fault", "r1:hang@3-8", "--fault", "r2:crash@3")
    with running(tmp_path, "--headless", *schedule) as swarm, probe() as graph:
        odometry = graph.listen(Odometry, "/r1/odom", qos.sensor(1.0))

        def stands() -> bool:
            """For half a second; soon after it, its agent is killed and started again."""
            last = [heard for heard in odometry[-6:] if stamp_s(heard) > 3.0]
            return len(last) == 6 and np.ptp(places(last), axis=0).max() < 1e-6

        graph.until(stands, PATIENCE_S)
        order = [sys.executable, "-m", "eir_ros.cli.main", "fault", "r3"]
        refused = subprocess.run([*order, "slow", "gain=7"], capture_output=True, text=True)
        assert refused.returncode == 2
        assert "expected a number from 0 to 1" in refused.stderr
        done = subprocess.run(
            [*order, "slow", "gain=0.1", "--for", "2"], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "r3 is broken: slow(gain=0.1) for 2 s\n"

        def goes_on() -> bool:
            later = [heard for heard in odometry if stamp_s(heard) > 8.0]
            return len(later) > 1 and np.ptp(places(later), axis=0).max() > 1e-3

        # at the latest when its site moves, at 12 s
        graph.until(goes_on)
        stranger = subprocess.run([*order[:-1], "r9", "stop"], capture_output=True, text=True)
        # on a busy computer not all are found in time
        said = r"error: no robot 'r9' with a node 'fault' was found here; expected one of r\d.*\.\n"
        assert re.fullmatch(said, stranger.stderr)
        assert swarm.interrupt() == 1
    report = swarm.report()
    exits = [(end.name, end.exit) for end in report.processes if end.exit != 0]
    assert {("r1/agent", -signal.SIGKILL), ("r2/agent", -signal.SIGKILL)} <= set(exits)
    found = {fault.robot: fault for fault in report.faults}
    assert found["r3"].parameters == "gain=0.1"
    assert found["r3"].end_s == pytest.approx(found["r3"].start_s + 2.0, abs=1e-3)
    # it counts for two seconds, and until there is an agent again
    assert found["r2"].kind == "crash"
    assert found["r2"].end_s is not None
    assert 5.0 <= found["r2"].end_s < 60.0
    assert "Traceback" not in swarm.logs()

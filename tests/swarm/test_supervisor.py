"""The supervisor with stand-in processes: small scripts in place of nodes."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from eir_ros.contract.errors import EirError
from eir_ros.swarm.control import Order, give
from eir_ros.swarm.process import Process
from eir_ros.swarm.supervisor import Outcome, Supervisor

#: A well-behaved node: hears requests to end once it is ready, and ends with 0.
NODE = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
print("ready", flush=True)
while True:
    signal.pause()
"""
DEAF = "import time; print('deaf', flush=True); time.sleep(600)"


@dataclass(frozen=True)
class Script(Process):
    """A process whose program is given as text."""

    source: str = NODE

    def command(self, parameters: Path | str) -> list[str]:
        """Run the text, whatever the parameters."""
        return [sys.executable, "-I", "-c", textwrap.dedent(self.source)]


def script(name: str, source: str = NODE, **options: Any) -> Script:
    return Script(name, name, "/", {name: {}}, source=source, **options)


class Heard:
    """Collects what the supervisor says; reacts when lines hold texts."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._reactions: list[tuple[set[str], Callable[[], None]]] = []

    def on(self, text: str, action: Callable[[], None], *more: str) -> "Heard":
        """Do `action` once when lines held `text` and all `more`, in whatever order."""
        self._reactions.append(({text, *more}, action))
        return self

    def __call__(self, line: str) -> None:
        """Take one line."""
        self.lines.append(line)
        for reaction in list(self._reactions):
            missing, action = reaction
            missing -= {text for text in missing if text in line}
            if not missing:
                self._reactions.remove(reaction)
                action()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def run(plan: list[Script], tmp_path: Path, heard: Heard, **options: float) -> Outcome:
    return Supervisor(plan, tmp_path, os.environ, heard, **options).run()


def status_of(outcome: Outcome) -> dict[str, int]:
    return {end.name: end.exit for end in outcome.exits}


def test_a_secret_reaches_another_process(tmp_path: Path) -> None:
    tell = "import os; print('token', os.environ.get('EIR_TOKEN'), flush=True)"
    heard = Heard()
    plan = [
        script("a", tell, secrets={"EIR_TOKEN": "s3cret"}, speaks=True),
        script("b", tell, speaks=True),
    ]
    run(plan, tmp_path, heard)
    assert "token s3cret" in heard.lines
    assert "token None" in heard.lines
    assert not [p for p in tmp_path.rglob("*.yaml") if "s3cret" in p.read_text()]


def test_ctrl_c_leaves_a_process_running(tmp_path: Path) -> None:
    # a browser of other tests may be there
    before = psutil.Process().children()
    heard = Heard().on("ready", interrupt)
    outcome = run([script("a"), script("b", speaks=True), script("c")], tmp_path, heard)
    assert outcome.clean
    assert status_of(outcome) == {"a": 0, "b": 0, "c": 0}
    assert outcome.reason == "SIGINT"
    assert psutil.Process().children() == before


def test_ctrl_c_during_the_imports_prints_a_traceback(tmp_path: Path) -> None:
    """The request waits until the node listens, instead of raising KeyboardInterrupt."""
    slow = "import time; time.sleep(0.5)" + NODE
    first = script("first", "print('up', flush=True)" + NODE, speaks=True)
    outcome = run([script("slow", slow), first], tmp_path, Heard().on("up", interrupt))
    assert outcome.clean
    assert "Traceback" not in (tmp_path / "log" / "slow.log").read_text()


def test_a_deaf_process_outlives_the_run(tmp_path: Path) -> None:
    heard = Heard().on("deaf", interrupt, "ready")
    plan = [script("d", DEAF, speaks=True), script("a", speaks=True)]
    outcome = run(plan, tmp_path, heard, grace_s=3.0)
    assert status_of(outcome) == {"d": -signal.SIGKILL, "a": 0}
    assert not outcome.clean
    assert any("killed" in line for line in heard.lines)


def test_a_second_ctrl_c_is_ignored(tmp_path: Path) -> None:
    timer = threading.Timer(1.0, interrupt)
    heard = Heard().on("deaf", interrupt).on("deaf", timer.start)
    began = time.monotonic()
    outcome = run([script("d", DEAF, speaks=True)], tmp_path, heard, grace_s=30.0)
    timer.join()
    assert time.monotonic() - began < 30.0
    assert status_of(outcome) == {"d": -signal.SIGKILL}


def test_a_crashed_process_stays_away(tmp_path: Path) -> None:
    source = f"""
import os, pathlib, signal
first = pathlib.Path({str(tmp_path / "crashed")!r})
if not first.exists():
    first.touch()
    os.kill(os.getpid(), signal.SIGKILL)
print("back", flush=True)
{NODE}
"""
    heard = Heard().on("back", interrupt)
    began = time.monotonic()
    outcome = run([script("agent", source, restart=True, speaks=True)], tmp_path, heard)
    assert time.monotonic() - began < 15.0
    assert outcome.restarts == 1
    assert [end.exit for end in outcome.exits] == [-signal.SIGKILL, 0]
    assert not outcome.clean  # the crash is not forgotten
    assert any("signal 9" in line for line in heard.lines)


def test_a_hopeless_process_is_started_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eir_ros.swarm.supervisor._BACK_OFF_S", (0.01,))
    outcome = run(
        [script("agent", "raise SystemExit('broken')", restart=True), script("b")],
        tmp_path,
        Heard(),
    )
    assert outcome.restarts == 6
    assert "broken" in outcome.reason
    assert status_of(outcome)["b"] == 0


def test_a_refusal_is_tried_again(tmp_path: Path) -> None:
    """Status 2 is a sentence for the user; another try would only repeat it."""
    source = "import sys; print('error: no bundle', file=sys.stderr); sys.exit(2)"
    outcome = run([script("agent", source, restart=True), script("b")], tmp_path, Heard())
    assert outcome.restarts == 0
    assert outcome.refused
    assert outcome.reason == "agent: no bundle"


def test_a_sentence_is_buried_in_the_noise_around_it(tmp_path: Path) -> None:
    """The world as well: it ends the run in any case, but this is no crash."""
    source = """
import sys
for line in ("[WARN] slow", "error: another world is here.", "[INFO] closed"):
    print(line, file=sys.stderr)
sys.exit(2)
"""
    outcome = run([script("world", source, ends_run=True), script("b")], tmp_path, Heard())
    assert outcome.refused
    assert not outcome.clean
    assert outcome.reason == "world: another world is here."


def test_the_swarm_outlives_its_world(tmp_path: Path) -> None:
    world = script("world", "", ends_run=True)
    outcome = run([world, script("agent", restart=True)], tmp_path, Heard())
    assert outcome.clean
    assert outcome.restarts == 0
    assert outcome.reason == "the mission is over"


def test_a_crashed_world_counts_as_a_finished_one(tmp_path: Path) -> None:
    outcome = run([script("world", "1/0", ends_run=True), script("agent")], tmp_path, Heard())
    assert not outcome.clean
    assert not outcome.refused
    assert "ZeroDivisionError" in outcome.reason


def test_the_run_ignores_its_duration(tmp_path: Path) -> None:
    outcome = run([script("a")], tmp_path, Heard(), duration_s=0.5)
    assert outcome.clean
    assert "0.5 s are over" in outcome.reason


def test_a_child_of_a_child_is_left_over(tmp_path: Path) -> None:
    source = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""
    heard = Heard()
    run([script("world", source, ends_run=True, speaks=True)], tmp_path, heard)
    # the grandchild is not ours to wait for; once killed, init reaps it
    psutil.wait_procs([p for p in psutil.process_iter() if p.pid == int(heard.lines[0])], 60)
    assert not psutil.pid_exists(int(heard.lines[0]))


def test_processes_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    source = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from pathlib import Path
from test_supervisor import script
from eir_ros.swarm.supervisor import Supervisor
Supervisor([script("a", speaks=True)], Path({str(tmp_path)!r}), os.environ, print).run()
"""
    parent = subprocess.Popen([sys.executable, "-u", "-c", source], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    children = psutil.Process(parent.pid).children()
    assert len(children) == 1
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []


def test_parameters_do_not_reach_the_process(tmp_path: Path) -> None:
    process = script("r2/agent", "")
    run([Script("world", "world", "/", {}, source="", ends_run=True), process], tmp_path, Heard())
    assert (tmp_path / "r2.agent.yaml").read_text() == process.parameter_text()


# Hangs

#: A node as `nodes.run` makes it: shows that it comes round until told, through a file, to hang.
BEATING = """
import pathlib, signal, sys, time
sys.path[:0] = {path!r}
from eir_ros.swarm.alive import Pulse
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {{signal.SIGINT, signal.SIGTERM}})
pulse = Pulse()
pulse.beat()
print("up", flush=True)
while True:
    pulse.beat()
    time.sleep({nap})
"""


def beating(nap: float = 0.05) -> str:
    return BEATING.format(path=[str(Path(__file__).parents[2])], nap=nap)


def find(tag: str) -> psutil.Process:
    """The child whose program holds `tag`."""
    (found,) = [c for c in psutil.Process().children() if any(tag in a for a in c.cmdline())]
    return found


def test_a_hung_process_is_left_hanging(tmp_path: Path) -> None:
    """Stopped as it is, it has not ended, and only its silence tells."""
    source = beating() + "# agent"
    plan = [
        script("agent", source, restart=True, speaks=True, patience_s=1.5),
        script("other", beating(), patience_s=1.5),
    ]
    stopped: list[float] = []

    def hang() -> None:
        stopped.append(time.monotonic())
        threading.Timer(0.3, lambda: find("# agent").send_signal(signal.SIGSTOP)).start()

    heard = Heard().on("up", hang).on("hangs", lambda: heard.on("up", interrupt))
    outcome = run(plan, tmp_path, heard)
    assert time.monotonic() - stopped[0] < 20.0
    assert [end.exit for end in outcome.exits] == [-signal.SIGKILL, 0, 0]
    assert outcome.restarts == 1
    assert any("agent hangs: no sign of life for" in line for line in heard.lines)


def test_a_supervisor_that_was_held_up_kills_who_is_well(tmp_path: Path) -> None:
    heard = Heard()
    plan = [script("a", beating(), speaks=True, patience_s=1.0)]

    def hold_up() -> None:
        time.sleep(2.0)  # as if it were stopped; the signs of life wait in the pipe
        threading.Timer(1.0, interrupt).start()

    outcome = run(plan, tmp_path, heard.on("up", hold_up))
    assert outcome.clean
    assert heard.lines == ["up"]


def test_a_process_that_is_not_let_run_is_taken_for_hung(tmp_path: Path) -> None:
    """It shares one processor with others that come first, as on a computer with too much to do."""
    tied = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\n"
    # what takes long is what it does between two signs of life
    work = beating().replace("time.sleep(0.05)", "sum(k * k for k in range(500_000))")
    plan = [script("agent", tied + work, restart=True, speaks=True, patience_s=0.5)]
    circles = [sys.executable, "-c", tied + "while True: pass"]
    crowd: list[subprocess.Popen[bytes]] = []

    def crowded() -> None:
        # a session each, as the processes of a plan have: the kernel shares out between sessions
        crowd.extend(subprocess.Popen(circles, start_new_session=True) for _ in range(24))
        threading.Timer(3.0, lambda: [each.kill() for each in crowd]).start()
        threading.Timer(3.5, interrupt).start()

    heard = Heard().on("up", crowded)
    outcome = run(plan, tmp_path, heard)
    for each in crowd:
        each.wait()
    assert heard.lines == ["up"]
    assert outcome.clean


def test_a_process_that_never_comes_up_is_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eir_ros.swarm.child.START_S", 0.5)
    heard = Heard().on("started again", interrupt)
    outcome = run([script("agent", DEAF, restart=True)], tmp_path, heard)
    assert any("has not come up: no sign of life" in line for line in heard.lines)
    assert [end.exit for end in outcome.exits] == [-signal.SIGKILL]


def test_one_robot_that_keeps_crashing_ends_the_run_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eir_ros.swarm.supervisor._BACK_OFF_S", (0.01,))
    source = beating().replace("while True:", "for _ in range(3):") + "\nraise SystemExit('broken')"
    heard = Heard().on("again and again; the run goes on", interrupt)
    plan = [script("r2/agent", source, restart=True, robot="r2"), script("r1/agent")]
    outcome = run(plan, tmp_path, heard)
    assert outcome.restarts == 6
    assert outcome.reason == "SIGINT"
    assert status_of(outcome)["r1/agent"] == 0


@pytest.mark.parametrize("status", [1, 2])
def test_a_robot_drives_on_when_nobody_can_stop_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """It came up once, and is then refused, or crashes again and again."""
    monkeypatch.setattr("eir_ros.swarm.supervisor._BACK_OFF_S", (0.01,))
    source = beating().replace("while True:", "for _ in range(3):")
    link = script("r2/link", f"{source}\nraise SystemExit({status})", restart=True, vital=True)
    outcome = run([link, script("r2/gate", robot="r2")], tmp_path, Heard())
    assert f"r2/link ended with status {status}" in outcome.reason
    assert status_of(outcome)["r2/gate"] == 0


def test_a_disk_that_fails_ends_the_run_of_the_others(tmp_path: Path) -> None:
    source = f"""
import os, pathlib, shutil, signal
log = pathlib.Path({str(tmp_path / "log")!r})
if not pathlib.Path({str(tmp_path / "crashed")!r}).exists():
    pathlib.Path({str(tmp_path / "crashed")!r}).touch()
    shutil.rmtree(log)
    log.touch()
    raise SystemExit(1)
print("back", flush=True)
{NODE}
"""

    def repair() -> None:
        (tmp_path / "log").unlink()
        (tmp_path / "log").mkdir()

    heard = Heard().on("cannot be started", repair).on("back", interrupt)
    plan = [script("agent", source, restart=True, speaks=True), script("gate")]
    outcome = run(plan, tmp_path, heard)
    assert [end.exit for end in outcome.exits] == [1, 0, 0]
    assert outcome.restarts == 1


def test_a_supervisor_that_fails_leaves_robots_driving(tmp_path: Path) -> None:
    stood = tmp_path / "stood"
    gate = f"import atexit, pathlib\natexit.register(pathlib.Path({str(stood)!r}).touch)\n{NODE}"

    def fail() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run([script("gate", gate, speaks=True)], tmp_path, Heard().on("ready", fail))
    assert stood.exists()


def test_what_was_for_the_first_life_is_given_again(tmp_path: Path) -> None:
    """A schedule of faults for one: the operator may have cleared them since."""

    class Reader(Script):
        def command(self, parameters: Path | str) -> list[str]:
            return [*super().command(parameters), str(parameters)]

    source = f"import sys; print(open(sys.argv[-1]).read(), flush=True)\n{NODE}# gate"
    nodes = {"gate": {"robot": "r2"}, "fault": {"schedule": ["r2:stop@3"]}}
    once = frozenset({"schedule"})
    gate = Reader("gate", "gate", "/", nodes, source=source, restart=True, speaks=True, once=once)
    heard = Heard().on("ready", lambda: find("# gate").kill())
    heard.on("started again", lambda: heard.on("ready", interrupt))
    outcome = run([gate], tmp_path, heard)
    assert [end.exit for end in outcome.exits] == [-signal.SIGKILL, 0]
    assert len([line for line in heard.lines if "robot: r2" in line]) == 2
    assert len([line for line in heard.lines if "r2:stop@3" in line]) == 1


# Robots that come and go


def order(folder: Path, do: str, robot: str = "") -> str:
    """Give an order from another thread, as another terminal does; the supervisor has this one."""
    said: list[str] = []

    def ask() -> None:
        try:
            said.append(give(folder, Order(do=do, robot=robot)))  # type: ignore[arg-type]
        except EirError as error:
            said.append(f"refused: {error}")

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return said[0]


def test_a_robot_cannot_come_and_go(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 30)  # longer than the address of a socket may be
    folder.mkdir()
    plan = [
        script("r0/agent", speaks=True, robot="r0", restart=True),
        script("r1/gate", speaks=True, robot="r1"),
        script("r1/agent", speaks=True, robot="r1"),
    ]
    said: list[str] = []

    def orders() -> None:
        while not heard.lines:
            time.sleep(0.01)
        said.append(order(folder, "list"))
        said.append(order(folder, "remove", "r1"))
        said.append(order(folder, "add", "r9"))
        said.append(order(folder, "add", "r1"))
        said.append(order(folder, "add", "r1"))
        while heard.lines.count("ready") < len(plan):
            time.sleep(0.01)
        said.append(order(folder, "remove", "r1"))
        while "r1/gate: not running, 1 ended" not in order(folder, "list"):
            time.sleep(0.01)
        interrupt()

    heard = Heard()
    thread = threading.Thread(target=orders)
    thread.start()
    outcome = Supervisor(plan, folder, os.environ, heard, absent=["r1"]).run()
    thread.join()
    assert "r0/agent: starting, 0 ended" in said[0]
    assert "r1/gate: not running, 0 ended" in said[0]
    assert said[1:] == [
        "refused: r1 is not here; nothing was ended.",
        "refused: 'r9' has no processes in this run; it has r0, r1. A policy is made for its "
        "team: for another one end the run, change the roster and start again.",
        "r1 is added.",
        "refused: r1 is here already; nothing was started.",
        "r1 is removed.",
    ]
    assert outcome.clean
    assert outcome.restarts == 0
    assert len(outcome.exits) == 3
    with pytest.raises(EirError, match="no swarm runs in"):
        give(folder, Order(do="list"))


@pytest.mark.parametrize("line", [b"", b"nonsense\n", b'{"do": "eat"}\n', b"[1]\n", b"\xff\xff\n"])
def test_a_strange_caller_ends_the_run(tmp_path: Path, line: bytes) -> None:
    answers: list[bytes] = []

    def call() -> None:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(tmp_path / "control.sock"))
            caller.sendall(line)
            answers.append(caller.recv(4096))
        interrupt()

    heard = Heard().on("ready", lambda: threading.Thread(target=call).start())
    assert run([script("a", speaks=True)], tmp_path, heard).clean
    assert answers[0] == b"" or b'"ok": false' in answers[0]


def test_a_robot_that_is_leaving_is_asked_again_when_the_run_ends(tmp_path: Path) -> None:
    # as an interpreter that is shutting down: another request kills it
    slow = """
        import signal, sys, time
        def end(*_):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            time.sleep(0.5)
            sys.exit(0)
        signal.signal(signal.SIGINT, end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        print("ready", flush=True)
        signal.pause()
    """
    plan = [script("r0/agent", robot="r0"), script("r1/agent", slow, speaks=True, robot="r1")]

    def orders() -> None:
        while "ready" not in heard.lines:
            time.sleep(0.01)
        assert order(tmp_path, "remove", "r1") == "r1 is removed."
        interrupt()

    heard = Heard()
    thread = threading.Thread(target=orders)
    thread.start()
    outcome = Supervisor(plan, tmp_path, os.environ, heard).run()
    thread.join()
    assert outcome.clean

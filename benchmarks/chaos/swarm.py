"""The swarm that is struck: on this computer, or on one for the operator and one for each robot."""

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import yaml

from benchmarks.namespaces import Host
from eir_ros.contract.paths import share
from eir_ros.swarm.roster import OPERATOR

#: Sets the clock of some processes alone.
_CLOCK: Final = Path(__file__).with_name("clock.c")


def compiler() -> str | None:
    """What compiles the library that gives a computer its own clock; None: there is none."""
    return shutil.which("cc") or shutil.which("gcc")


class Swarm:
    """A running `eir swarm`, and who of it runs.

    Parameters
    ----------
    folder, bag
        New folders of logs and of the recording.
    seed
        Of the world.
    hosts
        Computers by the names of the roster's hosts; this process is on that of the operator. None:
        everything is on this one.
    """

    def __init__(
        self, folder: Path, bag: Path, seed: int, hosts: Mapping[str, Host] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._hosts = folder, hosts or {}
        self._ahead_s: Counter[str] = Counter()
        words = ["swarm", "--headless", "--seed", str(seed)]
        recorded = ["--record", str(bag)]
        if hosts is None:
            self._parts = [self._start([*words, *recorded, "--run-dir", str(folder)])]
        else:
            self._library = self._compile()
            words += ["--roster", str(self._roster(hosts))]
            own = ["--host", OPERATOR, "--run-dir", str(folder / OPERATOR)]
            self._parts = [self._start([*words, *recorded, *own])]
            self._parts += [
                self._start_robot(name, words) for name in self._hosts if name != OPERATOR
            ]
        self.seen: dict[int, psutil.Process] = {}

    def _start(self, words: list[str]) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "eir_ros.cli.main", *words]
        with (self._folder / "swarm.log").open("w") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)

    def _start_robot(self, name: str, words: list[str]) -> "subprocess.Popen[str]":
        environment = {}
        if self._library is not None:
            self._clock(name).write_bytes(struct.pack("=q", 0))
            environment = {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._clock(name))}
        words = [*words, "--host", name, "--run-dir", str(self._folder / name)]
        log = self._folder / f"{name}.log"
        return self._hosts[name].eir(*words, log=log, environment=environment)

    def _compile(self) -> Path | None:
        if (found := compiler()) is None:
            return None
        library = (self._folder / "clock.so").absolute()
        words = [found, "-shared", "-fPIC", "-O1", "-o", str(library), str(_CLOCK), "-ldl"]
        subprocess.run(words, check=True)
        return library

    def _roster(self, hosts: Mapping[str, Host]) -> Path:
        text = (share() / "config" / "rosters" / "default.yaml").read_text(encoding="utf-8")
        addresses = {name: host.address for name, host in hosts.items()}
        path = self._folder / "roster.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(text) | {"hosts": addresses}))
        return path

    def _clock(self, host: str) -> Path:
        return (self._folder / f"{host}.clock").absolute()

    def set_ahead(self, host: str, by_s: int) -> None:
        """Set the clock of a robot's computer ahead, once more."""
        self._ahead_s[host] += by_s
        # in place: who runs there has mapped this file
        with self._clock(host).open("r+b") as file:
            file.write(struct.pack("=q", self._ahead_s[host]))

    def plug(self, host: str, *, into: bool) -> None:
        """Put the cable of a robot's computer in, or pull it out."""
        self._hosts[host].plug(into=into)

    @property
    def runs(self) -> bool:
        """Whether no part of it has ended."""
        return all(part.poll() is None for part in self._parts)

    def processes(self) -> dict[str, psutil.Process]:
        """The processes of the plan that run now, by name."""
        found = {}
        for child in self._children():
            with suppress(psutil.Error):
                line = child.cmdline()
                if "--ros-args" not in line or "-m" not in line:
                    continue
                space = next(a for a in line if a.startswith("__ns:=")).removeprefix("__ns:=/")
                module = line[line.index("-m") + 1].removeprefix("eir_ros.nodes.")
                found[f"{space}/{module}".lstrip("/")] = child
                self.seen.setdefault(child.pid, child)
        return found

    def _children(self) -> list[psutil.Process]:
        found = []
        for part in self._parts:
            with suppress(psutil.Error):
                found += psutil.Process(part.pid).children()
        return found

    def end(self, timeout_s: float = 30.0) -> list[int]:
        """Ctrl-C; returns who of all that ever ran is still running."""
        for part in self._parts:
            if part.poll() is None:
                part.send_signal(signal.SIGINT)
        for part in self._parts:
            with suppress(subprocess.TimeoutExpired):
                part.wait(timeout_s)
        left = [pid for pid, child in self.seen.items() if child.is_running()]
        return left + [part.pid for part in self._parts if part.poll() is None]

    def kill(self) -> None:
        """End it in any case; its processes end with it."""
        for part in self._parts:
            if part.poll() is None:
                part.kill()
            part.wait()


def own_domain(hosts: Mapping[str, Host] | None = None) -> None:
    """Keep to this machine and away from other swarms, unless told otherwise.

    With hosts, this process joins them as the operator's do: by the robots' addresses.
    """
    if hosts is not None:
        addresses = [host.address for name, host in hosts.items() if name != OPERATOR]
        os.environ["ROS_STATIC_PEERS"] = ";".join(addresses)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))

"""Hosts that are not there: network namespaces of this machine, joined by a bridge.

Each has its own network and its own shared memory, as computers have. Needs root and iproute2.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def missing() -> str:
    """What keeps this machine from having them; empty when nothing does."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2"
    # some containers give root no right to
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "network namespaces are not permitted here"


class Host:
    """One namespace, and what runs in it."""

    def __init__(self, name: str, number: int, tag: str) -> None:
        self.name = name
        self.namespace = f"{tag}-{name}"
        self.address = f"10.213.77.{number}"
        #: The end of its cable at the bridge.
        self.port = f"{tag}{number}"
        self._processes: list[subprocess.Popen[str]] = []

    def start(
        self, *command: str, log: Path, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start a command on this host."""
        # a host's shared memory is its own: Fast DDS would find every process of the machine in it
        inside = ["sh", "-c", 'mount -t tmpfs shm /dev/shm && exec "$@"', "sh", *command]
        with log.open("w") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *inside],
                env={**_clean_environment(), **(environment or {})},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._processes.append(process)
        return process

    def eir(self, *words: str, log: Path, **more: Any) -> "subprocess.Popen[str]":
        """Start `eir` on this host."""
        return self.start(sys.executable, "-m", "eir_ros.cli.main", *words, log=log, **more)

    def plug(self, *, into: bool) -> None:
        """Put the cable in, or pull it out."""
        _ip("link", "set", self.port, "up" if into else "down")

    def packets(self) -> int:
        """Sent and received since the host was made."""
        folder = Path("/sys/class/net") / self.port / "statistics"
        return sum(int((folder / f"{way}_packets").read_text()) for way in ("rx", "tx"))

    def end(self) -> None:
        """End everything that was started here and still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def network(*names: str) -> Iterator[dict[str, Host]]:
    """Hosts of these names on one network; gone afterwards, with all that runs on them."""
    tag = f"eir{os.getpid() % 10000}"
    hosts = {name: Host(name, number, tag) for number, name in enumerate(names, start=1)}
    try:
        _ip("link", "add", f"{tag}b", "type", "bridge")
        _ip("link", "set", f"{tag}b", "up")
        for host in hosts.values():
            _make(host, f"{tag}b")
        yield hosts
    finally:
        for host in hosts.values():
            host.end()
        for host in hosts.values():
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", host.namespace)
        with suppress(subprocess.CalledProcessError):
            _ip("link", "del", f"{tag}b")


def _make(host: Host, bridge: str) -> None:
    _ip("netns", "add", host.namespace)
    _ip("link", "add", host.port, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _ip("link", "set", host.port, "master", bridge, "up")
    _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", host.namespace, "link", "set", device, "up")
    # a link-local network of everybody, as a router would make
    _ip("-n", host.namespace, "route", "add", "default", "dev", "eth0")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _clean_environment() -> dict[str, str]:
    """Without what keeps the other tests on this machine."""
    taken = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER")
    return {name: value for name, value in os.environ.items() if name not in taken}


def until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """Wait for a condition, and return its value."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)
    return found

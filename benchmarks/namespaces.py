"""Hosts that are not there: network namespaces of this machine, joined by a switch.

Each has its own network and its own shared memory, as computers have. The switch is a bridge in a
namespace of its own, so that every host can reach its ports. Needs root and iproute2.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
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
        self.switch = f"{tag}-switch"
        #: The end of its cable at the switch.
        self.port = f"{tag}{number}"
        self._processes: list[subprocess.Popen[str]] = []

    def start(
        self,
        *command: str,
        log: Path | None,
        environment: Mapping[str, str] | None = None,
        beside: "subprocess.Popen[str] | None" = None,
    ) -> "subprocess.Popen[str]":
        """Start a command on this host; without a log it speaks where this process does.

        Only what is started `beside` another process shares memory with it.
        """
        enter = ["ip", "netns", "exec", self.namespace]
        # a host's shared memory is its own: Fast DDS would find every process of the machine in it
        enter += ["sh", "-c", 'mount -t tmpfs shm /dev/shm && exec "$@"', "sh"]
        if beside is not None:
            enter = ["nsenter", "--target", str(beside.pid), "--net", "--mount"]
        with log.open("w") if log else nullcontext() as output:
            process = subprocess.Popen(
                [*enter, *command],
                env={**_clean_environment(), **(environment or {})},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if log else None,
                text=True,
            )
        self._processes.append(process)
        return process

    def eir(self, *words: str, log: Path, **more: Any) -> "subprocess.Popen[str]":
        """Start `eir` on this host."""
        return self.start(sys.executable, "-m", "eir_ros.cli.main", *words, log=log, **more)

    def plug(self, *, into: bool) -> None:
        """Put the cable in, or pull it out."""
        _ip("-n", self.switch, "link", "set", self.port, "up" if into else "down")

    def packets(self) -> int:
        """Sent and received since the host was made."""
        (port,) = json.loads(_ip("-n", self.switch, "-s", "-j", "link", "show", "dev", self.port))
        return sum(port["stats64"][way]["packets"] for way in ("rx", "tx"))

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
    hosts = hosts_of(tag, *names)
    try:
        _make_switch(f"{tag}-switch")
        for host in hosts.values():
            _make(host)
        yield hosts
    finally:
        for host in hosts.values():
            host.end()
        for namespace in [*(host.namespace for host in hosts.values()), f"{tag}-switch"]:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", namespace)


def hosts_of(tag: str, *names: str) -> dict[str, Host]:
    """The hosts of the network whose namespaces begin with `tag`, as they see each other."""
    return {name: Host(name, number, tag) for number, name in enumerate(names, start=1)}


def _make_switch(namespace: str) -> None:
    _ip("netns", "add", namespace)
    _ip("-n", namespace, "link", "add", "bridge", "type", "bridge")
    _ip("-n", namespace, "link", "set", "bridge", "up")


def _make(host: Host) -> None:
    _ip("netns", "add", host.namespace)
    cable = ("type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    _ip("-n", host.switch, "link", "add", host.port, *cable)
    _ip("-n", host.switch, "link", "set", host.port, "master", "bridge", "up")
    _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", host.namespace, "link", "set", device, "up")
    # a link-local network of everybody, as a router would make
    _ip("-n", host.namespace, "route", "add", "default", "dev", "eth0")


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


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

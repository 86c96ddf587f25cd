"""Real nodes in real processes, and a probe in the test's own process that talks to them."""

import gc
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import QoSProfile

#: What is awaited comes at once on an idle machine; this is for one that does much else [s].
PATIENCE_S = 60.0


class Probe:
    """A node that only the test spins: publishes, listens, asks, and waits for what it expects.

    In ROS_DOMAIN_ID, or in a `domain` of its own: the graph of another computer.
    """

    def __init__(self, name: str = "probe", domain: int | None = None) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = Node(name, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._nodes = [self.node]
        self._executor.add_node(self.node)

    def add(self, node: Node) -> None:
        """Spin `node` as well, until it leaves with this one; it must be of the same context."""
        self._nodes.append(node)
        self._executor.add_node(node)

    def start(self, kind: Callable[..., Any], namespace: str, /, **parameters: Any) -> Any:
        """Make a node of the package in this process, and spin it as well."""
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = kind(context=self._context, namespace=namespace, parameter_overrides=overrides)
        self.add(node)
        return node

    def listen(self, kind: Any, topic: str, profile: QoSProfile) -> list[tuple[float, Any]]:
        """A list that fills with (arrival on the steady clock [s], message)."""
        heard: list[tuple[float, Any]] = []
        self.node.create_subscription(
            kind, topic, lambda message: heard.append((time.monotonic(), message)), profile
        )
        return heard

    def until(self, condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
        """Spin until `condition` is true and return its value; fail after `timeout_s`."""
        end = time.monotonic() + timeout_s
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout_s} s: {condition}")
            self._executor.spin_once(timeout_sec=0.02)
        return found

    def spin(self, duration_s: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + duration_s
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def connected(self, *endpoints: Any) -> None:
        """Wait until each publisher given has a subscriber.

        Which may not have found the publisher yet: what is said now, and not kept, may be lost.
        """
        self.until(lambda: all(endpoint.get_subscription_count() for endpoint in endpoints))

    def publishers(self, *topics: str) -> None:
        """Wait until somebody publishes each topic."""
        self.until(lambda: all(self.node.count_publishers(topic) for topic in topics))

    def set_parameter(self, node: str, name: str, value: Any) -> Any:
        """Set a parameter through the service of `node`; returns the result it gave."""
        client = AsyncParameterClient(self.node, node)
        self.until(client.services_are_ready)
        future = client.set_parameters([Parameter(name, value=value)])
        self.until(future.done)
        return future.result().results[0]

    def remove(self, node: Node) -> None:
        """Take `node` from the graph."""
        self._executor.remove_node(node)
        self._nodes.remove(node)
        node.destroy_node()
        # rclpy forgets it, and it keeps its node on the graph for as long as anybody,
        # such as a test's local variable or a traceback, keeps the node object
        if machine := getattr(node, "_state_machine", None):
            machine.destroy_when_not_in_use()

    def close(self) -> None:
        """Leave the graph, with every node that was added, also one that could not be made.

        A node that stays would answer for one of the same name in the next test: what is sent to
        both counts as connected, and is heard by nobody.
        """
        self._executor.shutdown()
        for node in list(self._nodes):
            self.remove(node)
        # a node that was refused half-made is kept by cycles
        gc.collect()
        rclpy.try_shutdown(context=self._context)


@contextmanager
def probe(name: str = "probe", domain: int | None = None) -> Iterator[Probe]:
    """A probe for one test."""
    found = Probe(name, domain)
    try:
        yield found
    finally:
        found.close()


class NodeProcess:
    """One executable of the package; `nodes` gives the parameters of each node in it by name."""

    def __init__(
        self,
        module: str,
        namespace: str,
        nodes: Mapping[str, Mapping[str, Any]],
        folder: Path,
        remappings: Mapping[str, str] | None = None,
    ) -> None:
        main = next(iter(nodes))
        sections = {
            f"{namespace.rstrip('/')}/{name}": {"ros__parameters": dict(parameters)}
            for name, parameters in nodes.items()
        }
        stem = f"{namespace.strip('/')}.{module}"
        file = folder / f"{stem}.yaml"
        file.write_text(yaml.safe_dump(sections))
        self._log = folder / f"{stem}.log"
        arguments = ["--ros-args", "-r", f"__ns:={namespace}", "-r", f"{main}:__node:={main}"]
        for there, here in (remappings or {}).items():
            arguments += ["-r", f"{there}:={here}"]
        arguments += ["--params-file", str(file)]
        # a file that the test reads by itself: of one that is shared, who reads moves who writes
        with self._log.open("w") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", f"eir_ros.nodes.{module}", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[1],
            )

    def output(self) -> str:
        """What it wrote to stdout and stderr so far."""
        return self._log.read_text(errors="replace")

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for its end; returns the exit status."""
        return self.popen.wait(timeout_s)

    def interrupt(self) -> int:
        """Send Ctrl-C and wait for the end; returns the exit status."""
        self.popen.send_signal(signal.SIGINT)
        return self.wait()

    def kill(self) -> None:
        """End it in any case."""
        with suppress(ProcessLookupError):
            self.popen.kill()
        self.popen.wait()


@contextmanager
def node_process(
    module: str,
    namespace: str,
    nodes: Mapping[str, Mapping[str, Any]],
    folder: Path,
    remappings: Mapping[str, str] | None = None,
) -> Iterator[NodeProcess]:
    """A process that is gone after the test."""
    process = NodeProcess(module, namespace, nodes, folder, remappings)
    try:
        yield process
    finally:
        process.kill()

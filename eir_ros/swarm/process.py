"""One process of a plan, as both starters need it."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eir_ros.contract.errors import EirError
from eir_ros.swarm.roster import OPERATOR

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Process:
    """One process: an executable of this package that hosts one or more nodes."""

    #: What logs and reports call it, for example `r2/agent`.
    name: str
    #: Executable in `lib/eir_ros`, module in `eir_ros.nodes`.
    executable: str
    namespace: str
    #: Parameters by the name of the node in this process that takes them; the first is the main
    #: node.
    nodes: Mapping[str, Parameters]
    remappings: Mapping[str, str] = field(default_factory=dict)
    #: The robot that it belongs to; empty: to the swarm as a whole.
    robot: str = ""
    #: The computer that it runs on.
    host: str = OPERATOR
    #: Silence after which it hangs and is ended by force [s].
    patience_s: float = 10.0
    #: Its identity under DDS security; empty: none.
    enclave: str = ""
    #: Environment of this process alone; the values are never written or shown.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Start it again when it ends before the run does.
    restart: bool = False
    #: The run is over when this process is.
    ends_run: bool = False
    #: Nobody could stop its robots without it: when it is lost for good, the run ends.
    vital: bool = False
    #: Parameters that are for its first life only.
    once: frozenset[str] = frozenset()
    #: Its standard output is meant for the operator; all else goes to the log.
    speaks: bool = False

    @property
    def file_stem(self) -> str:
        """Name for files about this process."""
        return self.name.replace("/", ".")

    @property
    def node_names(self) -> tuple[str, ...]:
        """Full names of the nodes in this process, for example `/r2/gate`."""
        return tuple(f"{self.namespace.rstrip('/')}/{node}" for node in self.nodes)

    def ros_arguments(self, parameters: Path | str) -> list[str]:
        """Arguments after `--ros-args`; `parameters` is the file of `parameter_text`.

        The node's name is set by a rule for that node alone, because a bare `__node` would rename
        every node of the process.
        """
        main = next(iter(self.nodes))
        arguments = ["-r", f"__ns:={self.namespace}", "-r", f"{main}:__node:={main}"]
        for there, here in self.remappings.items():
            arguments += ["-r", f"{there}:={here}"]
        if self.enclave:
            arguments += ["--enclave", self.enclave]
        return [*arguments, "--params-file", str(parameters)]

    def command(self, parameters: Path | str) -> list[str]:
        """Return the command line for machines without a launch system."""
        module = f"eir_ros.nodes.{self.executable}"
        return [
            sys.executable,
            "-m",
            module,
            "--ros-args",
            *self.ros_arguments(parameters),
        ]

    def parameter_text(self, *, again: bool = False) -> str:
        """Contents of the ROS parameter file of this process, of its first life or `again`."""
        prefix = self.namespace.rstrip("/")
        left_out = self.once if again else ()
        sections = {
            f"{prefix}/{node}": {
                "ros__parameters": {k: v for k, v in parameters.items() if k not in left_out}
            }
            for node, parameters in self.nodes.items()
        }
        return yaml.safe_dump(sections, sort_keys=False, default_flow_style=None, width=1000)


def hosts_of(plan: Iterable[Process]) -> tuple[str, ...]:
    """The hosts that a plan needs, each once."""
    return tuple(dict.fromkeys(process.host for process in plan))


def part_of(plan: Iterable[Process], host: str) -> tuple[Process, ...]:
    """The processes of a plan that run on `host`; `EirError` when there are none."""
    plan = tuple(plan)
    if host not in hosts_of(plan):
        raise EirError(f"nothing runs on host '{host}'; hosts here: {', '.join(hosts_of(plan))}.")
    return tuple(process for process in plan if process.host == host)


def describe(plan: tuple[Process, ...], run_dir: Path) -> str:
    """Return the plan as text: command line and parameters of every process."""
    parts = []
    for process in plan:
        parameters = run_dir / f"{process.file_stem}.yaml"
        text = process.parameter_text().rstrip().replace("\n", "\n    ")
        hidden = "".join(f"{variable}=*** " for variable in process.secrets)
        command = shlex.join(process.command(parameters))
        parts.append(f"{process.name}\n  {hidden}{command}\n    {text}")
    return "\n\n".join(parts)

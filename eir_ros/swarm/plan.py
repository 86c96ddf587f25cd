"""The plan: roster + bundle + options -> the processes of a swarm, with their parameters.

Pure: nothing is started, written or looked up here. Both starters, `eir swarm` and
`launch/swarm.launch.py`, run the same plan and know nothing that it does not say.
"""

import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import Fault, FaultKind
from eir_ros.contract.manifest import ADVERSARY_FILE, Manifest
from eir_ros.contract.recording import About, RobotLimits
from eir_ros.swarm.roster import Robot, Roster

Parameters = Mapping[str, Any]

#: Environment variable that holds what unlocks the operator page's controls.
TOKEN_VARIABLE: Final = "EIR_TOKEN"

#: In lockstep nobody hurries, so silence means a dead process and nothing else [s].
_LOCKSTEP_PATIENCE_S: Final = 10.0

#: Longest mission that can be asked for [s].
_MAX_DURATION_S: Final = 1e6


@dataclass(frozen=True)
class Options:
    """What the user chose for one run."""

    #: Folder of the bundle.
    bundle: Path
    #: Folder of the public keys that may sign it; None: those of the package.
    trusted_keys: Path | None = None
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    #: Simulated seconds after which the world ends the run; 0: never.
    duration_s: float = 0.0
    #: A world node stands in for the robots' bodies.
    simulation: bool = True
    lockstep: bool = False
    #: Robots can be broken on purpose; without, the gate listens to the agent directly. None: in
    #: simulation only.
    fault_nodes: bool | None = None
    #: Agents publish what they observed with each decision.
    publish_observation: bool = False
    #: No operator page.
    headless: bool = False
    host: str = "127.0.0.1"
    port: int = 8080
    #: Needed to control the swarm from another machine's browser.
    token: str = field(default="", repr=False)
    #: Folder for the recording; None: none.
    record: Path | None = None
    #: Where the monitor leaves its report; None: nowhere.
    report: Path | None = None

    @property
    def breakable(self) -> bool:
        """Whether robots have fault nodes."""
        return self.simulation if self.fault_nodes is None else self.fault_nodes


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
    #: Environment of this process alone; the values are never written or shown.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Start it again when it ends before the run does.
    restart: bool = False
    #: The run is over when this process is.
    ends_run: bool = False
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

    def parameter_text(self) -> str:
        """Contents of the ROS parameter file of this process."""
        prefix = self.namespace.rstrip("/")
        sections = {
            f"{prefix}/{node}": {"ros__parameters": dict(parameters)}
            for node, parameters in self.nodes.items()
        }
        return yaml.safe_dump(sections, sort_keys=False, default_flow_style=None, width=1000)


def make_plan(roster: Roster, manifest: Manifest, options: Options) -> tuple[Process, ...]:
    """Lay out the processes of a swarm.

    Raises
    ------
    EirError
        The duration is not a number of seconds, or lockstep is asked for without a world. A robot
        may not move as fast as the bundle's policy commands. A fault names a robot that
        is not in the team, needs an adversary that the bundle has not, or there is nobody to
        inject it.
    """
    team = roster.team()
    _check_time(options)
    _check_limits(manifest, team)
    _check_faults(manifest, options, [robot.name for robot in team])
    processes = [_world(team, manifest, options)] if options.simulation else []
    processes.append(_monitor(team, roster, options))
    if options.record is not None:
        processes.append(_recorder(team, roster, manifest, options))
    for robot in team:
        processes.append(_gate(robot, roster, options))
    for robot in team:
        processes.append(_agent(robot, roster, manifest, options))
    return tuple(processes)


def _check_time(options: Options) -> None:
    duration_s = options.duration_s
    if not (math.isfinite(duration_s) and 0 <= duration_s <= _MAX_DURATION_S):
        raise EirError(
            f"the duration is {duration_s:g} s, expected 0 to {_MAX_DURATION_S:g}; 0 is a mission "
            "that ends when it is told to."
        )
    if options.lockstep and not options.simulation:
        raise EirError(
            "lockstep needs the simulated world, which waits for every robot, and that is left "
            "out; leave out one of --lockstep (lockstep:=true) and --no-simulation "
            "(simulation:=false)."
        )


def _check_limits(manifest: Manifest, team: tuple[Robot, ...]) -> None:
    """A gate that cuts what the policy commands makes a robot that it has not met in training."""
    task = manifest.task
    for robot in team:
        for name, allowed, commanded, unit in (
            ("max_speed", robot.max_speed, task.max_speed, "m/s"),
            ("max_yaw_rate", robot.max_yaw_rate, task.max_yaw_rate, "rad/s"),
        ):
            if allowed < commanded:
                raise EirError(
                    f"robot '{robot.name}' has {name} {allowed:g} {unit}, but bundle "
                    f"'{manifest.name}' was trained with robots that reach {commanded:g}; raise "
                    "the limit if the robot can, or train and export a team for it."
                )


def _check_faults(manifest: Manifest, options: Options, names: list[str]) -> None:
    if options.faults and not options.breakable:
        raise EirError(
            "faults are scheduled, but the fault nodes that inject them are left out; real robots "
            "only have them with --fault-nodes (fault_nodes:=true)."
        )
    for fault in options.faults:
        if fault.robot not in names:
            raise EirError(
                f"fault '{fault_text(fault)}' names robot '{fault.robot}'; the team is "
                f"{', '.join(names)}."
            )
        if fault.kind is FaultKind.ADVERSARY and ADVERSARY_FILE not in manifest.files:
            raise EirError(
                f"fault '{fault_text(fault)}' needs a learned adversary, but bundle "
                f"'{manifest.name}' has none; choose another kind or another bundle."
            )


def fault_text(fault: Fault) -> str:
    """The inverse of `contract.faults.parse_fault`."""
    end = "" if fault.end_s is None else f"-{fault.end_s:.10g}"
    return f"{fault.robot}:{fault.kind.word}@{fault.start_s:.10g}{end}"


def _names(team: tuple[Robot, ...]) -> list[str]:
    return [robot.name for robot in team]


def _common(options: Options) -> dict[str, Any]:
    return {"use_sim_time": options.simulation}


def _bundle(options: Options) -> dict[str, Any]:
    keys = {} if options.trusted_keys is None else {"trusted_keys": str(options.trusted_keys)}
    return {"bundle": str(options.bundle), **keys}


def _odom_in_map(robot: Robot, options: Options) -> list[float]:
    # the simulated base reports its odometry in the map already
    return [0.0, 0.0, 0.0] if options.simulation else list(robot.odom_in_map)


def _world(team: tuple[Robot, ...], manifest: Manifest, options: Options) -> Process:
    task = manifest.task.model_copy(update={"num_robots": len(team)})
    parameters = {
        "team": _names(team),
        "task": task.model_dump_json(),
        "seed": options.seed,
        "lockstep": options.lockstep,
        "duration_s": options.duration_s,
        "initial_poses": [float(number) for robot in team for number in robot.pose],
        # so that neither misses how the mission begins
        "wait_for": ["/monitor"] if options.record is None else ["/monitor", "/recorder"],
    }
    return Process("world", "world", "/", {"world": parameters}, ends_run=True)


def _monitor(team: tuple[Robot, ...], roster: Roster, options: Options) -> Process:
    parameters: dict[str, Any] = {
        **_common(options),
        **_bundle(options),
        "team": _names(team),
        "headless": options.headless,
        "host": options.host,
        "port": options.port,
        "odom_in_map": [number for robot in team for number in _odom_in_map(robot, options)],
    }
    if not options.simulation:
        # the simulated arena has walls of its own; real robots have their fence
        parameters["arena"] = roster.fence.corners
    if options.report is not None:
        parameters["report"] = str(options.report)
    return Process(
        "monitor",
        "monitor",
        "/",
        {"monitor": parameters},
        # a parameter could be read by everybody in the graph
        secrets={TOKEN_VARIABLE: options.token} if options.token else {},
        restart=True,
        speaks=True,
    )


def _recorder(
    team: tuple[Robot, ...], roster: Roster, manifest: Manifest, options: Options
) -> Process:
    corners = tuple(roster.fence.corners)
    about = About(
        team=tuple(_names(team)),
        task=manifest.task_name,
        bundle=f"{manifest.name} v{manifest.version}",
        threshold=manifest.belief.threshold,
        tick_s=manifest.task.tick_s,
        serve_radius=manifest.task.serve_radius,
        arena=None if options.simulation else corners,
        fence=corners,
        odom_in_map={robot.name: _odom_in_map(robot, options) for robot in team},
        limits={
            robot.name: RobotLimits(**{k: getattr(robot, k) for k in RobotLimits.model_fields})
            for robot in team
        },
    )
    parameters = {
        **_common(options),
        "team": _names(team),
        "out": str(options.record),
        "about": about.model_dump_json(),
    }
    return Process("recorder", "recorder", "/", {"recorder": parameters})


def _separation(robot: Robot, roster: Roster) -> dict[str, float]:
    """Distances that a gate keeps, from centre to centre [m]."""
    if robot.separation is None:
        return {}
    near = robot.radius + robot.separation
    return {
        "separation_m": near + max(other.radius for other in roster.team()),
        "quarantine_m": robot.quarantine_separation,
        # the points of an obstacle lie on its surface
        **({"obstacle_m": near} if robot.obstacles else {}),
    }


def _gate(robot: Robot, roster: Roster, options: Options) -> Process:
    parameters = {
        **_common(options),
        "robot": robot.name,
        "max_speed": robot.max_speed,
        "max_yaw_rate": robot.max_yaw_rate,
        "max_acceleration": robot.max_acceleration,
        "max_yaw_acceleration": robot.max_yaw_acceleration,
        "max_deceleration": robot.max_deceleration,
        "command_timeout_s": robot.command_timeout_s,
        **_separation(robot, roster),
        "fence": roster.fence.for_centre(robot.radius),
        "odom_in_map": _odom_in_map(robot, options),
        "lockstep": options.lockstep,
        "with_fault": options.breakable,
    }
    nodes: dict[str, Parameters] = {"gate": parameters}
    remappings = {}
    if options.breakable:
        nodes["fault"] = _fault(robot, roster, options)
    else:
        remappings["cmd_vel_faulty"] = "cmd_vel_policy"
    return Process(
        f"{robot.name}/gate", "gate", f"/{robot.name}", nodes, remappings=remappings, restart=True
    )


def _fault(robot: Robot, roster: Roster, options: Options) -> Parameters:
    own = [fault_text(fault) for fault in options.faults if fault.robot == robot.name]
    return {
        **_common(options),
        **_bundle(options),
        "robot": robot.name,
        "team": _names(roster.team()),
        "seed": options.seed,
        "odom_in_map": _odom_in_map(robot, options),
        # a parameter file cannot hold an empty list
        **({"schedule": own} if own else {}),
    }


def _agent(robot: Robot, roster: Roster, manifest: Manifest, options: Options) -> Process:
    parameters = {
        **_common(options),
        **_bundle(options),
        "robot": robot.name,
        "team": _names(roster.team()),
        "odom_in_map": _odom_in_map(robot, options),
        "tracks_source": robot.tracks,
        "publish_observation": options.publish_observation,
    }
    if options.lockstep:
        parameters["input_deadline_s"] = _LOCKSTEP_PATIENCE_S
    return Process(
        f"{robot.name}/agent", "agent", f"/{robot.name}", {"agent": parameters}, restart=True
    )


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

"""Start a swarm with `ros2 launch eir_ros swarm.launch.py`; see docs/swarm.md.

Only a starter: what runs with which parameters is the plan of `eir_ros.swarm`, the same that
`eir swarm` starts and `eir swarm --dry-run` prints.
"""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.conditions import evaluate_condition_expression
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from eir_ros.cli import prepare
from eir_ros.swarm.plan import Options, Process
from eir_ros.swarm.schedule import read_faults

#: Name, default, description.
ARGUMENTS = (
    ("roster", str(prepare.default_roster()), "YAML file that describes the fleet"),
    ("robots", "", "How many (3) or which (r0,r2,r3) robots of the roster; empty: all"),
    ("bundle", str(prepare.default_bundle()), "Folder of the signed bundle"),
    ("trusted_keys", "", "Folder of trusted public keys; empty: those of the package"),
    ("task", "coverage", "Task that the bundle must be for"),
    ("faults", "", "ROBOT:KIND[@START[-END]] or schedule files (.yaml), by commas"),
    ("seed", "0", "Seed of world and faults"),
    ("duration", "0", "Seconds of the mission after which the world ends it; 0: never"),
    ("simulation", "true", "Start the simulated world; real robots bring their own"),
    ("lockstep", "false", "The world waits for every robot at every tick"),
    ("fault_nodes", "true", "Start the nodes that can break a robot on purpose"),
    ("headless", "false", "No operator page"),
    ("host", "127.0.0.1", "Address that serves the operator page"),
    ("port", "8080", "Port that serves the operator page"),
    ("record", "", "New folder for a recording of all topics; empty: none"),
    ("run_dir", "", "Folder for parameter files and the report; empty: a new one in ~/.ros"),
)

#: Waiting time before a process that ended early is started again [s].
RESPAWN_DELAY_S = 0.5


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the plan is made when their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LogInfo | Node]:
    """Turn the arguments into the plan, and the plan into actions."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}

    def yes(name: str) -> bool:
        return evaluate_condition_expression(context, [LaunchConfiguration(name)])

    def path(name: str) -> Path | None:
        return Path(given[name]).absolute() if given[name] else None

    run_dir = path("run_dir") or prepare.default_run_dir()
    options = Options(
        bundle=Path(given["bundle"]).absolute(),
        trusted_keys=path("trusted_keys"),
        faults=read_faults(word for word in given["faults"].split(",") if word),
        seed=int(given["seed"]),
        duration_s=float(given["duration"]),
        simulation=yes("simulation"),
        lockstep=yes("lockstep"),
        fault_nodes=yes("fault_nodes"),
        headless=yes("headless"),
        host=given["host"],
        port=int(given["port"]),
        token="" if yes("headless") else prepare.page_token(given["host"]),
        record=path("record"),
        report=run_dir / "mission.json",
    )
    _, plan = prepare.prepare(Path(given["roster"]), given["robots"], given["task"], options)
    prepare.check_machine(options)
    prepare.make_run_dir(run_dir)
    environment = prepare.environment(run_dir, simulation=options.simulation)
    said = [LogInfo(msg=f"files of this run: {run_dir}")]
    if options.token:
        said.append(LogInfo(msg=f"token that unlocks the page's controls: {options.token}"))
    return said + [_node(process, run_dir, environment) for process in plan]


def _node(process: Process, run_dir: Path, environment: dict[str, str]) -> Node:
    parameters = run_dir / f"{process.file_stem}.yaml"
    parameters.write_text(process.parameter_text(), encoding="utf-8")
    return Node(
        package="eir_ros",
        executable=process.executable,
        exec_name=process.file_stem,
        ros_arguments=process.ros_arguments(parameters),
        output="screen" if process.speaks else "log",
        additional_env={k: v for k, v in environment.items() if k not in os.environ},
        respawn=process.restart,
        respawn_delay=RESPAWN_DELAY_S,
        on_exit=[Shutdown(reason=f"{process.name} ended")] if process.ends_run else None,
    )

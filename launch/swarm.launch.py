"""Start a swarm with `ros2 launch eir_ros swarm.launch.py`; see docs/swarm.md.

Only a starter: what runs with which parameters is the plan of `eir_ros.swarm`, the same that
`eir swarm` starts and `eir swarm --dry-run` prints.
"""

import os
from pathlib import Path
from typing import Literal

import launch.logging
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    Shutdown,
    TimerAction,
    UnsetEnvironmentVariable,
)
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from pydantic import Field as Setting

from eir_ros.cli import prepare
from eir_ros.cli.ros_domain import domain
from eir_ros.contract.config import Schema, validate
from eir_ros.swarm.last_words import REFUSED
from eir_ros.swarm.options import Options
from eir_ros.swarm.plan import TOKEN_VARIABLE
from eir_ros.swarm.process import Process
from eir_ros.swarm.schedule import read_faults, split_faults

#: Waiting time before a process that ended early is started again [s].
RESPAWN_DELAY_S = 0.5


class Arguments(Schema):
    """The launch arguments; what is left empty takes its default."""

    roster: Path = Setting(prepare.default_roster(), description="YAML file of the fleet")
    robots: str = Setting("", description="How many (3) or which (r0,r2,r3) robots; empty: all")
    bundle: Path = Setting(prepare.default_bundle(), description="Folder of the signed bundle")
    trusted_keys: str = Setting("", description="Folder of trusted public keys; empty: shipped")
    task: str = Setting("coverage", description="Task that the bundle must be for")
    faults: str = Setting(
        "", description="ROBOT:KIND[@START[-END]] or schedule files (.yaml), by commas"
    )
    seed: int = Setting(0, ge=0, le=2**31 - 1, description="Seed of world and faults")
    duration: float = Setting(0.0, ge=0, description="End after so many seconds; 0: never")
    simulation: bool = Setting(True, description="Start the simulated world")
    host: str = Setting("", description="Run the part of this host of the roster; empty: all of it")
    secure: bool = Setting(False, description="Refuse to start what the network could drive")
    keys: str = Setting("", description="This host's folder of keys; empty: hosts do not sign")
    keystore: str = Setting("", description="Keystore of DDS security; empty: none")
    lockstep: bool = Setting(False, description="The world waits for every robot at every tick")
    fault_nodes: bool | Literal[""] = Setting(
        "", description="Start the nodes that can break a robot; empty: in simulation only"
    )
    headless: bool = Setting(False, description="No operator page")
    address: str = Setting("127.0.0.1", description="Address that serves the operator page")
    port: int = Setting(8080, ge=1, le=65535, description="Port that serves the operator page")
    record: str = Setting("", description="New folder for a recording; empty: none")
    run_dir: str = Setting("", description="Folder for parameters and report; empty: in ~/.ros")


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the plan is made when their values are known."""
    declared = [
        DeclareLaunchArgument(name, default_value=str(field.default), description=field.description)
        for name, field in Arguments.model_fields.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Turn the arguments into the plan, and the plan into actions."""
    words = {name: LaunchConfiguration(name).perform(context) for name in Arguments.model_fields}
    given = validate(words, Arguments, where="launch arguments")
    run_dir = _path(given.run_dir) or prepare.default_run_dir()
    options = Options(
        bundle=given.bundle.absolute(),
        trusted_keys=_path(given.trusted_keys),
        faults=read_faults(split_faults(given.faults)),
        seed=given.seed,
        duration_s=given.duration,
        simulation=given.simulation,
        host=given.host or None,
        secure=given.secure,
        keys=_path(given.keys),
        keystore=_path(given.keystore),
        network_domain=domain(),
        discovery_server=os.environ.get("ROS_DISCOVERY_SERVER", ""),
        lockstep=given.lockstep,
        fault_nodes=None if given.fault_nodes == "" else given.fault_nodes,
        headless=given.headless,
        address=given.address,
        port=given.port,
        token="" if given.headless else prepare.page_token(given.address),
        record=_path(given.record),
        report=run_dir / "mission.json",
    )
    prepared = prepare.prepare(given.roster, given.robots, given.task, options, run_dir)
    plan = prepared.plan
    prepare.check_recording(plan, options)
    prepare.check_machine(plan, options)
    prepare.refuse_company(prepared)
    prepare.make_run_dir(run_dir)
    environment = prepared.environment(run_dir)
    said = [LogInfo(msg=f"files of this run: {run_dir}")]
    if options.token and not os.environ.get(TOKEN_VARIABLE):
        # not LogInfo, which would write it to the launch log as well
        print(f"token that unlocks the page's controls: {options.token}", flush=True)
    if page := prepare.page_from_elsewhere(plan, options):
        print(f"the page from other machines: {page}", flush=True)
    # all processes inherit this one's environment, but the token, which is for the monitor alone,
    # and what would reach a network from sealed processes
    forget = [UnsetEnvironmentVariable(name) for name in os.environ if name not in environment]
    actions = [*said, *forget, *(_node(process, run_dir, environment) for process in plan)]
    if options.duration_s and not options.simulation:
        # there is no world to end the mission
        actions.append(
            TimerAction(
                period=options.duration_s, actions=[Shutdown(reason="the mission has lasted")]
            )
        )
    return actions


def _path(text: str) -> Path | None:
    return Path(text).absolute() if text else None


def _node(process: Process, run_dir: Path, environment: dict[str, str]) -> Node:
    parameters = run_dir / f"{process.file_stem}.yaml"
    parameters.write_text(process.parameter_text(), encoding="utf-8")
    return Node(
        package="eir_ros",
        executable=process.executable,
        exec_name=process.file_stem,
        ros_arguments=process.ros_arguments(parameters),
        output="screen" if process.speaks else "log",
        additional_env={
            **{k: v for k, v in environment.items() if os.environ.get(k) != v},
            **process.secrets,
        },
        respawn=process.restart,
        respawn_delay=RESPAWN_DELAY_S,
        on_exit=lambda event, _: _after(process, event, parameters),
    )


def _after(
    process: Process, event: ProcessExited, parameters: Path
) -> list[LaunchDescriptionEntity] | None:
    """End the run with a process that ends it, or that would only refuse again."""
    if process.once:
        parameters.write_text(process.parameter_text(again=True), encoding="utf-8")
    if event.returncode == REFUSED:
        log = launch.logging.launch_config.log_dir
        sentence = f"{process.name} refused to start; the last line about it in {log} says why"
        return [LogInfo(msg=sentence), Shutdown(reason=sentence)]
    return [Shutdown(reason=f"{process.name} ended")] if process.ends_run else None

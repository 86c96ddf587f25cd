"""`eir swarm`: run a whole swarm on this machine, without a launch system."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eir_ros.contract.report import SwarmReport
    from eir_ros.swarm.supervisor import Outcome


def swarm(
    roster: Annotated[
        Path | None, typer.Option(help="The fleet. Default: config/rosters/default.yaml.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Signed bundle. Default: policies/coverage.")
    ] = None,
    trusted_keys: Annotated[
        Path | None,
        typer.Option(help="Folder of trusted public keys. Default: the package's config/keys."),
    ] = None,
    robots: Annotated[
        str | None,
        typer.Option(help="How many (3) or which (r0,r2,r3) robots of the roster. Default: all."),
    ] = None,
    absent: Annotated[
        str | None,
        typer.Option(
            help="Robots of the team (r3 or r2,r3) that are not started; 'eir robot add' does."
        ),
    ] = None,
    task: Annotated[str, typer.Option(help="Task that the bundle must be for.")] = "coverage",
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="ROBOT:KIND[@START[-END]] in seconds, for example r2:adversary@5-12, or a "
            "schedule file (.yaml). Can be given again.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of world and faults.")] = 0,
    duration: Annotated[
        float, typer.Option(min=0, help="End after so many seconds of the mission; 0: at Ctrl-C.")
    ] = 0.0,
    lockstep: Annotated[
        bool, typer.Option("--lockstep", help="The world waits for every robot at every tick.")
    ] = False,
    headless: Annotated[bool, typer.Option("--headless", help="No operator page.")] = False,
    address: Annotated[
        str | None, typer.Option(help="Address that serves the page. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port that serves the page. Default: 8080."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Run the part of this host of the roster: a robot's, or 'operator' for world, "
            "monitor and recorder. Default: all of it here."
        ),
    ] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="Refuse to start what the network could drive.")
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option(help="This host's folder of 'eir security init': hosts sign what they say."),
    ] = None,
    keystore: Annotated[
        Path | None,
        typer.Option(help="Keystore of 'eir security sros2': DDS security, where ROS 2 has it."),
    ] = None,
    network_domain: Annotated[
        int | None,
        typer.Option(
            min=0, max=232, help="ROS domain between hosts with keys. Default: ROS_DOMAIN_ID."
        ),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record all topics to this new folder (rosbag2, MCAP).")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report of the run to this file.")
    ] = None,
    simulation: Annotated[
        bool, typer.Option(help="Start the simulated world; real robots bring their own.")
    ] = True,
    fault_nodes: Annotated[
        bool | None,
        typer.Option(
            "--fault-nodes/--no-fault-nodes",
            help="Start the nodes that can break a robot on purpose. Default: in simulation only.",
        ),
    ] = None,
    publish_observation: Annotated[
        bool,
        typer.Option(
            "--publish-observation", help="Agents add observation and belief to each decision."
        ),
    ] = False,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for logs and parameter files. Default: a new one in ~/.ros."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and start nothing.")
    ] = False,
) -> None:
    """Run a swarm: one agent and one gate process per robot, a world, and the operator page.

    Ends at Ctrl-C or after --duration. The status is 0 when every process ended cleanly, 1 when
    one did not or no real robot decided anything, and 2 when the mission was refused before it
    began; a sentence then says why.
    """
    from eir_ros.cli import prepare
    from eir_ros.cli.ros_domain import domain
    from eir_ros.cli.swarm_status import Status
    from eir_ros.swarm.options import Options
    from eir_ros.swarm.plan import TOKEN_VARIABLE
    from eir_ros.swarm.process import describe
    from eir_ros.swarm.schedule import read_faults
    from eir_ros.swarm.supervisor import Supervisor

    folder, here = (run_dir or prepare.default_run_dir()).absolute(), domain()
    _check_words(headless, address, port, record)
    options = Options(
        bundle=(bundle or prepare.default_bundle()).absolute(),
        trusted_keys=trusted_keys and trusted_keys.absolute(),
        faults=read_faults(fault or []),
        absent=prepare.names(absent),
        seed=seed,
        duration_s=duration,
        simulation=simulation,
        lockstep=lockstep,
        fault_nodes=fault_nodes,
        host=host,
        secure=secure,
        keys=keys and keys.absolute(),
        keystore=keystore and keystore.absolute(),
        network_domain=here if network_domain is None else network_domain,
        discovery_server=os.environ.get("ROS_DISCOVERY_SERVER", ""),
        publish_observation=publish_observation,
        headless=headless,
        address=address or Options.address,
        port=port or Options.port,
        token="" if headless else prepare.page_token(address or Options.address),
        record=record and record.absolute(),
        report=folder / "mission.json",
    )
    prepared = prepare.prepare(roster or prepare.default_roster(), robots, task, options, folder)
    team, plan = prepared.team, prepared.plan
    prepare.check_recording(plan, options)
    _check_report(json_file)
    if dry_run:
        typer.echo(describe(plan, folder))
        return
    prepare.check_machine(plan, options)
    prepare.refuse_company(prepared)
    prepare.make_run_dir(folder)
    (folder / "mission.json").unlink(missing_ok=True)
    status = Status()
    now = [process for process in plan if process.robot not in options.absent]
    whose = dict.fromkeys(process.robot or process.host for process in now)
    status.say(f"starting {len(now)} processes for {', '.join(whose)}; Ctrl-C ends the run")
    status.say(f"logs: {folder / 'log'}")
    if options.token and not os.environ.get(TOKEN_VARIABLE):
        status.say(f"token that unlocks the page's controls: {options.token}")
    if page := prepare.page_from_elsewhere(plan, options):
        status.say(f"the page from other machines: {page}")
    supervisor = Supervisor(
        plan,
        folder,
        prepared.environment(folder),
        status.say,
        duration_s=0.0 if simulation else duration,
        absent=options.absent,
    )
    outcome = supervisor.run()
    if not any(process.executable == "monitor" for process in plan):
        # what was measured is known on the operator's host
        if outcome.refused:
            typer.echo(f"error: {outcome.reason}", err=True)
        else:
            status.say(f"ended: {outcome.reason}")
        status.unclean(outcome, folder)
        raise typer.Exit(2 if outcome.refused else int(not outcome.clean))
    report = make_report(folder / "mission.json", outcome, team, task, seed)
    # what a monitor that is lost would have measured is not known to be nothing
    lost = not outcome.refused and not (folder / "mission.json").exists()
    began = lost or (report.ticks if simulation else report.decisions) > 0
    if began:
        status.summary(report, outcome)
    elif outcome.refused:
        typer.echo(f"error: {outcome.reason}", err=True)
    else:
        status.say(
            f"ended before {'the robots moved' if simulation else 'any decision'}: {outcome.reason}"
        )
    status.unclean(outcome, folder)
    if json_file is not None:
        # last: a disk that is full takes nothing of what was said
        write_json(json_file, report)
    raise typer.Exit(exit_status(outcome, report, began=began, simulation=simulation))


def exit_status(outcome: "Outcome", report: "SwarmReport", *, began: bool, simulation: bool) -> int:
    """Return what a script is told: 0 for a clean run, 2 for one that was refused, else 1.

    A simulated run may be ended before the robots move; of real robots, nothing at all was heard.
    What was measured beside an intruder is worth nothing.
    """
    if outcome.refused and not began:
        return 2
    return 0 if outcome.clean and not report.intruders and (began or simulation) else 1


def _check_words(
    headless: bool, address: str | None, port: int | None, record: Path | None
) -> None:
    """Refuse what would have no effect, and a folder without a name."""
    from eir_ros.contract.errors import EirError

    for option, value in (("--address", address), ("--port", port)):
        if headless and value is not None:
            raise EirError(
                f"{option} is of the operator page, which --headless leaves out; leave out one of "
                "them."
            )
    if record == Path():
        raise EirError("--record names no folder; a recording needs a new folder's name.")


def _check_report(path: Path | None) -> None:
    """Find out before the run, not after it, that its report cannot be written."""
    from eir_ros.contract.errors import EirError

    if path is None:
        return
    if path.is_dir():
        raise EirError(f"{path} is a folder; --json needs the name of a file.")
    if not os.access(path.absolute().parent, os.W_OK):
        raise EirError(f"{path}: its folder does not exist or cannot be written to.")


def make_report(
    mission_file: Path, outcome: "Outcome", team: tuple[str, ...], task: str, seed: int
) -> "SwarmReport":
    """Join what the monitor measured and what became of the processes."""
    from eir_ros.contract.report import MissionReport, SwarmReport

    try:
        mission = MissionReport.model_validate_json(mission_file.read_bytes())
    except (OSError, ValueError) as error:
        # the monitor died: what it would have measured stays null, which is not zero
        if not outcome.refused:
            typer.echo(f"no measurements: {mission_file.name} of the monitor: {error}", err=True)
        mission = MissionReport(robots=team)
    return SwarmReport(
        **dict(mission),
        task=task,
        seed=seed,
        restarts=outcome.restarts,
        processes=outcome.exits,
    )


def write_json(path: Path, report: "SwarmReport") -> None:
    """Write the report whole or not at all; `EirError` where that cannot be."""
    from eir_ros.monitor.report import write_text

    fields = report.model_dump(mode="json", by_alias=True)
    ordered = {name: fields.pop(name) for name in ("schema", "task", "seed")} | fields
    write_text(json.dumps(ordered, indent=2) + "\n", path)

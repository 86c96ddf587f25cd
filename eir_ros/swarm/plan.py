"""The plan: roster + bundle + options -> the processes of a swarm, with their parameters.

Pure: nothing is started, written or looked up here. Both starters, `eir swarm` and
`launch/swarm.launch.py`, run the same plan and know nothing that it does not say.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from eir_ros.contract.errors import EirError
from eir_ros.contract.manifest import Manifest
from eir_ros.contract.recording import About, RobotLimits
from eir_ros.swarm.options import LOCKSTEP_PATIENCE_S, Options
from eir_ros.swarm.process import Parameters, Process
from eir_ros.swarm.roster import OPERATOR, Robot, Roster
from eir_ros.swarm.schedule import check_faults

#: Environment variable that holds what unlocks the operator page's controls.
TOKEN_VARIABLE: Final = "EIR_TOKEN"

#: What an agent senses.
_SENSES: Final = ("odom", "tracks", "sites")

#: What an agent hears and says passes the fault node where there is one.
_BY_THE_FAULT_NODE: Final = {
    "odom": "odom_faulty",
    "tracks": "tracks_faulty",
    "sites": "sites_faulty",
    "beliefs": "beliefs_policy",
    "decision": "decision_policy",
}

#: Longest mission that can be asked for [s].
_MAX_DURATION_S: Final = 1e6


def make_plan(roster: Roster, manifest: Manifest, options: Options) -> tuple[Process, ...]:
    """Lay out the processes of a swarm.

    Raises
    ------
    EirError
        The duration is not a number of seconds, or lockstep is asked for without a world. A robot
        may not move as fast as the bundle's policy commands. A fault names a robot that
        is not in the team, needs an adversary that the bundle has not, or there is nobody to
        inject it. A robot that shall be absent is not in the team, or nobody is left.
    """
    team = roster.team()
    _check_time(options)
    _check_absent(options, [robot.name for robot in team])
    _check_limits(manifest, team)
    _check_timeouts(manifest, team, options)
    if options.faults and not options.breakable:
        raise EirError(
            "faults are scheduled, but the fault nodes that inject them are left out; real robots "
            "only have them with --fault-nodes (fault_nodes:=true)."
        )
    names = [robot.name for robot in team]
    check_faults(options.faults, names, manifest, lockstep=options.lockstep)
    processes = [_world(team, manifest, options)] if options.simulation else []
    processes.append(_monitor(team, roster, options))
    if options.record is not None:
        processes.append(_recorder(team, roster, manifest, options))
    for robot in team:
        processes.append(_gate(robot, roster, options))
    for robot in team:
        processes.append(_agent(robot, roster, manifest, options))
    if options.keys is not None:
        processes += _links(team, roster, options)
    if options.keystore is not None:
        return tuple(replace(process, enclave=f"/{process.name}") for process in processes)
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


def _check_absent(options: Options, names: list[str]) -> None:
    for robot in options.absent:
        if robot not in names:
            raise EirError(f"absent robot '{robot}' is not in the team {', '.join(names)}.")
    if options.absent and options.lockstep:
        raise EirError(
            "lockstep waits for every robot, so none may be absent; leave out one of --lockstep "
            "and --absent."
        )
    if set(options.absent) == set(names):
        raise EirError("every robot is to be absent; leave out --absent for one of them at least.")


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


def _check_timeouts(manifest: Manifest, team: tuple[Robot, ...], options: Options) -> None:
    """A gate that does not wait for the next tick stops its robot between any two of them."""
    tick_s = manifest.task.tick_s
    for robot in team:
        if robot.command_timeout_s <= tick_s and not options.lockstep:
            raise EirError(
                f"robot '{robot.name}' has command_timeout_s {robot.command_timeout_s:g} s, but "
                f"agents and senses of bundle '{manifest.name}' speak every {tick_s:g} s: its gate "
                f"would brake at each; expected more than that, {2 * tick_s:g} s for example."
            )


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
        # a parameter file cannot hold an empty list
        **({"absent": list(options.absent)} if options.absent else {}),
        **_linked(team, options),
        # so that neither misses how the mission begins
        "wait_for": ["/monitor"] if options.record is None else ["/monitor", "/recorder"],
    }
    return Process("world", "world", "/", {"world": parameters}, ends_run=True)


def _monitor(team: tuple[Robot, ...], roster: Roster, options: Options) -> Process:
    parameters: dict[str, Any] = {
        **_common(options),
        **_bundle(options),
        "team": _names(team),
        **_linked(team, options),
        "headless": options.headless,
        "host": options.address,
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
        # an operator whose page hangs has no e-stop on it
        patience_s=options.hangs_s,
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
    found = {}
    near = robot.radius + (robot.separation or 0.0)
    if robot.separation is not None:
        found["separation_m"] = near + max(other.radius for other in roster.team())
        found["quarantine_m"] = robot.quarantine_separation
    if robot.obstacles:
        # the points of an obstacle lie on its surface
        found["obstacle_m"] = near
    return found


def _deadlines(robot: Robot, *topics: str) -> Parameters:
    """Ask no deadline of drivers that offer none, and so would not be heard."""
    if robot.deadlines:
        return {}
    names = (f"/{robot.name}/{topic}" for topic in topics)
    return {f"qos_overrides.{name}.subscription.deadline": 0 for name in names}


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
        "estop_wait_s": robot.estop_wait_s,
        **_separation(robot, roster),
        **_deadlines(robot, "odom", "tracks", "obstacles"),
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
    # a real mission has no clock to go on by: a gate that starts again would begin its schedule
    # anew, and break a robot that the operator has declared well
    once = frozenset() if options.simulation else frozenset({"schedule"})
    return _of_robot(robot, "gate", nodes, options, remappings=remappings, once=once)


def _fault(robot: Robot, roster: Roster, options: Options) -> Parameters:
    own = [fault.text for fault in options.faults if fault.robot == robot.name]
    return {
        **_common(options),
        **_bundle(options),
        "robot": robot.name,
        "team": _names(roster.team()),
        "seed": options.seed,
        "odom_in_map": _odom_in_map(robot, options),
        **_deadlines(robot, *_SENSES),
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
        **_deadlines(robot, *_SENSES),
        **{f"trust_{name}": value for name, value in roster.trust.model_dump().items()},
    }
    if options.lockstep:
        parameters["input_deadline_s"] = LOCKSTEP_PATIENCE_S
    passed = dict(_BY_THE_FAULT_NODE) if options.breakable else {}
    return _of_robot(robot, "agent", {"agent": parameters}, options, remappings=passed)


def _of_robot(
    robot: Robot, executable: str, nodes: Mapping[str, Parameters], options: Options, **more: Any
) -> Process:
    return Process(
        f"{robot.name}/{executable}",
        executable,
        f"/{robot.name}",
        nodes,
        robot=robot.name,
        host=robot.host,
        patience_s=options.hangs_s,
        restart=True,
        **more,
    )


def _links(team: tuple[Robot, ...], roster: Roster, options: Options) -> list[Process]:
    found = []
    for host in dict.fromkeys((OPERATOR, *(robot.host for robot in team))):
        peers = roster.peers(host)
        parameters = {
            **_common(options),
            "host": host,
            "team": _names(team),
            "team_hosts": [robot.host for robot in team],
            "keys": str(options.keys),
            "simulation": options.simulation,
            "network_domain": options.network_domain,
            **({"peers": list(peers)} if peers else {}),
            "discovery_server": options.discovery_server,
            "operator_timeout_s": roster.operator_timeout_s,
        }
        found.append(
            Process(
                f"{host}/link",
                "link",
                "/" if host == OPERATOR else f"/{host}",
                {"link": parameters},
                host=host,
                patience_s=options.hangs_s,
                restart=True,
                # no order reaches a robot without it, and nobody else counts its operator's silence
                vital=host != OPERATOR,
                speaks=True,
            )
        )
    return found


def _linked(team: tuple[Robot, ...], options: Options) -> dict[str, Any]:
    """The robots whose own nodes the operator's do not see, but a link in their place."""
    if options.keys is None:
        return {}
    return {"linked": [robot.name for robot in team if robot.host != OPERATOR]}

"""From a user's words to a checked plan; `eir swarm` and `launch/swarm.launch.py` share it."""

import importlib.util
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eir_ros.cli.protection import check_protection, security_environment
from eir_ros.cli.ros_domain import domain
from eir_ros.contract.errors import EirError
from eir_ros.contract.paths import share
from eir_ros.contract.recording import MIN_FREE_MB
from eir_ros.monitor.address import is_loopback, port_trouble
from eir_ros.policy.bundle import check_team, load_bundle
from eir_ros.swarm.options import Options
from eir_ros.swarm.plan import TOKEN_VARIABLE, make_plan
from eir_ros.swarm.process import Process, part_of
from eir_ros.swarm.roster import load_roster
from eir_ros.swarm.sealing import sealed
from eir_ros.swarm.transport import Transport, over_udp

#: Longest that the look for a swarm of the same names may take [s]; it usually takes 2.5.
_LOOK_S = 30.0


def default_roster() -> Path:
    """Return the roster of the demonstration."""
    return share() / "config" / "rosters" / "default.yaml"


def default_bundle() -> Path:
    """Return the bundle that ships."""
    return share() / "policies" / "coverage"


def runs() -> Path:
    """Return the folder of the folders of runs, beside ROS's own logs."""
    return Path(os.environ.get("ROS_HOME", "~/.ros")).expanduser() / "eir_ros"


def default_run_dir() -> Path:
    """Return a new folder's name."""
    return runs() / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


def names(text: str | None) -> tuple[str, ...]:
    """Return the names of a list by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))


def make_run_dir(path: Path) -> None:
    """Make the folder of a run, readable by its owner only."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise EirError(f"{path}: cannot be made ({error.strerror}); choose --run-dir.") from error


@dataclass(frozen=True)
class Prepared:
    """What is to be started here."""

    #: Names of all robots in roster order.
    team: tuple[str, ...]
    #: The processes of this machine.
    plan: tuple[Process, ...]
    #: Without what `transport` adds.
    variables: dict[str, str]
    transport: Transport

    def environment(self, folder: Path) -> dict[str, str]:
        """Write into an existing folder what DDS needs; return the environment of the processes."""
        return self.transport.write(folder, self.variables)


def prepare(
    roster: Path, robots: str | None, task: str, options: Options, run_dir: Path
) -> Prepared:
    """Read roster and bundle, check that they fit each other, and lay out the processes.

    Parameters
    ----------
    robots
        How many or which of the roster's robots, see `Roster.select`; None: all.

    Raises
    ------
    EirError
        Something is missing, untrusted, or does not fit, or would be unprotected against the
        user's wish; nothing has been started.
    """
    fleet = load_roster(roster)
    if robots:
        fleet = fleet.select(robots)
    manifest = load_bundle(options.bundle, trusted_keys=options.trusted_keys).manifest
    if manifest.task_name != task:
        raise EirError(
            f"bundle '{manifest.name}' was trained for the task '{manifest.task_name}', not for "
            f"'{task}'; choose another bundle or --task {manifest.task_name}."
        )
    check_team(manifest, len(fleet.robots))
    check_protection(options)
    plan = make_plan(fleet, manifest, options)
    here = plan if options.host is None else part_of(plan, options.host)
    team, given = tuple(robot.name for robot in fleet.robots), _inherited(run_dir)
    if options.keystore is None and (options.secure or options.keys):
        return Prepared(team, here, sealed(given), Transport())
    transport = over_udp(
        given,
        # two simulations on one network would drive each other's robots
        here=options.simulation and options.host is None,
        peers=() if options.host is None else fleet.peers(options.host),
    )
    if options.keystore is not None:
        given |= security_environment(options.keystore)
    return Prepared(team, here, given, transport)


def check_recording(plan: Iterable[Process], options: Options) -> None:
    """Refuse, with an `EirError`, a place where no recording can be written."""
    nodes, folder = {process.executable for process in plan}, options.record
    if "recorder" in nodes and folder is not None:
        if folder.exists():
            raise EirError(f"{folder} exists already; a recording needs a new folder's name.")
        if not os.access(folder.parent, os.W_OK):
            raise EirError(f"{folder}: its folder does not exist or cannot be written to.")
    if folder is not None:
        # here, so that only who records needs what recordings are written with
        from eir_ros.monitor.recording import refuse_full_disk

        refuse_full_disk(folder, MIN_FREE_MB)


def check_machine(plan: Iterable[Process], options: Options) -> None:
    """Refuse, with an `EirError`, a machine that lacks what the processes of `plan` will need."""
    nodes = {process.executable for process in plan}
    needed = {"rclpy": "ROS 2: source /opt/ros/jazzy/setup.bash, or install the extra [ros]"}
    page = "monitor" in nodes and not options.headless
    if "world" in nodes:
        needed["pybullet"] = "PyBullet: install the extra [sim], or give --no-simulation"
    if page:
        for module in ("fastapi", "uvicorn", "websockets"):
            needed[module] = "the operator page: install the extra [monitor], or give --headless"
    for module, advice in needed.items():
        if importlib.util.find_spec(module) is None:
            raise EirError(f"'{module}' cannot be imported. It is needed for {advice}.")
    if page and (trouble := port_trouble(options.address, options.port)):
        raise EirError(
            f"the operator page cannot be served on {options.address}:{options.port} ({trouble}); "
            "choose another --port or --address, or give --headless."
        )


def refuse_company(prepared: Prepared) -> None:
    """Refuse, with an `EirError`, to start beside nodes that have the names of the plan's.

    Two of a name hear and answer for each other: robots get the commands of both, and the monitor
    of one takes the faults of the other for the truth.
    """
    names = [name for process in prepared.plan for name in process.node_names]
    try:
        # the folder of the run is there once the run may be
        with tempfile.TemporaryDirectory() as folder:
            looked = subprocess.run(
                [sys.executable, "-m", "eir_ros.nodes.company", *names],
                env=prepared.environment(Path(folder)),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_LOOK_S,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise EirError(
            f"the ROS graph gave no answer within {_LOOK_S:g} s; see whether ROS 2 works here "
            "with `eir doctor`."
        ) from error
    if looked.returncode != 0:
        said = looked.stderr.strip().splitlines() or ["no reason was given"]
        raise EirError(
            f"the ROS graph cannot be read ({said[-1]}); see whether ROS 2 works here with "
            "`eir doctor`."
        )
    taken = set(looked.stdout.split())
    found = [name for name in names if name in taken]
    if found:
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise EirError(
            f"a swarm of these names is here already: {', '.join(found[:4])}{more} in "
            f"ROS_DOMAIN_ID={domain()}; end it (what crashed or is ending disappears within 20 s), "
            "or set another ROS_DOMAIN_ID."
        )


def page_from_elsewhere(plan: Iterable[Process], options: Options) -> str:
    """Return an address that opens the page on other machines, unlocked; empty where none can.

    A token that the user chose stays out of it: it would be on the terminal, and in its history.
    """
    served = any(process.executable == "monitor" for process in plan) and not options.headless
    if not served or is_loopback(options.address):
        return ""
    everywhere = options.address in ("0.0.0.0", "::", "")
    host = socket.gethostname() if everywhere else options.address
    host = f"[{host}]" if ":" in host else host
    token = "" if os.environ.get(TOKEN_VARIABLE) else f"/#token={options.token}"
    return f"http://{host}:{options.port}{token}"


def page_token(host: str) -> str:
    """Return what unlocks the page's controls: EIR_TOKEN, or a new one where one is needed."""
    given = os.environ.get(TOKEN_VARIABLE, "")
    if given or is_loopback(host):
        return given
    return secrets.token_urlsafe(12)


def _inherited(run_dir: Path) -> dict[str, str]:
    """What the processes inherit: all that the user has set, but the monitor's token."""
    defaults = {
        "PYTHONUNBUFFERED": "1",
        "ROS_LOG_DIR": str(run_dir / "log" / "ros"),
        # one robot's small arrays gain nothing from threads, and each pool costs memory
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    given = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    return defaults | given

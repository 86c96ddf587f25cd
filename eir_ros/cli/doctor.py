"""`eir doctor`: what this machine has, what it lacks, and how to mend it."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from eir_ros import __version__
from eir_ros.cli.extras import install_command, pip_install
from eir_ros.monitor.address import port_trouble

MIB = 1 << 20


class Job(StrEnum):
    """What the machine shall do; it decides which findings stand in the way."""

    SWARM = "swarm"
    ROBOT = "robot"
    TRAINING = "training"


@dataclass(frozen=True)
class Finding:
    """One fact about the machine."""

    name: str
    good: bool
    found: str
    #: What to do about it; empty for a good finding.
    mend: str = ""
    #: Jobs that cannot be done without it.
    needed_for: frozenset[Job] = frozenset()


SIMULATION = frozenset({Job.SWARM})
ROBOTS = frozenset({Job.SWARM, Job.ROBOT})
EVERYTHING = frozenset(Job)


def doctor(
    job: Annotated[
        Job, typer.Option("--for", help="What the machine shall do.", case_sensitive=False)
    ] = Job.SWARM,
    bundle: Annotated[
        Path | None, typer.Option(help="Signed bundle to try. Default: policies/coverage.")
    ] = None,
    trusted_keys: Annotated[
        Path | None,
        typer.Option(help="Folder of trusted public keys. Default: the package's config/keys."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the operator page.")] = 8080,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this machine, and say how to mend what is missing.

    Exits with 0 when the machine can do the job, with 1 when it cannot. Findings that do not
    stand in the way of the job are warnings; what the job does not need is not looked at.
    """
    findings = list(examine(job, port, bundle, trusted_keys))
    blocked = [finding for finding in findings if not finding.good and job in finding.needed_for]
    if as_json:
        rows = [
            {**asdict(finding), "needed_for": sorted(finding.needed_for)} for finding in findings
        ]
        report = {"version": __version__, "job": job, "able": not blocked, "findings": rows}
        typer.echo(json.dumps(report, indent=2))
    else:
        for finding in findings:
            _print(finding, job)
        names = ", ".join(finding.name for finding in blocked)
        verdict = f"cannot do '{job}' yet: {names}" if blocked else f"can do '{job}'"
        typer.echo(f"This machine {verdict}.")
    raise typer.Exit(1 if blocked else 0)


def _print(finding: Finding, job: Job) -> None:
    word, colour = "ok", typer.colors.GREEN
    if not finding.good:
        fatal = job in finding.needed_for
        word, colour = ("FAIL", typer.colors.RED) if fatal else ("warn", typer.colors.YELLOW)
    typer.secho(f"{word:>4}", fg=colour, nl=False)
    typer.echo(f"  {finding.name}: {finding.found}")
    if finding.mend:
        typer.echo(f"      -> {finding.mend}")


def examine(
    job: Job, port: int, bundle: Path | None, trusted_keys: Path | None
) -> Iterator[Finding]:
    """Every finding about `job`, in the order in which it makes sense to mend them."""
    yield _python()
    yield _libraries()
    if job in ROBOTS:
        yield from _ros()
        yield from _discovery()
        yield _onnxruntime()
        yield _bundle(bundle, trusted_keys)
    if job is Job.ROBOT:
        yield _trusted_keys(trusted_keys)
        yield _clock()
    if job is not Job.ROBOT:
        yield _pybullet()
    if job is Job.SWARM:
        yield _page()
        yield _port(port)
        yield _cores()
        yield _memory()
    if job in ROBOTS:
        yield _shared_memory()
        yield _realtime()
    if job is Job.TRAINING:
        yield _torch()


def _probe(expression: str, *modules: str) -> tuple[bool, str]:
    """Evaluate in a fresh interpreter: a library that crashes or prints must not disturb us."""
    code = f"import {', '.join(modules)}; print(); print({expression})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"exit status {done.returncode}"


def _finding(
    name: str, probed: tuple[bool, str], mend: str, needed_for: frozenset[Job] = frozenset()
) -> Finding:
    good, found = probed
    return Finding(name, good, found, "" if good else mend, needed_for)


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return _finding(
        "Python",
        ((3, 11) <= sys.version_info[:2] <= (3, 13), f"{found} at {sys.executable}"),
        "use Python 3.11, 3.12 or 3.13; on 3.11 everything comes as wheels",
        EVERYTHING,
    )


def _libraries() -> Finding:
    good, found = _probe("pydantic.VERSION", "pydantic", "numpy", "yaml", "cryptography", "rich")
    if good:
        good = int(found.partition(".")[0]) >= 2
        found = f"pydantic {found}" + ("" if good else ", expected 2 or newer")
    mend = f"{install_command()}, in an environment of its own where the system's is too old"
    return _finding("libraries", (good, found), mend, EVERYTHING)


def _ros() -> Iterator[Finding]:
    mend = f"source /opt/ros/<distribution>/setup.bash, or {install_command('ros')}"
    good, where = _probe("rclpy.__file__", "rclpy")
    if good:
        prefix = "/opt/ros/"
        source = f"installation below {prefix}" if where.startswith(prefix) else "Python packages"
        where = f"{source}, {Path(where).parent}"
    yield _finding("ROS 2", (good, where), mend, ROBOTS)
    if not good:
        return
    packages = ("std", "geometry", "sensor", "nav", "visualization", "diagnostic", "lifecycle")
    modules = [f"{package}_msgs.msg" for package in packages] + ["std_srvs.srv"]
    good, found = _probe("'all found'", *modules)
    yield _finding("ROS 2 messages", (good, found), mend, ROBOTS)
    good, found = _probe("rclpy.get_rmw_implementation_identifier()", "rclpy")
    wanted = os.environ.get("RMW_IMPLEMENTATION", "its default")
    yield _finding(
        "ROS 2 middleware",
        (good, found),
        f"RMW_IMPLEMENTATION is {wanted}, which does not load: install it or unset the variable",
        ROBOTS,
    )


def _discovery() -> Iterator[Finding]:
    scope = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    known = ("", "SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
    name = "ROS_AUTOMATIC_DISCOVERY_RANGE"
    if scope == "OFF" and not os.environ.get("ROS_STATIC_PEERS"):
        yield Finding(
            "discovery",
            False,
            f"{name}=OFF and no ROS_STATIC_PEERS: no process can find another",
            f"export {name}=LOCALHOST for one machine, SUBNET for several",
            ROBOTS,
        )
    elif scope not in known:
        yield Finding(
            "discovery",
            False,
            f"{name}={scope} is unknown",
            f"export {name}=LOCALHOST for one machine, SUBNET for several",
            ROBOTS,
        )
    else:
        meaning = f"{name}={scope}" if scope else "range not set: `eir swarm` stays on this machine"
        yield Finding("discovery", True, meaning)
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    number = int(domain) if domain.isdigit() else -1
    yield Finding(
        "domain",
        0 <= number <= 101,
        f"ROS_DOMAIN_ID is {domain}",
        "" if 0 <= number <= 101 else "choose 0 to 101: higher ones meet ports that Linux lends",
        ROBOTS if not 0 <= number <= 232 else frozenset(),
    )


def _realtime() -> Finding:
    """Whether agents and gates may go first, see `eir_ros.nodes.realtime`."""
    ask = "os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))"
    return _finding(
        "real-time priority",
        _probe(f"{ask} or 'permitted'", "os"),
        "add '<user> - rtprio 10' to /etc/security/limits.conf and log in again; without it robots "
        "answer later on a busy computer",
    )


def _onnxruntime() -> Finding:
    return _finding(
        "onnxruntime",
        _probe("onnxruntime.__version__", "onnxruntime"),
        f"{pip_install()} onnxruntime",
        ROBOTS,
    )


def _bundle(given: Path | None, trusted_keys: Path | None) -> Finding:
    from eir_ros.contract.errors import EirError

    mend = "restore policies/coverage from the release, or `eir export` a team of your own"
    if given or trusted_keys:
        mend = "give --bundle and --trusted-keys as the robot has them; docs/bundle.md tells more"
    try:
        from eir_ros.cli.prepare import default_bundle
        from eir_ros.policy.bundle import load_bundle, replay_golden

        folder = given or default_bundle()
        bundle = load_bundle(folder, trusted_keys=trusted_keys)
        replay_golden(bundle)
    except (EirError, ImportError) as error:
        return Finding("bundle", False, str(error), mend, ROBOTS)
    manifest = bundle.manifest
    found = f"{manifest.name} {manifest.version}, signed by {bundle.signed_by}, at {folder}"
    return Finding("bundle", True, found)


def _trusted_keys(given: Path | None) -> Finding:
    """Whether anybody could sign for this robot."""
    from eir_ros.contract.errors import EirError

    try:
        from eir_ros.policy import signing

        folder = given or signing.default_trusted_keys()
        keys = signing.load_trusted_keys(folder)
    except (EirError, ImportError) as error:
        mend = "copy the .pub file of whoever signs your bundles there, see docs/bundle.md"
        return Finding("trusted keys", False, str(error), mend, ROBOTS)
    names = [name for name, key in keys.items() if signing.is_demonstration(key)]
    if names:
        return Finding(
            "trusted keys",
            False,
            f"'{names[0]}' in {folder} is the demonstration key, with which anybody can sign",
            "`eir bundle keygen NAME`, sign your bundle with NAME.key, and let this robot trust a "
            "folder that holds NAME.pub alone",
        )
    return Finding("trusted keys", True, f"{', '.join(keys)} in {folder}")


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as it is read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 26),
    )


def _clock_status() -> int:
    """The kernel's STA_ flags of its clock; with modes of 0 nothing is changed."""
    timex = _Timex()
    ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    return timex.status


def _clock() -> Finding:
    """Whether the clock follows a time server, because those of a swarm must agree."""
    unsynchronised = 0x0040
    if _clock_status() & unsynchronised:
        return Finding(
            "clock",
            False,
            "no time server that the kernel knows of",
            "clocks must agree, see docs/robots.md: run chrony on every computer of the swarm and "
            "look at `chronyc tracking`; PTP may keep a clock without telling the kernel",
        )
    return Finding("clock", True, "synchronised with a time server")


def _pybullet() -> Finding:
    wheels = sys.version_info[:2] <= (3, 11)
    return _finding(
        "PyBullet",
        _probe("pybullet.getAPIVersion()", "pybullet"),
        f"{pip_install()} pybullet"
        + ("" if wheels else ": builds from source in some minutes, or use python3-pybullet"),
        SIMULATION | {Job.TRAINING},
    )


def _page() -> Finding:
    return _finding(
        "operator page",
        _probe("'fastapi ' + fastapi.__version__", "fastapi", "uvicorn", "websockets"),
        f"{install_command('monitor')}, or run with --headless",
    )


def _port(port: int) -> Finding:
    trouble = port_trouble("127.0.0.1", port)
    if trouble:
        mend = "end what uses it, or run `eir swarm --port` with another"
        return Finding("port", False, f"127.0.0.1:{port}: {trouble}", mend)
    return Finding("port", True, f"127.0.0.1:{port} is free")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0))
    mend = "" if cores >= 2 else "expect late ticks: two cores carry four robots in real time"
    return Finding("cores", cores >= 2, str(cores), mend)


def _memory() -> Finding:
    with open("/proc/meminfo", encoding="ascii") as lines:
        kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    free = kib // 1024
    mend = "" if free >= 1500 else "close something: the default swarm takes about 1 GiB"
    return Finding("memory", free >= 1500, f"{free} MiB available", mend)


def _shared_memory() -> Finding:
    try:
        shared = shutil.disk_usage("/dev/shm").free // MIB
    except OSError:
        shared = 0
    mend = "" if shared >= 64 else "sealed hosts need it; give a container --shm-size=256m"
    return Finding("shared memory", shared >= 64, f"{shared} MiB free in /dev/shm", mend)


def _torch() -> Finding:
    return _finding(
        "torch",
        _probe("torch.__version__", "torch"),
        f"{install_command('train')}; only training and export need it",
        frozenset({Job.TRAINING}),
    )

"""Packets per robot on the network between hosts, at rest and in motion, for several team sizes.

    python -m benchmarks.packets --json packets.json

Every robot is a network namespace of this machine (root and iproute2 are needed), with a stand-in
that publishes and hears what the processes of a real robot do, at their rates. `link`: hosts are
joined by signing links, and the rest stays in each. `plain`: agent, gate and base of each robot are
DDS participants on the network. Counted are the packets of the robot's cable, both ways.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.machine import describe
from benchmarks.namespaces import Host, missing, network
from eir_ros.swarm.roster import OPERATOR
from eir_ros.swarm.transport import over_udp

#: For discovery to end, and to count [s].
_SETTLE_S: Final = 20.0
_COUNT_S: Final = 15.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def measure(
    robots: Annotated[str, typer.Option(help="Team sizes, by commas.")] = "4,8,16",
    modes: Annotated[str, typer.Option(help="Of link and plain, by commas.")] = "link,plain",
    settle: Annotated[float, typer.Option(help="Wait before counting [s].")] = _SETTLE_S,
    count: Annotated[float, typer.Option(help="Count for so long [s].")] = _COUNT_S,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
) -> None:
    """Count packets per second and robot."""
    if missing():
        typer.echo(f"error: {missing()}.", err=True)
        raise typer.Exit(2)
    rows = []
    for size in map(int, robots.split(",")):
        for mode in modes.split(","):
            for state in ("rest", "motion"):
                found = packets_per_robot(size, mode, state, settle, count)
                rows.append({"robots": size, "mode": mode, "state": state, **found})
                typer.echo(
                    f"{size:3} robots  {mode:6} {state:7} {found['robot']:8.1f} per robot and s, "
                    f"operator {found['operator']:8.1f} per s"
                )
    if json_file is not None:
        report = {"command": " ".join(sys.argv), "machine": describe(), "rows": rows}
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def packets_per_robot(
    size: int, mode: str, state: str, settle_s: float, count_s: float
) -> dict[str, float]:
    """Packets per second of one robot, the mean of all, and of the operator."""
    team = [f"r{i}" for i in range(size)]
    with tempfile.TemporaryDirectory() as scratch, network(OPERATOR, *team) as hosts:
        folder = Path(scratch)
        if mode == "link":
            from eir_ros.policy.keyring import make_keyring

            make_keyring(folder / "keys", [OPERATOR, *team])
        started = [_start(host, hosts, mode, state, folder) for host in hosts.values()]
        time.sleep(settle_s)
        for process in started:
            if process.poll() is not None:
                logs = "".join(path.read_text() for path in folder.glob("*.txt"))
                raise RuntimeError(f"a stand-in ended: {logs[-2000:]}")
        before = {name: host.packets() for name, host in hosts.items()}
        began = time.monotonic()
        time.sleep(count_s)
        took_s = time.monotonic() - began
        rates = {name: (host.packets() - before[name]) / took_s for name, host in hosts.items()}
    return {
        "robot": round(sum(rates[name] for name in team) / size, 1),
        "operator": round(rates[OPERATOR], 1),
    }


def _start(
    host: Host, hosts: dict[str, Host], mode: str, state: str, folder: Path
) -> "subprocess.Popen[str]":
    # robots know the operator, and the operator all
    peers = [h.address for n, h in hosts.items() if (n == OPERATOR) != (host.name == OPERATOR)]
    given = {
        "host": host.name,
        "team": [name for name in hosts if name != OPERATOR],
        "mode": mode,
        "moving": state == "motion",
        "peers": peers,
        "keys": str(folder / "keys" / host.name),
    }
    words = [sys.executable, "-m", "benchmarks.packets_robot", json.dumps(given)]
    environment = {"PYTHONUNBUFFERED": "1", "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID", "0")}
    if mode == "plain":
        own = folder / "dds" / host.name
        own.mkdir(parents=True, exist_ok=True)
        environment = over_udp({}, here=False, peers=peers).write(own, environment)
    return host.start(*words, log=folder / f"{host.name}.txt", environment=environment)


if __name__ == "__main__":
    app()

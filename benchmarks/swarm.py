"""Speed of the swarm: inference, tracks to command over real ROS 2, agents' cost, simulation.

"Tracks to command" ends where the agent publishes `cmd_vel_policy`: the fault node, the gate and
the base come after it.

`python -m benchmarks.swarm` prints a table, with `--json` the same as JSON. It takes about half
a minute; nothing else should run beside it.
"""

import argparse
import json
import operator
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.machine import describe
from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.paths import share
from eir_ros.policy.bundle import load_bundle
from eir_ros.policy.runtime import PolicyRuntime
from sim.swarm.body import PlanarBodies
from sim.swarm.bullet import pybullet
from sim.swarm.coverage import CoverageWorld
from sim.swarm.env import CoverageEnv, PursuitEnv, RendezvousEnv, SwarmEnv, TransportEnv

#: Never in an agent: a robot has neither the memory nor the need for them.
HEAVY = ("torch", "pybullet")


@dataclass(frozen=True)
class Measure:
    """One figure and its goal."""

    name: str
    value: float | None
    unit: str
    #: "<=" or ">=", how the value shall compare with the goal; empty where there is none.
    relation: str = ""
    goal: float = 0.0

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        compare: dict[str, Callable[[float, float], bool]]
        compare = {"<=": operator.le, ">=": operator.ge}
        if not self.relation:
            return None
        return self.value is not None and compare[self.relation](self.value, self.goal)


def measure_inference(bundle: Path, steps: int = 5000) -> list[Measure]:
    """Time of one policy + belief step of one robot, batch 1, one thread."""
    runtime = PolicyRuntime(load_bundle(bundle))
    observations = np.random.default_rng(0).normal(size=(steps + 500, runtime.layout.size))
    times = [runtime.step(row).inference_us for row in observations.astype(np.float32)][500:]
    p50, p99 = np.percentile(times, (50, 99))
    return [
        Measure("inference p50", round(p50, 1), "us"),
        Measure("inference p99", round(p99, 1), "us", "<=", 150),
    ]


def measure_simulation() -> list[Measure]:
    """10 Hz steps of the swarm's environments per CPU-second, sensing and control included.

    Actions are random; the engine alone is what `stepSimulation` does with the same four discs and
    walls at 60 Hz, told nothing and asked nothing.
    """
    planar, unit = _rate(CoverageEnv(128, seed=0), 360), "env-steps/CPU-s"
    alone = engine_rate()
    found = [
        Measure("sim/swarm, 4 robots", round(planar), unit, ">=", 25_000),
        Measure("the engine alone", round(alone), unit),
        Measure("sim/swarm of the engine alone", round(100 * planar / alone), "%", ">=", 80),
    ]
    wheels = CoverageEnv(1, seed=0, world=CoverageWorld(body="wheels"))
    found.append(Measure("sim/swarm on wheels", round(_rate(wheels, 400)), unit, ">=", 800))
    for kind in (RendezvousEnv, PursuitEnv, TransportEnv):
        found.append(Measure(kind.name, round(_rate(kind(128, seed=0), 90)), unit))
    return found


def _rate(env: SwarmEnv, decisions: int) -> float:
    shape = (decisions, env.batch, env.num_agents)
    actions = np.random.default_rng(0).integers(0, env.num_actions, shape)
    for row in actions[:20]:
        env.step(row)
    start = time.process_time()
    for row in actions:
        env.step(row)
    spent = time.process_time() - start
    env.close()
    return env.batch * decisions * env.task.decision_ticks / spent


def engine_rate(ticks: int = 30_000) -> float:
    """Steps of the bare engine per CPU-second, with the bodies of the default coverage task."""
    task, world = CoverageTask(), CoverageWorld()
    bodies = PlanarBodies(task.num_robots, world.robot_radius, world.arena, task.tick_s)
    start = time.process_time()
    for _ in range(ticks):
        pybullet.stepSimulation(bodies._client)
    spent = time.process_time() - start
    bodies.close()
    return ticks / spent


def measure_agent_modules() -> list[Measure]:
    """How many of the heavy libraries importing the agent brings in."""
    code = "import sys, eir_ros.nodes.agent; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name.partition(".")[0] for name in done.stdout.split()}.intersection(HEAVY)
    return [Measure("agent imports torch, pybullet", len(found), "modules", "<=", 0)]


def measure_swarm(bundle: Path, duration_s: float) -> list[Measure]:
    """Latency, and the cost of agents, with four robots over real ROS 2 in real time."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "eir_ros.cli.main", "swarm", "--headless"]
        command += ["--duration", f"{duration_s:g}", "--json", str(report), "--bundle", str(bundle)]
        command += ["--run-dir", str(Path(folder) / "run")]
        # its own ROS domain, so that a swarm that runs beside it is not measured too
        environment = {"ROS_DOMAIN_ID": str(1 + os.getpid() % 100), **os.environ}
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as swarm:
            try:
                costs = _watch_agents(psutil.Process(swarm.pid), duration_s)
                status = swarm.wait(timeout=60)
            except BaseException:
                swarm.send_signal(signal.SIGINT)
                raise
        if status != 0:
            sys.exit(f"eir swarm ended with status {status}")
        result = json.loads(report.read_text(encoding="utf-8"))
    tick, inference = result["tick_ms"], result["inference_us"]
    return [
        Measure("tracks to command p50", _rounded(tick["p50"]), "ms"),
        Measure("tracks to command p99", _rounded(tick["p99"]), "ms", "<=", 5),
        Measure("inference in the swarm p99", _rounded(inference["p99"]), "us"),
        *costs,
        Measure("overruns", result["overruns"], "ticks"),
        Measure("stale inputs", result["stale_inputs"], "inputs"),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _watch_agents(swarm: psutil.Process, duration_s: float) -> list[Measure]:
    """CPU and memory of the agents in the middle of the run: neither start-up nor shutdown."""
    agents: list[psutil.Process] = []
    deadline = time.monotonic() + 60
    while len(agents) < 4:
        if time.monotonic() > deadline or not swarm.is_running():
            sys.exit("the four agents did not start within 60 s")
        time.sleep(0.2)
        agents = [
            child
            for child in swarm.children(recursive=True)
            if "eir_ros.nodes.agent" in child.cmdline()
        ]
    time.sleep(0.4 * duration_s)
    before, start = [_cpu_s(agent) for agent in agents], time.monotonic()
    time.sleep(0.4 * duration_s)
    elapsed = time.monotonic() - start
    shares = [(_cpu_s(a) - b) / elapsed for a, b in zip(agents, before, strict=True)]
    proportional = [agent.memory_full_info().pss / 2**20 for agent in agents]
    mapped = {Path(entry.path).name for agent in agents for entry in agent.memory_maps()}
    heavy = sum(any(word in name for word in HEAVY) for name in mapped)
    return [
        Measure("agent, largest share of a core", round(100 * max(shares), 1), "%", "<=", 6),
        Measure("agent, largest PSS", round(max(proportional), 1), "MiB", "<=", 90 / 1.048576),
        Measure("agent maps torch, pybullet", heavy, "libraries", "<=", 0),
    ]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def print_table(machine: dict[str, Any], measures: list[Measure]) -> None:
    """Print the figures for people."""
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    words = {True: "met", False: "MISSED", None: ""}
    for measure in measures:
        value = "-" if measure.value is None else f"{measure.value:g}"
        goal = f"{measure.relation} {measure.goal:.6g}" if measure.relation else ""
        print(f"{measure.name:<32}{value:>10} {measure.unit:<16}{goal:<12}{words[measure.met]}")


def main() -> None:
    """Measure, and say how the figures compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--bundle", type=Path, default=share() / "policies" / "coverage")
    parser.add_argument("--duration", type=float, default=20.0, help="seconds of the ROS run")
    args = parser.parse_args()
    machine = describe()
    measures = measure_inference(args.bundle)
    measures += measure_simulation()
    measures += measure_agent_modules()
    measures += measure_swarm(args.bundle, args.duration)
    if args.json:
        rows = [{**asdict(measure), "met": measure.met} for measure in measures]
        print(json.dumps({"machine": machine, "measures": rows}, indent=2))
    else:
        print_table(machine, measures)


if __name__ == "__main__":
    main()

"""What a field test has to count on: how fast a swarm stops, comes back, and finds out.

`python -m benchmarks.field --json results/field.json` plays the shipped bundle in the plain world
for the delays of detection, then runs a real swarm (all processes, DDS) and kills its agents and
presses its e-stop. What others measure is taken from their files and named: packets
(`benchmarks.packets`, needs root) and the recorder's loss (`benchmarks.recorder`).
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import rclpy
import typer
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Bool

from benchmarks.chaos.swarm import Swarm, own_domain
from benchmarks.machine import describe
from eir_ros.contract.detection import Detector
from eir_ros.contract.faults import COMMUNICATION, LEARNED, SOFTWARE, FaultKind
from eir_ros.contract.paths import share
from eir_ros.contract.types import p_adversary, teammates
from eir_ros.faults.attack_process import executed_actions
from eir_ros.faults.schedule import Schedule
from eir_ros.nodes import qos
from eir_ros.policy.batch import BatchPolicy
from eir_ros.policy.bundle import Bundle, load_bundle
from sim.swarm.env import CoverageEnv
from training.provenance import commit

#: Never shared with training, attacks or evaluation.
STREAM: Final = 6_000_011
#: When the fault begins [decisions]: beliefs have settled, and most of the episode is left.
_ONSET: Final = 30
_TEAM: Final = ("r0", "r1", "r2", "r3")
#: What is promised: [s], [ms], [packets/s].
GOALS: Final = {"stop_s": 0.5, "estop_ms": 100.0, "restart_s": 2.0, "loss_s": 1.0, "packets": 80.0}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def detection(bundle: Bundle, kind: FaultKind, episodes: int, seed: int) -> dict[str, Any]:
    """Delays and false alarms over `episodes`, robots acting greedily; robot e mod N is faulty."""
    task = bundle.manifest.task
    n, mates = task.num_robots, teammates(task.num_robots)
    policy, env = BatchPolicy(bundle, episodes), CoverageEnv(episodes, 0, task)
    whose = np.arange(episodes) % n
    onset_s = _ONSET * task.decision_s
    observation = env.reset(
        [STREAM, seed, int(kind)], Schedule.single(episodes, n, kind, whose, onset_s)
    )
    rng, detector = np.random.default_rng([STREAM, seed]), _detector(bundle, (episodes, n, n - 1))
    # (B, N, N-1): observers and suspects
    faulty = np.zeros((episodes, n), bool)
    faulty[np.arange(episodes), whose] = kind is not FaultKind.NONE
    suspect, honest = faulty[:, mates], ~faulty[:, :, None]
    first, alarms = np.full((episodes, n, n - 1), np.nan), 0
    for step in range(env.episode_decisions):
        own = policy.decide(observation)
        found = detector.update(p_adversary(policy.belief))
        guilty = suspect & (step >= _ONSET)
        first = np.where(found & guilty & np.isnan(first), (step - _ONSET) * task.decision_s, first)
        alarms += int((found & ~guilty & honest).sum())
        uniform = rng.integers(0, len(task.actions), own.shape)
        executed = executed_actions(own, np.zeros_like(own), uniform, env.kinds)
        observation, *_ = env.step(executed)
    watched_s = env.episode_decisions * task.decision_s * int((honest & ~suspect).sum())
    env.close()
    delays = first[suspect & honest]
    heard = delays[~np.isnan(delays)]
    return {
        "episodes": episodes,
        "pairs": len(delays),
        "found": round(len(heard) / len(delays), 4) if len(delays) else None,
        "delay_s": _spread(heard),
        "false_alarms": alarms,
        "false_alarms_per_pair_hour": round(3600 * alarms / watched_s, 2),
    }


def _detector(bundle: Bundle, shape: tuple[int, ...]) -> Detector:
    return Detector(bundle.manifest.belief.threshold, shape)


def _spread(values: NDArray[np.floating[Any]] | list[float]) -> dict[str, float] | None:
    """Median, 99th percentile and maximum."""
    if not len(values):
        return None
    p50, p99 = np.percentile(values, [50, 99])
    return {
        "count": len(values),
        "p50": round(float(p50), 4),
        "p99": round(float(p99), 4),
        "max": round(float(np.max(values)), 4),
    }


class Watch(Node):
    """What the gates send, how fast the robots are, and who decides."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("watch", context=context)
        #: By robot: last time of moving by command and by measurement, of standing by command, and
        #: of a decision [s; steady clock].
        self.told = dict.fromkeys(_TEAM, 0.0)
        self.moved = dict.fromkeys(_TEAM, 0.0)
        self.stood = dict.fromkeys(_TEAM, 0.0)
        self.decided = dict.fromkeys(_TEAM, 0.0)
        for robot in _TEAM:
            for kind, topic, take, profile in (
                (TwistStamped, "cmd_vel", self._on_command, qos.COMMAND),
                (Odometry, "odom", self._on_odometry, qos.sensor(1.0)),
                (
                    DiagnosticArray,
                    "decision",
                    self._on_decision,
                    qos.recorded(reliable=True, latched=False),
                ),
            ):
                self.create_subscription(kind, f"/{robot}/{topic}", partial(take, robot), profile)
        self.estop = self.create_publisher(Bool, "/swarm/estop", qos.ESTOP)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)

    def _on_command(self, robot: str, message: TwistStamped) -> None:
        moves = bool(message.twist.linear.x or message.twist.angular.z)
        (self.told if moves else self.stood)[robot] = time.monotonic()

    def _on_odometry(self, robot: str, message: Odometry) -> None:
        twist = message.twist.twist
        if abs(twist.linear.x) + abs(twist.angular.z) > 0.02:
            self.moved[robot] = time.monotonic()

    def _on_decision(self, robot: str, _: DiagnosticArray) -> None:
        self.decided[robot] = time.monotonic()

    def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Spin until `condition` or for `timeout_s`; whether it came true."""
        end = time.monotonic() + timeout_s
        while not (there := condition()) and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)
        return there

    def moves(self, robot: str) -> bool:
        """Whether it is in motion now."""
        now = time.monotonic()
        return now - self.told[robot] < 0.15 and now - self.moved[robot] < 0.15


def swarm(seed: int, kills: int, presses: int) -> dict[str, Any]:
    """A real swarm: agents killed one after the other, then the e-stop, again and again."""
    own_domain()
    context = rclpy.Context()
    rclpy.init(context=context)
    with tempfile.TemporaryDirectory() as name:
        running = Swarm(Path(name) / "run", Path(name) / "bag", seed)
        watch = Watch(context)
        try:
            if not watch.until(lambda: all(watch.moved.values()), 90.0):
                sys.exit("the swarm does not move; run `eir doctor --for swarm`.")
            found = _deaths(watch, running, kills) | {"estop_ms": _estops(watch, presses)}
        finally:
            running.end()
            running.kill()
            watch.destroy_node()
            rclpy.try_shutdown(context=context)
    return found


def _deaths(watch: Watch, running: Swarm, kills: int) -> dict[str, Any]:
    """From SIGKILL to standing, to the new process, and to the next decision [s].

    Standing by command, the gate's doing, and as measured, which others that push it spoil.
    """
    told, measured, started, decided = [], [], [], []
    for number in range(kills):
        robot = _TEAM[number % len(_TEAM)]
        name = f"{robot}/agent"
        watch.until(partial(watch.moves, robot), 20.0)
        agent = running.processes()[name]
        died_at = time.monotonic()
        agent.kill()

        def back(name: str = name, pid: int = agent.pid) -> bool:
            successor = running.processes().get(name)
            return successor is not None and successor.pid != pid

        if watch.until(back, 10.0):
            started.append(time.monotonic() - died_at)
        # nobody imports what an agent needs in less
        watch.until(lambda at=died_at: time.monotonic() > at + 1.0, 2.0)  # type: ignore[misc]
        told.append(max(0.0, watch.told[robot] - died_at))
        measured.append(max(0.0, watch.moved[robot] - died_at))
        at = time.monotonic()
        if watch.until(lambda r=robot, t=at: watch.decided[r] > t, 20.0):  # type: ignore[misc]
            decided.append(watch.decided[robot] - died_at)
    return {
        "kills": kills,
        "stop_s": _spread(told),
        "still_s": _spread(measured),
        "restart_s": _spread(started),
        "decides_again_s": _spread(decided),
    }


def _estops(watch: Watch, presses: int) -> dict[str, float] | None:
    """From publishing to the zero that a gate sends, as somebody else hears it [ms]."""
    taken = []
    for _ in range(presses):
        watch.until(lambda: sum(map(watch.moves, _TEAM)) >= 2, 5.0)
        moving = [robot for robot in _TEAM if watch.moves(robot)]
        at = time.monotonic()
        watch.estop.publish(Bool(data=True))
        first: dict[str, float] = {}

        def seen(
            first: dict[str, float] = first, moving: list[str] = moving, at: float = at
        ) -> bool:
            first |= {r: watch.stood[r] for r in moving if r not in first and watch.stood[r] > at}
            return len(first) == len(moving)

        watch.until(seen, 3.0)
        taken += [1e3 * (when - at) for when in first.values()]
        watch.estop.publish(Bool(data=False))
        watch.until(lambda: False, 0.3)
    return _spread(taken)


def others() -> dict[str, Any]:
    """What other benchmarks measured last, with their commands."""
    packets = json.loads(Path("results/packets.json").read_text(encoding="utf-8"))
    recorder = json.loads(Path("results/recorder.json").read_text(encoding="utf-8"))
    rows = [row for run in packets["runs"] for row in run["rows"] if row["mode"] == "link"]
    return {
        "packets_per_robot_and_s": {
            "commands": [run["command"] for run in packets["runs"]],
            "machine": packets["runs"][0]["machine"],
            **{f"{row['robots']} robots, {row['state']}": row["robot"] for row in rows},
        },
        "recorder_loss_s": {
            "command": recorder["command"],
            "machine": recorder["machine"],
            **recorder["killed"]["lost_s"],
        },
    }


@app.command()
def main(
    episodes: Annotated[int, typer.Option(min=4, help="Of each kind of fault.")] = 64,
    kills: Annotated[int, typer.Option(min=1, help="Agents to kill.")] = 8,
    presses: Annotated[int, typer.Option(min=1, help="Of the e-stop.")] = 25,
    seed: Annotated[int, typer.Option(min=0, help="Of worlds and swarm.")] = 0,
    alive: Annotated[bool, typer.Option(help="Run a real swarm, too.")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the figures.")] = None,
) -> None:
    """Measure, and print each figure beside its goal."""
    machine, bundle = describe(), load_bundle(share() / "policies" / "coverage")
    # the adversary is a network of its own; messages and processes are none in the plain world
    left_out = LEARNED | COMMUNICATION | SOFTWARE
    kinds = [kind for kind in FaultKind if kind not in left_out]
    found = {kind.word: detection(bundle, kind, episodes, seed) for kind in kinds}
    for word, row in found.items():
        delay = row["delay_s"]
        told = (
            f"{100 * row['found']:5.1f} % found, after {delay['p50']:.1f} s (median), "
            if delay
            else ""
        )
        typer.echo(
            f"{word:<13} {told}{row['false_alarms_per_pair_hour']:.1f} false alarms a pair-hour"
        )
    story = {
        "command": f"python -m benchmarks.field --episodes {episodes} --kills {kills} "
        f"--presses {presses} --seed {seed}",
        "bundle": bundle.digest,
        "commit": commit(),
        "machine": machine,
        "seed": seed,
        "goals": GOALS,
        "detection": found,
        "swarm": swarm(seed, kills, presses) if alive else None,
        "others": others(),
    }
    _tell(story)
    if json_file is not None:
        json_file.write_text(json.dumps(story, indent=1) + "\n", encoding="utf-8")


def _tell(story: dict[str, Any]) -> None:
    measured = story["swarm"] or {}
    for name, goal in (
        ("stop_s", "stop_s"),
        ("still_s", "stop_s"),
        ("restart_s", "restart_s"),
        ("estop_ms", "estop_ms"),
    ):
        row = measured.get(name)
        if row:
            typer.echo(
                f"{name:<10} p50 {row['p50']:.3f}  p99 {row['p99']:.3f}  goal {GOALS[goal]:g}: "
                f"{'met' if row['p99'] <= GOALS[goal] else 'MISSED'}"
            )
    loss = story["others"]["recorder_loss_s"]
    typer.echo(f"recorder loses at most {loss['max']:.2f} s, goal {GOALS['loss_s']:g}")
    packets = story["others"]["packets_per_robot_and_s"]
    for name, value in packets.items():
        if "robots" in name:
            typer.echo(f"packets per robot and s, {name}: {value:.0f}, goal {GOALS['packets']:g}")


if __name__ == "__main__":
    app()

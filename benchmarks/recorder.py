"""What a recorder loses: when it is killed, and under the traffic of large teams.

`python -m benchmarks.recorder` kills the real recorder node at random moments (SIGKILL) while
numbered messages are published over real DDS, recovers what it left, and compares; then it lets
the recorder keep up with 4, 8 and 16 robots and end by itself. `--json` prints the same as JSON.
It takes about a minute and a half.
"""

import argparse
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
import yaml
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from benchmarks.machine import describe
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.recording import recover
from eir_ros.nodes import messages, qos

#: Of each robot at a tick of 10 Hz; a cloud is as large as that of seven teammates.
_COMMANDS, _CLOUDS = ("cmd_vel_policy", "cmd_vel_faulty", "cmd_vel"), ("tracks",)
_TICK_S, _CLOUD_BYTES = 0.1, 7 * 28


class Source(Node):
    """Publishes what a team would, and notes when: messages are numbered by their stamps."""

    def __init__(self, robots: int, context: rclpy.Context) -> None:
        super().__init__("source", context=context)
        self._out = {}
        for robot in range(robots):
            for topic in (*_COMMANDS, *_CLOUDS):
                kind = TwistStamped if topic in _COMMANDS else PointCloud2
                profile = qos.COMMAND if topic in _COMMANDS else qos.sensor(0.5)
                name = f"/r{robot}/{topic}"
                self._out[name] = kind, self.create_publisher(kind, name, profile)
        #: When each message was published, by topic [s; steady clock].
        self.sent: dict[str, list[float]] = defaultdict(list)

    def connected(self) -> bool:
        """Whether every topic has a listener."""
        return all(publisher.get_subscription_count() for _, publisher in self._out.values())

    def tick(self) -> None:
        """Publish one message on every topic."""
        for name, (kind, publisher) in self._out.items():
            message = kind()
            message.header.stamp = messages.time_of(len(self.sent[name]))
            if kind is PointCloud2:
                message.data = bytes(_CLOUD_BYTES)
            publisher.publish(message)
            self.sent[name].append(time.monotonic())


@contextmanager
def recorder(folder: Path, robots: int) -> Iterator[subprocess.Popen[bytes]]:
    """The node as a process of its own, recording to `folder`/bag."""
    team = [f"r{robot}" for robot in range(robots)]
    parameters = {"team": team, "out": str(folder / "bag"), "min_free_mb": 0.0}
    (folder / "recorder.yaml").write_text(
        yaml.safe_dump({"/recorder": {"ros__parameters": parameters}})
    )
    command = [sys.executable, "-m", "eir_ros.nodes.recorder", "--ros-args"]
    command += ["--params-file", str(folder / "recorder.yaml")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def play(source: Source, duration_s: float) -> None:
    """Publish for a while, tick by tick."""
    end, due = time.monotonic() + duration_s, time.monotonic()
    while due < end:
        source.tick()
        due += _TICK_S
        time.sleep(max(0.0, due - time.monotonic()))


def heard(bag: Path) -> dict[str, list[int]]:
    """The numbers of the messages in a recording, by topic."""
    found: dict[str, list[int]] = defaultdict(list)
    for channel, message in Bag(bag).messages():
        # what the recorder says of itself is in there as well
        if channel.topic.rpartition("/")[2] not in (*_COMMANDS, *_CLOUDS):
            continue
        # CDR: four bytes of encapsulation, then the stamp
        seconds, nanoseconds = struct.unpack_from("<iI", message.data, 4)
        found[channel.topic].append(seconds * 10**9 + nanoseconds)
    return found


def trial(robots: int, duration_s: float, *, kill: bool) -> dict[str, Any]:
    """Record once; what is missing in the end, and what on the way there."""
    context = rclpy.Context()
    rclpy.init(context=context)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = Source(robots, context)
        with recorder(folder, robots) as process:
            give_up = time.monotonic() + 30.0
            while not source.connected():
                if time.monotonic() > give_up:
                    sys.exit("the recorder does not listen; run `eir doctor --for swarm`.")
                time.sleep(0.05)
            play(source, duration_s)
            ended_s = time.monotonic()
            process.send_signal(signal.SIGKILL if kill else signal.SIGINT)
            process.wait()
        if kill:
            recover(folder / "bag", folder / "whole")
        found = heard(folder / ("whole" if kill else "bag"))
        size = sum(path.stat().st_size for path in (folder / "bag").glob("*.mcap"))
    sent = dict(source.sent)
    source.destroy_node()
    rclpy.shutdown(context=context)
    last = {topic: max(numbers, default=-1) for topic, numbers in found.items()}
    gaps = sum(numbers[-1] - numbers[0] + 1 - len(numbers) for numbers in found.values() if numbers)
    newest_s = max(sent[topic][number] for topic, number in last.items())
    return {
        "sent": sum(map(len, sent.values())),
        "recorded": sum(map(len, found.values())),
        "missing_between": gaps,
        "lost_s": round(ended_s - newest_s, 3),
        "mb_per_min": round(size / 1e6 / duration_s * 60, 1),
    }


def measure(kills: int, seed: int) -> dict[str, Any]:
    """Everything, as plain numbers."""
    rng = np.random.default_rng(seed)
    killed = [trial(4, float(rng.uniform(1.5, 2.5)), kill=True) for _ in range(kills)]
    lost = [found["lost_s"] for found in killed]
    return {
        "what": "recorder loss",
        "command": f"python -m benchmarks.recorder --kills {kills} --seed {seed}",
        "machine": describe(),
        "killed": {
            "times": kills,
            "lost_s": {"median": float(np.median(lost)), "max": max(lost)},
            "missing_between": sum(found["missing_between"] for found in killed),
            "trials": killed,
        },
        "traffic": {str(robots): trial(robots, 8.0, kill=False) for robots in (4, 8, 16)},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    found = measure(chosen.kills, chosen.seed)
    if chosen.json:
        print(json.dumps(found, indent=2))
        return
    killed = found["killed"]
    print(
        f"killed {killed['times']} times: lost {killed['lost_s']['median']:.2f} s (median), "
        f"{killed['lost_s']['max']:.2f} s (most); {killed['missing_between']} missing in between"
    )
    for robots, trial_ in found["traffic"].items():
        print(
            f"{robots} robots: {trial_['recorded']} of {trial_['sent']} messages recorded, "
            f"{trial_['missing_between']} missing in between, {trial_['mb_per_min']} MB a minute"
        )


if __name__ == "__main__":
    main()

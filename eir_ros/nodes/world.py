"""The simulated world as a node: bodies, sensors and the task of every robot, and the clock.

In real time a tick takes its time and each base follows the freshest command. In lockstep the
world waits for every robot's answer to a tick and then advances at once. Either way it stays at
tick 0 until everyone has answered that, so nobody misses the start.
"""

import json
import math
import os
import sys
import time
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from pydantic import Field as Setting
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import SetBool

from eir_ros.contract.config import Model, Schema, validate
from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.errors import EirError
from eir_ros.contract.frames import MAP
from eir_ros.nodes import clouds, messages, qos
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.graph import nodes_of
from eir_ros.nodes.managed import ManagedNode
from eir_ros.nodes.mission import Mission, site_points, track_points
from eir_ros.nodes.parameters import declare
from eir_ros.nodes.run import FinishedError, run
from sim.swarm.coverage import CoverageSim, CoverageWorld

#: Deadlines that the sensors offer: two and a half periods [s].
_MOTION_DEADLINE_S, _SITES_DEADLINE_S = 0.25, 0.5
#: Before the start, while paused and to who does not answer, a tick is told again this often [s].
_REPEAT_S = 0.1
#: How long everybody must have been there before the mission starts [s].
_QUIET_S = 0.5
#: Nodes of each robot that must hear its odometry before anything starts.
_LISTENERS = frozenset({"agent", "gate"})


class Parameters(Schema):
    """Parameters of the world node."""

    team: tuple[str, ...] = Setting(description="Names of all robots in roster order")
    task: str = Setting("", description="The task's numbers as JSON; empty: the defaults")
    world: str = Setting("", description="Numbers of the world as JSON; empty: the defaults")
    seed: int = Setting(0, ge=0, le=2**31 - 1, description="Seed of everything random here")
    lockstep: bool = Setting(False, description="Wait for every robot's answer to each tick")
    real_time_factor: float = Setting(
        1.0, ge=0.1, le=10.0, description="Simulated per real time; not in lockstep"
    )
    duration_s: float = Setting(
        0.0, ge=0.0, le=1e6, description="End after so much simulated time; 0: never"
    )
    initial_poses: tuple[float, ...] = Setting(
        (), description="x, y, yaw of each robot [m, m, rad; map]; empty: drawn"
    )
    wait_for: tuple[str, ...] = Setting(
        (), description="Nodes that must listen to /swarm/score before the first tick"
    )
    absent: tuple[str, ...] = Setting(
        (), description="Robots that nobody waits for: they stand until they come"
    )
    linked: tuple[str, ...] = Setting(
        (), description="Robots on other hosts, whose nodes are behind a link: they only answer"
    )
    start_timeout_s: float = Setting(
        60.0, ge=1.0, le=3600.0, description="Longest wait for everyone's first answer [real s]"
    )
    answer_timeout_s: float = Setting(
        20.0, ge=0.5, le=3600.0, description="Longest wait for an answer in lockstep [real s]"
    )
    autostart: bool = Setting(True, description="Configure and activate without being told")


class World(ManagedNode):
    """See the module.

    Raises
    ------
    EirError
        A parameter is wrong, or, later, another world is found or a robot is silent for too long.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("world", **options)
        self.settings = declare(self, Parameters)
        self.bring_up(self.settings.autostart)

    def configure(self) -> None:
        """Build the world, at tick 0."""
        task = self._task()
        try:
            sim = CoverageSim(task, batch=1, world=self._read("world", CoverageWorld))
        except ValueError as error:
            raise EirError(f"/world: parameter world: {error}.") from error
        sim.reset(self.settings.seed, self._initial_poses())
        self._mission = Mission(sim, self.settings.team, self.settings.absent)
        self._tick_ns = round(task.tick_s * 1e9)
        self._started = self._paused = False
        self._quiet = 0
        self._connect()

    def activate(self) -> None:
        """Let time pass, from where it is."""
        self._waiting_since = time.monotonic()
        self._timer.reset()

    def deactivate(self) -> None:
        """Hold time, and say nothing: the bases stop by themselves."""
        self._timer.cancel()

    def cleanup(self) -> None:
        """Forget the world."""
        self._mission.sim.close()

    def _task(self) -> CoverageTask:
        team = self.settings.team
        task = self._read("task", CoverageTask)
        if task is None:
            given = {"num_robots": len(team), "num_sites": len(team) - 1}
            task = validate(given, CoverageTask, where=f"/world: a team of {len(team)}")
        if task.num_robots != len(team):
            raise EirError(f"the task is for {task.num_robots} robots, the team has {len(team)}.")
        return task

    def _read(self, parameter: str, schema: type[Model]) -> Model | None:
        """The numbers in a parameter of JSON; None where it is empty."""
        text, where = getattr(self.settings, parameter), f"/world: parameter {parameter}"
        if not text:
            return None
        try:
            given = json.loads(text)
        except ValueError as error:
            raise EirError(f"{where} is not JSON: {error}") from error
        return validate(given, schema, where=where)

    def _initial_poses(self) -> NDArray[np.float64] | None:
        given = self.settings.initial_poses
        if not given:
            return None
        if len(given) != 3 * len(self.settings.team):
            raise EirError(
                f"initial_poses holds {len(given)} numbers; expected x, y, yaw of each of "
                f"{len(self.settings.team)} robots."
            )
        return np.reshape(given, (1, -1, 3))

    def _connect(self) -> None:
        team, motion = self.settings.team, qos.sensor(_MOTION_DEADLINE_S)
        sites = qos.sensor(_SITES_DEADLINE_S)
        publish = self.create_publisher
        self._clock_pub = publish(ClockMessage, "/clock", qos.CLOCK)
        self._score_pub = publish(DiagnosticArray, "/swarm/score", qos.EVENT)
        self._odom_pubs = [publish(Odometry, f"/{robot}/odom", motion) for robot in team]
        self._tracks_pubs = [publish(PointCloud2, f"/{robot}/tracks", motion) for robot in team]
        self._sites_pubs = [publish(PointCloud2, f"/{robot}/sites", sites) for robot in team]
        for robot in team:
            callback = partial(self._on_command, robot)
            self.create_subscription(TwistStamped, f"/{robot}/cmd_vel", callback, qos.COMMAND)
        self.create_subscription(DiagnosticArray, "/swarm/faults", self._on_faults, qos.FAULTS)
        self.create_service(SetBool, "~/pause", self._on_pause)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(_REPEAT_S, self._on_wait, clock=self._steady)
        self._timer.cancel()

    # Inputs

    def _on_command(self, robot: str, message: TwistStamped) -> None:
        try:
            command = messages.decode_twist(message)
        except InvalidMessageError as error:
            # a base that is told nonsense stands
            self.get_logger().warning(f"cmd_vel of {robot} {error}", throttle_duration_sec=1.0)
            command = np.zeros(2)
        tick = round(messages.nanoseconds_of(message.header.stamp) / self._tick_ns)
        self._mission.commanded(robot, tick, command, time.monotonic())
        if self.active and self._started and self.settings.lockstep and not self._paused:
            self._advance_if_answered()

    def _on_faults(self, message: DiagnosticArray) -> None:
        try:
            found = messages.decode_faults(message)
        except InvalidMessageError as error:
            self.get_logger().warning(f"ignored: a message on /swarm/faults {error}")
            return
        for robot, spans in found.items():
            self._mission.announced(robot, spans)

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._paused = request.data
        self._waiting_since = time.monotonic()
        response.success, response.message = True, "paused" if request.data else "running"
        self._tell_score()
        return response

    # Time

    def _on_wait(self) -> None:
        """Wait until everybody is there, a moment longer, and until all have answered tick 0."""
        self._refuse_company()
        missing = self._missing()
        self._quiet = 0 if missing else self._quiet + 1
        if self._quiet * _REPEAT_S >= _QUIET_S:
            # by now whoever is there has found everybody else
            silent = self._mission.silent()
            if not silent:
                self._start()
                return
            self._publish()
            missing = [f"robot {robot} does not answer" for robot in silent]
        waited = time.monotonic() - self._waiting_since
        if missing and waited > self.settings.start_timeout_s:
            raise EirError(f"nothing starts: after {waited:.0f} s still {'; '.join(missing)}.")

    def _start(self) -> None:
        self._started = True
        self.get_logger().info("everybody is here: the mission starts")
        self.destroy_timer(self._timer)
        self._waiting_since = time.monotonic()
        if self.settings.lockstep:
            self._timer = self.create_timer(_REPEAT_S, self._on_repeat, clock=self._steady)
            self._advance_if_answered()
        else:
            period_s = self._mission.sim.task.tick_s / self.settings.real_time_factor
            self._timer = self.create_timer(period_s, self._on_tick, clock=self._steady)

    def _refuse_company(self) -> None:
        """Two worlds would both move the robots, and nobody's clock would be right."""
        if self.count_publishers("/clock") > 1:
            domain = os.environ.get("ROS_DOMAIN_ID") or "0"
            raise EirError(
                f"another world, or a player of recordings, publishes /clock in ROS_DOMAIN_ID="
                f"{domain}; end it, or set another ROS_DOMAIN_ID."
            )

    def _missing(self) -> list[str]:
        """What the start is waiting for, as parts of a sentence."""
        watching = nodes_of(self.get_subscriptions_info_by_topic("/swarm/score"))
        injecting = nodes_of(self.get_publishers_info_by_topic("/swarm/faults"))
        found = [f"{node} is not there" for node in self.settings.wait_for if node not in watching]
        for robot in self.settings.team:
            if robot in self._mission.absent or robot in self.settings.linked:
                continue
            here = nodes_of(self.get_subscriptions_info_by_topic(f"/{robot}/odom"))
            if f"/{robot}/fault" in here:
                # which passes it on to the agent
                here |= nodes_of(self.get_subscriptions_info_by_topic(f"/{robot}/odom_faulty"))
                if os.environ.get("ROS_DISCOVERY_SERVER"):
                    # a server tells a node of its own topics alone; that the agent is there shows
                    # in its answer to the first tick, without which nothing starts either
                    here.add(f"/{robot}/agent")
            absent = sorted(name for name in _LISTENERS if f"/{robot}/{name}" not in here)
            if absent:
                found.append(f"robot {robot} has no {' and no '.join(absent)}")
            if f"/{robot}/fault" in injecting and not self._mission.knows(robot):
                found.append(f"the faults of robot {robot} are not known")
        return found

    def _on_tick(self) -> None:
        if not self._paused:
            self._mission.advance(time.monotonic())
        self._publish()

    def _on_repeat(self) -> None:
        """Lockstep: tell those who did not answer once more, or give up."""
        if self._paused:
            self._publish()
            return
        silent = self._mission.silent()
        waited = time.monotonic() - self._waiting_since
        if silent and waited > self.settings.answer_timeout_s:
            raise EirError(
                f"lockstep is stuck: no cmd_vel of {' and '.join(silent)} answers tick "
                f"{self._mission.sim.ticks} after {waited:.0f} s. Is its agent or gate alive?"
            )
        if waited > 2 * _REPEAT_S:
            self._publish()
        self._advance_if_answered()

    def _advance_if_answered(self) -> None:
        if self._mission.silent():
            return
        self._mission.advance(time.monotonic(), timeout_s=math.inf)
        self._waiting_since = time.monotonic()
        self._publish()

    # Outputs

    def _publish(self) -> None:
        """Everything that is known at this tick; the end, when it is the last."""
        mission = self._mission
        stamp = messages.time_of(mission.sim.ticks * self._tick_ns)
        self._clock_pub.publish(ClockMessage(clock=stamp))
        for place, (robot, sensed) in enumerate(
            zip(self.settings.team, mission.sensed(), strict=True)
        ):
            frame = f"{robot}/odom"
            motion = messages.Motion(sensed.pose, sensed.velocity, mission.yaw_rates[place])
            odometry = messages.encode_odometry(motion, stamp, frame, f"{robot}/base_link")
            self._odom_pubs[place].publish(odometry)
            self._tracks_pubs[place].publish(clouds.encode(track_points(sensed), stamp, frame))
            if mission.sim.decision_due:
                self._sites_pubs[place].publish(clouds.encode(site_points(sensed), stamp, MAP))
        duration_s = self.settings.duration_s
        over = bool(duration_s) and mission.sim.time_s >= duration_s - 1e-6
        if mission.sim.decision_due or over:
            self._tell_score(over)
        if over:
            # the last score is the one that counts
            self._score_pub.wait_for_all_acked(Duration(seconds=2.0))
            raise FinishedError

    def _tell_score(self, over: bool = False) -> None:
        stamp = messages.time_of(self._mission.sim.ticks * self._tick_ns)
        flags = {"paused": self._paused, "over": over}
        values = self._mission.values() | {name: str(on).lower() for name, on in flags.items()}
        status = messages.status("world", values, message="paused" if self._paused else "running")
        self._score_pub.publish(messages.diagnostics(stamp, status))


def main() -> int:
    """Entry point of the executable `world`."""
    return run(lambda: [World()])


if __name__ == "__main__":
    sys.exit(main())

"""The roster: which robots make the team, what they are, where they stand and what they may do.

One YAML file describes the fleet; `config/rosters/default.yaml` is the commented example. The
order of the robots is the order of the team: it numbers the robots for the policy.
"""

import math
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field as Setting
from pydantic import field_validator, model_validator

from eir_ros.contract.config import Schema, load_yaml
from eir_ros.contract.errors import EirError
from eir_ros.contract.names import ROBOT_NAME
from eir_ros.contract.trust import LadderSettings

Finite = Annotated[float, Setting(allow_inf_nan=False)]
#: x, y, yaw [m, m, rad].
Pose = tuple[Finite, Finite, Finite]
#: Where a robot's tracks of its teammates come from, most trusted first.
TracksSource = Literal["detection", "motion_capture", "odometry"]

#: Namespaces of the graph that are not robots.
_RESERVED: Final = ("swarm", "world", "monitor", "recorder", "operator", "eir")
#: The host of world, monitor and recorder.
OPERATOR: Final = "operator"
#: No gate takes a limit below this one [m/s, rad/s, m/s^2, rad/s^2, s].
LEAST: Final = 0.01


class RobotType(Schema):
    """What all robots of one type have in common. SI units."""

    #: How the base moves; commands are forward speed and yaw rate.
    base: Literal["differential"] = "differential"
    #: Radius of the robot's footprint [m].
    radius: float = Setting(gt=0, le=2)
    #: Limits that the gate enforces [m/s; base_link], [rad/s], [m/s^2].
    max_speed: float = Setting(ge=LEAST, le=5)
    max_yaw_rate: float = Setting(ge=LEAST, le=20)
    max_deceleration: float = Setting(ge=LEAST, le=50)
    #: How fast the gate lets speed and yaw rate grow [m/s^2], [rad/s^2].
    max_acceleration: float = Setting(10.0, ge=LEAST, le=1e4)
    max_yaw_acceleration: float = Setting(60.0, ge=LEAST, le=1e4)
    #: Silence of the agent, or of the senses, after which the gate slows down to a stand [s].
    command_timeout_s: float = Setting(ge=LEAST, le=5)
    #: Room that the gate keeps between this robot's body and those of its teammates, and between
    #: it and obstacles [m]; None: they may touch, and tracks are not asked for.
    separation: float | None = Setting(0.05, ge=0, le=5)
    #: What is added to that for a teammate in quarantine [m].
    quarantine_separation: float = Setting(0.25, ge=0, le=5)
    #: Whether this robot has a detector of obstacles, which publishes `obstacles`.
    obstacles: bool = False
    #: Whether the publishers of its senses offer a deadline. What offers none is only heard where
    #: none is asked for.
    deadlines: bool = True
    #: How long its gate listens for a kept e-stop before it lets the first command through [s].
    estop_wait_s: float = Setting(1.0, ge=0, le=60)
    tracks: TracksSource


class RobotEntry(Schema):
    """One robot; a setting given here replaces that of its type."""

    name: str
    type: str
    #: The computer that carries its processes; one of its own, of the robot's name, unless given.
    host: str | None = None
    #: Where the robot stands at the start [m, m, rad; map].
    pose: Pose
    #: Origin of the robot's odometry [m, m, rad; map]; where it was switched on, unless given.
    odom_in_map: Pose | None = None
    max_speed: float | None = Setting(default=None, ge=LEAST, le=5)
    max_yaw_rate: float | None = Setting(default=None, ge=LEAST, le=20)
    max_deceleration: float | None = Setting(default=None, ge=LEAST, le=50)
    max_acceleration: float | None = Setting(default=None, ge=LEAST, le=1e4)
    max_yaw_acceleration: float | None = Setting(default=None, ge=LEAST, le=1e4)
    command_timeout_s: float | None = Setting(default=None, ge=LEAST, le=5)
    separation: float | None = Setting(default=None, ge=0, le=5)
    quarantine_separation: float | None = Setting(default=None, ge=0, le=5)
    obstacles: bool | None = None
    deadlines: bool | None = None
    estop_wait_s: float | None = Setting(default=None, ge=0, le=60)
    tracks: TracksSource | None = None

    @field_validator("name")
    @classmethod
    def _ros_name(cls, name: str) -> str:
        if not re.fullmatch(ROBOT_NAME, name):
            raise ValueError(
                "expected a ROS name: letters, digits and single underscores, a letter first"
            )
        if name in _RESERVED:
            raise ValueError(f"names that the swarm itself uses are {', '.join(_RESERVED)}")
        return name

    @field_validator("host")
    @classmethod
    def _host_name(cls, host: str | None) -> str | None:
        if host is not None and not re.fullmatch(ROBOT_NAME, host):
            raise ValueError("expected letters, digits and single underscores, a letter first")
        return host


class Robot(RobotType):
    """A robot with the settings of its type filled in."""

    name: str
    host: str
    pose: Pose
    odom_in_map: Pose


class Fence(Schema):
    """The rectangle that no robot may leave [m; map]."""

    x: tuple[Finite, Finite]
    y: tuple[Finite, Finite]

    @field_validator("x", "y")
    @classmethod
    def _ordered(cls, side: tuple[float, float]) -> tuple[float, float]:
        if side[0] >= side[1]:
            raise ValueError("expected [lowest, highest]")
        return side

    @property
    def corners(self) -> list[float]:
        """xmin, ymin, xmax, ymax [m; map]."""
        return [self.x[0], self.y[0], self.x[1], self.y[1]]

    def for_centre(self, radius: float) -> list[float]:
        """The corners that hold the centre of a disc when the fence holds all of it [m; map]."""
        return [self.x[0] + radius, self.y[0] + radius, self.x[1] - radius, self.y[1] - radius]

    def holds(self, x: float, y: float, margin: float) -> bool:
        """Whether a disc of radius `margin` at (x, y) lies inside."""
        inside_x = self.x[0] + margin <= x <= self.x[1] - margin
        return inside_x and self.y[0] + margin <= y <= self.y[1] - margin


class Roster(Schema):
    """The fleet, as in the file."""

    called: ClassVar[str] = "a roster"

    fence: Fence
    #: Addresses of hosts, where they are not to find each other by multicast.
    hosts: dict[str, str] = Setting(default_factory=dict)
    #: A linked robot stops when nothing is heard of the operator for so long [s]; 0: never.
    operator_timeout_s: float = Setting(default=0.0, ge=0, le=3600)
    #: When a robot stops counting on a teammate, and when it does again.
    trust: LadderSettings = LadderSettings()
    types: dict[str, RobotType]
    robots: tuple[RobotEntry, ...] = Setting(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> "Roster":
        problem = next(self._problems(), None)
        if problem:
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        names = [entry.name for entry in self.robots]
        for name in names:
            if names.count(name) > 1:
                yield f"robot name '{name}' is used {names.count(name)} times, expected once"
        for entry in self.robots:
            if entry.type not in self.types:
                known = ", ".join(self.types) or "none"
                yield f"robot '{entry.name}' is of type '{entry.type}'; types here: {known}"
        known_hosts = [OPERATOR, *(robot.host for robot in self.team())]
        for host in self.hosts:
            if host not in known_hosts:
                yield f"host '{host}' carries nothing; hosts here: {', '.join(known_hosts)}"
        if self.hosts and OPERATOR not in self.hosts:
            yield f"hosts gives no address of the {OPERATOR}, which all others speak with"
        for robot in self.team():
            if not self.fence.holds(robot.pose[0], robot.pose[1], robot.radius):
                yield (
                    f"robot '{robot.name}' starts at ({robot.pose[0]:g}, {robot.pose[1]:g}) m, "
                    f"which is not inside the fence x {list(self.fence.x)}, y {list(self.fence.y)} "
                    f"by its radius of {robot.radius:g} m"
                )
        for a, b in combinations(self.team(), 2):
            gap = math.dist(a.pose[:2], b.pose[:2])
            if gap < a.radius + b.radius:
                yield (
                    f"robots '{a.name}' and '{b.name}' start {gap:.2f} m apart, expected at least "
                    f"{a.radius + b.radius:.2f} m, the sum of their radii"
                )

    def team(self) -> tuple[Robot, ...]:
        """The robots in roster order, with the settings of their types."""
        return tuple(self._complete(entry) for entry in self.robots)

    def _complete(self, entry: RobotEntry) -> Robot:
        # what is left out is the type's; a separation of null is meant
        own: dict[str, Any] = entry.model_dump(exclude_none=True, exclude={"type"})
        if "separation" in entry.model_fields_set:
            own["separation"] = entry.separation
        common = self.types[entry.type].model_dump()
        given = {"odom_in_map": entry.pose, "host": entry.name}
        return Robot.model_validate({**given, **common, **own})

    def peers(self, host: str) -> tuple[str, ...]:
        """Addresses of the hosts that `host` speaks with: robots with the operator alone."""
        others = [name for name in self.hosts if (host == OPERATOR) != (name == OPERATOR)]
        return tuple(self.hosts[name] for name in others)

    def select(self, wanted: str) -> "Roster":
        """Return a roster of some of the robots.

        Parameters
        ----------
        wanted
            How many ("3": the first three) or which ("r0,r2"); the roster's order is kept.

        Raises
        ------
        EirError
            There are not that many robots, or a name is unknown or given twice.
        """
        names = [entry.name for entry in self.robots]
        if wanted.strip().isdecimal():
            count = int(wanted)
            if not 1 <= count <= len(names):
                raise EirError(
                    f"{_robots(count)} asked for, but the roster has {len(names)} "
                    f"({', '.join(names)}); ask for 1 to {len(names)}."
                )
            chosen = set(names[:count])
        else:
            asked = [name.strip() for name in wanted.split(",")]
            for name in asked:
                if name not in names:
                    raise EirError(
                        f"robot '{name}' of '{wanted}' is not in the roster; it has "
                        f"{', '.join(names)}."
                    )
                if asked.count(name) > 1:
                    raise EirError(
                        f"robots '{wanted}' asked for, which names '{name}' "
                        f"{asked.count(name)} times; name each robot once."
                    )
            chosen = set(asked)
        return self.model_copy(
            update={"robots": tuple(entry for entry in self.robots if entry.name in chosen)}
        )


def _robots(count: int) -> str:
    return f"{count} robot" if count == 1 else f"{count} robots"


def load_roster(path: str | Path) -> Roster:
    """Read a roster; `EirError` with a sentence for everything that is wrong with it."""
    return load_yaml(path, Roster)

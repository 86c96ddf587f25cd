"""The simulated mission behind the world node: who commanded what, who is broken, the score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.coverage import CoverageTask, Sensed
from eir_ros.contract.types import teammates
from eir_ros.faults.timeline import Span
from eir_ros.nodes.clouds import SITES, TRACKS

#: A robot that has not been commanded for so long is stopped by its base [s, steady clock].
COMMAND_TIMEOUT_S: Final = 0.5


class Arena(Protocol):
    """What a mission needs of `sim.swarm.coverage.CoverageSim`, of batch 1."""

    task: CoverageTask
    ticks: int
    poses: NDArray[np.float64]
    served_by: NDArray[np.integer[Any]]

    @property
    def time_s(self) -> float:
        """Time since the start [s]."""

    @property
    def decision_due(self) -> bool:
        """Whether the policy decides at this tick."""

    def sense(self) -> Sensed:
        """What each robot senses now, (1, N, ...)."""

    def tick(self, commands: NDArray[np.float64], working: NDArray[np.bool_]) -> None:
        """Advance by one tick."""

    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the present state, (1,)."""

    def close(self) -> None:
        """Let go of it."""


@dataclass
class Score:
    """Sums over the decisions whose outcome is known."""

    decisions: int = 0
    reward: float = 0.0
    served: float = 0.0
    all_served: int = 0

    def add(self, reward: float, served: NDArray[np.bool_]) -> None:
        """Count one decision."""
        self.decisions += 1
        self.reward += reward
        self.served += float(served.mean())
        self.all_served += bool(served.all())

    def means(self) -> dict[str, float]:
        """Per decision; empty before the first."""
        if not self.decisions:
            return {}
        return {
            "mean_reward": self.reward / self.decisions,
            "served_fraction": self.served / self.decisions,
            "all_served_fraction": self.all_served / self.decisions,
        }


@dataclass
class _Order:
    """The newest command that a robot's base has received."""

    tick: int = -1
    command: NDArray[np.floating[Any]] = field(default_factory=lambda: np.zeros(2))
    #: On a steady clock [s].
    at: float = -np.inf


class Mission:
    """One arena, advanced with the commands that the robots' bases have received.

    Parameters
    ----------
    sim
        The bodies, the sites and the sensors.
    team
        Names of the robots in roster order.
    absent
        Those that nobody waits for; each counts like the others once it has commanded its base.
    """

    def __init__(self, sim: Arena, team: Sequence[str], absent: Iterable[str] = ()) -> None:
        self.sim = sim
        self.team = tuple(team)
        self.absent = set(absent)
        self.score = Score()
        self.yaw_rates = np.zeros(len(team))
        self._orders = {robot: _Order() for robot in team}
        self._faults: dict[str, tuple[Span, ...]] = {}

    def commanded(
        self, robot: str, tick: int, command: NDArray[np.floating[Any]], now_s: float
    ) -> None:
        """The base of `robot` received the answer to `tick`, (2,) [m/s, rad/s]."""
        self._orders[robot] = _Order(tick, command, now_s)
        self.absent.discard(robot)

    def silent(self) -> list[str]:
        """Robots that have not answered the present tick, though they are there."""
        late = [robot for robot, order in self._orders.items() if order.tick != self.sim.ticks]
        return [robot for robot in late if robot not in self.absent]

    def announced(self, robot: str, spans: Iterable[Span]) -> None:
        """Faults of `robot`, past and to come, replacing what was known of it."""
        self._faults[robot] = tuple(spans)

    def knows(self, robot: str) -> bool:
        """Whether the faults of `robot` have been announced."""
        return robot in self._faults

    def working(self) -> NDArray[np.bool_]:
        """Robots without a fault at this tick, (N,)."""
        now = self.sim.time_s
        return np.array(
            [not any(span.holds(now) for span in self._faults.get(r, ())) for r in self.team]
        )

    def advance(self, now_s: float, timeout_s: float = COMMAND_TIMEOUT_S) -> None:
        """Advance by one tick; a robot whose command is older than `timeout_s` stands.

        Who is absent, or has fallen silent for so long, does not work either.
        """
        commands = np.zeros((1, len(self.team), 2))
        working = self.working()
        for place, (robot, order) in enumerate(self._orders.items()):
            if now_s - order.at <= timeout_s:
                commands[0, place] = order.command
            if robot in self.absent or timeout_s < now_s - order.at < np.inf:
                working[place] = False
        before = self.sim.poses[0, :, 2].copy()
        self.sim.tick(commands, working[None])
        turned = np.mod(self.sim.poses[0, :, 2] - before + np.pi, 2 * np.pi) - np.pi
        self.yaw_rates = turned / self.sim.task.tick_s
        if self.sim.decision_due:
            self.score.add(float(self.sim.reward()[0]), self.sim.served_by[0] >= 0)

    def sensed(self) -> list[Sensed]:
        """What each robot senses now, without leading dimensions."""
        s = self.sim.sense()
        return [
            Sensed(
                pose=s.pose[0, i],
                velocity=s.velocity[0, i],
                tracks=s.tracks[0, i],
                visible=s.visible[0, i],
                sites=s.sites[0, i],
                served=s.served[0, i],
                index=s.index[0, i],
            )
            for i in range(len(self.team))
        ]

    def values(self) -> dict[str, str]:
        """The score so far, who serves which site, and the time, as they are published."""
        names = ["-" if i < 0 else self.team[i] for i in self.sim.served_by[0]]
        return {
            **{name: f"{mean:.9g}" for name, mean in self.score.means().items()},
            "ticks": str(self.sim.ticks),
            "served_by": ",".join(names),
            "time_s": f"{self.sim.time_s:.9g}",
        }


def track_points(sensed: Sensed) -> NDArray[np.void]:
    """The teammates that one robot sees, as the cloud it receives."""
    mates = teammates(len(sensed.visible) + 1)[sensed.index]
    points = np.zeros(len(mates), TRACKS)
    points["id"] = mates
    points["x"], points["y"], points["vx"], points["vy"] = sensed.tracks.T
    return points[sensed.visible]


def site_points(sensed: Sensed) -> NDArray[np.void]:
    """The sites and one robot's readings of them, as the cloud it receives."""
    points = np.zeros(len(sensed.sites), SITES)
    points["id"] = np.arange(len(points))
    points["x"], points["y"] = sensed.sites.T
    points["served"] = sensed.served
    return points

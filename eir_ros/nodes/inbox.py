"""Brings the inputs of one tick together, whatever the order in which they arrive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.coverage import CoverageTask, Sensed
from eir_ros.contract.frames import Pose, compose
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.messages import Motion

#: Before the first message.
_NEVER = -(10**9)
#: Odometry is kept this long, because tracks may take some time to be made [ticks].
_HISTORY = 10


@dataclass
class Inbox:
    """The newest odometry, tracks and sites of one robot, and the ticks they belong to.

    A message belongs to tick round(stamp / tick_s). A tick is complete when its tracks and the
    odometry of the same tick are here and, where a decision is due, sites younger than one
    decision, and not of a time that is yet to come.

    Parameters
    ----------
    index
        The robot's place in the roster.
    odom_in_map : (3,)
        Origin of the robot's odometry [m, m, rad; map].
    """

    task: CoverageTask
    index: int
    odom_in_map: Pose = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        x, y, yaw = self.odom_in_map
        self._rotation = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        self._origin = np.array([x, y])
        self.forget()

    def forget(self) -> None:
        """Wait for a new mission."""
        n, m = self.task.num_robots, self.task.num_sites
        self.answered = self._tracked_at = self._sites_at = _NEVER
        self._motions: dict[int, Motion] = {}
        self._tracks, self._visible = np.zeros((n - 1, 4)), np.zeros(n - 1, bool)
        self._sites, self._served = np.zeros((m, 2), np.float32), np.zeros(m, bool)

    def tick_of(self, nanoseconds: int) -> int:
        """The tick that a message stamped with this time [ns] belongs to."""
        return round(nanoseconds / (self.task.tick_s * 1e9))

    def stamp_of(self, tick: int) -> int:
        """The time of a tick [ns]; the inverse of `tick_of`."""
        return round(tick * self.task.tick_s * 1e9)

    def decision_due(self, tick: int) -> bool:
        """Whether the policy decides at `tick`."""
        return tick % self.task.decision_ticks == 0

    def _are_of_now(self, tick: int) -> bool:
        """Whether the sites are of the time of `tick`.

        They may be ahead by as much as tracks may be late. Any further, and it is a clock that is
        wrong: they would be taken for new for as long as it is ahead, also when nobody sends them
        any more.
        """
        return -self.task.decision_ticks < self._sites_at - tick <= _HISTORY

    def missing(self) -> str:
        """What keeps the next tick from being complete, for a report."""
        newest = max(self._motions, default=_NEVER)
        ages = {"odom": newest, "tracks": self._tracked_at, "sites": self._sites_at}
        last = max(ages.values())
        allowed = self.task.decision_ticks
        late = [name for name, tick in ages.items() if tick < last - allowed]
        problem = f"stale input: {', '.join(late or ages)}"
        if late == ["odom", "tracks"] and min(ages.values()) != _NEVER:
            # either they have stopped, or the clock of the sites is ahead: the stamps do not tell
            ahead_s = (last - max(newest, self._tracked_at)) * self.task.tick_s
            problem += f", or sites are {ahead_s:.1f} s ahead of time"
        return problem

    def went_back(self, tick: int) -> bool:
        """Whether time has jumped to before what was answered: another mission."""
        return tick < self.answered - _HISTORY

    def between(self, before: int, tick: int) -> int:
        """How many ticks lie between two that were answered; of the first of a mission none."""
        return 0 if before == _NEVER else max(0, tick - before - 1)

    def odometry(self, tick: int, motion: Motion) -> None:
        """Take the robot's own motion [`<r>/odom`]."""
        self._motions.pop(tick, None)
        self._motions[tick] = motion
        if len(self._motions) > _HISTORY:
            del self._motions[next(iter(self._motions))]

    def tracks(self, tick: int, points: NDArray[np.void]) -> None:
        """Take the teammates that are seen [`<r>/odom`]; those that are not are not visible.

        Raises
        ------
        InvalidMessageError
            An id is not a teammate's place in the roster.
        """
        ids = points["id"].astype(np.int64)
        if ((ids >= self.task.num_robots) | (ids == self.index)).any():
            raise InvalidMessageError(f"tracks {sorted(ids.tolist())} are not all teammates")
        slots = ids - (ids > self.index)
        xy = np.stack([points["x"], points["y"]], -1).astype(np.float64) @ self._rotation.T
        moving = np.stack([points["vx"], points["vy"]], -1).astype(np.float64) @ self._rotation.T
        tracks = np.zeros((self.task.num_robots - 1, 4))
        tracks[slots] = np.concatenate([xy + self._origin, moving], -1)
        visible = np.zeros(self.task.num_robots - 1, bool)
        visible[slots] = True
        self._tracks, self._visible, self._tracked_at = tracks, visible, tick

    def sites(self, tick: int, points: NDArray[np.void]) -> None:
        """Take the sites [map] and this robot's readings of them.

        Raises
        ------
        InvalidMessageError
            The ids are not exactly those of the task's sites.
        """
        ids = points["id"].astype(np.int64)
        if sorted(ids.tolist()) != list(range(self.task.num_sites)):
            raise InvalidMessageError(
                f"sites {sorted(ids.tolist())} given; expected 0 to {self.task.num_sites - 1}"
            )
        ordered = points[np.argsort(ids)]
        self._sites = np.stack([ordered["x"], ordered["y"]], -1)
        self._served = ordered["served"] > 0.5
        self._sites_at = tick

    def take(self) -> tuple[int, Sensed] | None:
        """The tick that is complete and has not been answered yet, with what was sensed."""
        tick = self._tracked_at
        motion = self._motions.get(tick)
        if motion is None or tick <= self.answered:
            return None
        if self.decision_due(tick) and not self._are_of_now(tick):
            return None
        self.answered = tick
        x, y, yaw = motion.pose
        return tick, Sensed(
            pose=np.array(compose(self.odom_in_map, (x, y, yaw))),
            velocity=self._rotation @ motion.velocity,
            tracks=self._tracks,
            visible=self._visible,
            sites=self._sites,
            served=self._served,
            index=np.asarray(self.index),
        )

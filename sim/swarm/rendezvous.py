"""The rendezvous world: who is linked to whom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.rendezvous import RendezvousTask, Sensed
from sim.scene import Box, Disc, Line
from sim.swarm.arena import SwarmSim, SwarmWorld
from sim.swarm.geometry import distances


class RendezvousSim(SwarmSim[RendezvousTask, SwarmWorld]):
    """A batch of rendezvous arenas; see `arena.SwarmSim` for parameters.

    Attributes
    ----------
    links : (B, N, N) bool
        Which working robots are linked; nobody is linked to itself.
    groups : (B, N) int64
        Size of each robot's group, itself included; 0 where it does not work.
    """

    def __init__(
        self,
        task: RendezvousTask,
        batch: int = 1,
        seed: Any = 0,
        world: SwarmWorld | None = None,
    ) -> None:
        n = task.num_robots
        self.links = np.zeros((batch, n, n), bool)
        self.groups = np.zeros((batch, n), np.int64)
        self._apart = np.zeros(batch)
        self._readings = np.zeros((batch, n), bool)
        super().__init__(task, batch, seed, world or SwarmWorld())

    def sense(self) -> Sensed:
        """What each robot senses now, (B, N, ...). The arrays belong to the simulation."""
        return Sensed(**self._senses(), linked=self._readings)

    def reward(self) -> NDArray[np.float64]:
        """Shared reward of the present state, (B,).

        0.7 for the share of its teammates that a robot of the largest group has with it, up to
        0.3 for working robots being near each other, and 0.5 when all of them are in one group.
        """
        lend, worth, others = self.scratch, self._worth, self.task.num_robots - 1
        largest = lend("reward.largest", worth.shape, np.int64)
        np.maximum.reduce(self.groups, axis=-1, out=largest)
        working = lend("reward.working", worth.shape, np.int64)
        np.add.reduce(lend.copy("reward.works", self._working, np.int64), axis=-1, out=working)
        together = lend("reward.together", worth.shape, np.bool_)
        np.equal(largest, working, out=together)
        grouped = lend("reward.grouped", worth.shape, np.bool_)
        together &= np.greater(largest, 1, out=grouped)
        np.minimum(self._apart, 3.0, out=worth)
        worth /= -3.0
        worth += 1.0
        worth *= 0.3
        share = lend.copy("reward.share", largest)
        share -= 1
        np.maximum(share, 0, out=share)
        share *= 0.7 / others
        worth += share
        bonus = lend.copy("reward.bonus", together)
        bonus *= 0.5
        worth += bonus
        return worth

    def facts(self) -> list[NDArray[Any]]:
        """Share of the team in each robot's group."""
        share = self.scratch.copy("facts.share", self.groups)
        share /= self.task.num_robots
        return [share]

    def shapes(self, index: int) -> list[Disc | Box | Line]:
        """The links."""
        places = [(x, y) for x, y, _ in self.poses[index].tolist()]
        pairs = np.argwhere(np.triu(self.links[index])).tolist()
        return [Line((places[i], places[j]), "agent") for i, j in pairs]

    def _begin(self) -> None:
        """Nothing but the robots' own places is drawn."""

    def _happen(self) -> None:
        """Nothing but the robots moves."""

    def _judge(self) -> None:
        lend, n = self.scratch, self.task.num_robots
        distance, links = self._distances(), self.links
        links[...] = self._working[:, :, None]
        links &= lend.spread("judge.working", self._working[:, None], links.shape, np.bool_)
        links &= self._others()
        # while it holds all pairs of working robots
        self._judge_distances(distance, links)
        near = lend("judge.near", links.shape, np.bool_)
        links &= np.less(distance, self.task.link_radius, out=near)
        reach = lend.copy("judge.reach", links, np.float32)
        for i in range(n):
            reach[:, i, i] = self._working[:, i]
        twice = lend("judge.twice", reach.shape, np.float32)
        for _ in range((n - 1).bit_length()):
            # paths of up to twice as many links
            np.matmul(reach, reach, out=twice)
            np.greater(twice, 0.0, out=near)
            reach[...] = near
        size = lend("judge.size", self.groups.shape, np.float32)
        np.add.reduce(reach, axis=-1, out=size)
        self.groups[...] = size

    def _judge_distances(self, distance: NDArray[np.float64], pairs: NDArray[np.bool_]) -> None:
        """How far working robots are apart on average; 3 m where there are fewer than two."""
        lend, flat = self.scratch, (self.batch, -1)
        counted = lend.copy("judge.counted", pairs)
        count, total = lend("judge.count", (self.batch,)), lend("judge.total", (self.batch,))
        np.add.reduce(counted.reshape(flat), axis=-1, out=count)
        counted *= distance
        np.add.reduce(counted.reshape(flat), axis=-1, out=total)
        alone = lend("judge.alone", count.shape, np.bool_)
        np.equal(count, 0.0, out=alone)
        np.copyto(count, 1.0, where=alone)
        np.divide(total, count, out=self._apart)
        np.copyto(self._apart, 3.0, where=alone)

    def _distances(self) -> NDArray[np.float64]:
        """Between robots, (B, N, N) [m]."""
        places = self.poses[..., :2]
        return distances(places, places, "rendezvous.distance", self.scratch)

    def _others(self) -> NDArray[np.bool_]:
        """Pairs of a robot and another, (B, N, N)."""
        return self.scratch.kept(
            "others",
            lambda: np.broadcast_to(
                ~np.eye(len(self.links[0]), dtype=bool), self.links.shape
            ).copy(),
        )

    def _read(self) -> None:
        if not self.decision_due:
            return
        lend = self.scratch
        # a robot need not work to read
        company = lend("read.company", self.links.shape, np.bool_)
        np.less(self._distances(), self.task.link_radius, out=company)
        company &= lend.spread("read.working", self._working[:, None], company.shape, np.bool_)
        company &= self._others()
        np.logical_or.reduce(company, axis=-1, out=self._readings)
        self._readings ^= self._wrong(self._readings)

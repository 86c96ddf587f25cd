"""The rendezvous world: who is linked to whom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.rendezvous import RendezvousTask, Sensed
from sim.scene import Box, Disc, Line
from sim.swarm.arena import SwarmSim, SwarmWorld


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
        largest = self.groups.max(-1)
        near = 1.0 - np.minimum(self._apart, 3.0) / 3.0
        share = np.maximum(largest - 1, 0) / (self.task.num_robots - 1)
        together = (largest > 1) & (largest == self._working.sum(-1))
        return 0.7 * share + 0.3 * near + 0.5 * together

    def facts(self) -> list[NDArray[Any]]:
        """Share of the team in each robot's group."""
        return [self.groups / self.task.num_robots]

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
        n = self.task.num_robots
        offset = self.poses[:, :, None, :2] - self.poses[:, None, :, :2]
        distance = np.sqrt(np.square(offset).sum(-1))
        both = self._working[:, :, None] & self._working[:, None]
        others = both & ~np.eye(n, dtype=bool)
        self.links = others & (distance < self.task.link_radius)
        reach = (self.links | (both & np.eye(n, dtype=bool))).astype(np.float32)
        for _ in range((n - 1).bit_length()):
            # paths of up to twice as many links
            reach = (reach @ reach > 0).astype(np.float32)
        self.groups = reach.sum(-1).astype(np.int64)
        pairs = others.sum((-1, -2))
        total = np.where(others, distance, 0.0).sum((-1, -2))
        self._apart = np.where(pairs > 0, total / np.maximum(pairs, 1), 3.0)

    def _read(self) -> None:
        if not self.decision_due:
            return
        flip = self._rng.random(self._readings.shape) < self.world.reading_flip
        # a robot need not work to read
        near = np.square(self.poses[:, :, None, :2] - self.poses[:, None, :, :2]).sum(-1)
        near = near < self.task.link_radius**2
        company = (near & self._working[:, None] & ~np.eye(near.shape[-1], dtype=bool)).any(-1)
        np.not_equal(company, flip, out=self._readings)

"""Coverage as a batched reinforcement-learning environment: one step is one decision."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.coverage import CoverageTask, Sensed, command, decode, observe
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.command import CommandFaults
from eir_ros.faults.schedule import FaultMixture, Schedule
from sim.scene import Scene
from sim.swarm.coverage import CoverageSim, CoverageWorld
from sim.swarm.picture import coverage_scene


class Step(NamedTuple):
    """What `CoverageEnv.step` returns; unpacks like Gymnasium's tuple."""

    #: (B, N, D) float32, of the next episode where one has just ended
    observation: NDArray[np.float32]
    #: Shared by the team, (B,)
    reward: NDArray[np.float64]
    #: The task is over for good, (B,) bool: coverage never is
    terminated: NDArray[np.bool_]
    #: The time limit was reached, (B,) bool: the value of what follows still counts
    truncated: NDArray[np.bool_]
    #: `final_observation`, `final_state` and `final_kinds` where `truncated`
    info: dict[str, Any]


class CoverageEnv:
    """B coverage arenas with faults, stepped decision by decision.

    Every episode has the same length, so all arenas end and restart together.

    Parameters
    ----------
    batch
        Number of arenas, B.
    seed
        Anything `numpy.random.SeedSequence` takes as entropy.
    task, world
        Numbers shared with robots, and those of the world.
    faults
        Mixture that types, kinds and onsets are drawn from; None for a healthy team.
    episode_decisions
        Time limit of an episode [decisions].
    """

    def __init__(
        self,
        batch: int = 1,
        seed: int | list[int] = 0,
        task: CoverageTask | None = None,
        world: CoverageWorld | None = None,
        faults: FaultMixture | None = None,
        episode_decisions: int = 90,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; expected at least 1")
        self.task = task or CoverageTask()
        self.faults = faults
        self.batch = batch
        self.num_agents = self.task.num_robots
        self.episode_decisions = episode_decisions
        self.available_actions = np.ones((batch, self.num_agents, len(self.task.actions)), bool)
        self._sim = CoverageSim(self.task, batch, 0, world)
        self._motors = CommandFaults((batch, self.num_agents), 0)
        self.reset(seed)

    def reset(
        self, seed: int | list[int] | None = None, schedule: Schedule | None = None
    ) -> NDArray[np.float32]:
        """Start new episodes everywhere; returns the observation (B, N, D).

        Parameters
        ----------
        seed
            Start all random streams again from here; None goes on with the present ones.
        schedule
            Faults of these episodes; drawn from the mixture where not given.
        """
        if seed is not None:
            world, motors, nature = np.random.SeedSequence(seed).spawn(3)
            self._nature = np.random.default_rng(nature)
            self._motors.reset(motors)
            self._sim.reset(world)
        else:
            self._sim.reset()
        if schedule is None:
            schedule = self._draw()
        if schedule.kind.shape != (self.batch, self.num_agents):
            raise ValueError(
                f"schedule is for {schedule.kind.shape} (batch, robots); "
                f"expected {(self.batch, self.num_agents)}"
            )
        self.schedule = schedule
        self.decisions = 0
        return observe(self.task, self._sim.sense())

    def _draw(self) -> Schedule:
        if self.faults is None:
            return Schedule.healthy(self.batch, self.num_agents)
        length = self.episode_decisions * self.task.decision_s
        return self.faults.draw(self._nature, self.batch, self.num_agents, length)

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Codes of the faults that act now, (B, N). Hidden from the team."""
        return self.schedule.active(self._sim.time_s)

    @property
    def types(self) -> NDArray[np.int8]:
        """The present types θ, (B, N): 0 cooperative, 1 adversary. Hidden from the team."""
        return (self.kinds != FaultKind.NONE).astype(np.int8)

    @property
    def served_by(self) -> NDArray[np.int64]:
        """The working robot that serves each site, or -1, (B, M)."""
        return self._sim.served_by

    @property
    def state(self) -> NDArray[np.float32]:
        """Global state for a central critic, (B, S) float32; the types are not in it.

        Robots' x, y, vx, vy, cos and sin of yaw; sites' x, y; which sites are served; time until
        the sites move, as a share of their period.
        """
        sim, yaw = self._sim, self._sim.poses[..., 2]
        period = sim.world.site_period_s
        robots = [sim.poses[..., :2], sim.velocities, np.stack([np.cos(yaw), np.sin(yaw)], -1)]
        parts = [
            np.concatenate(robots, axis=-1).reshape(self.batch, -1),
            sim.sites.reshape(self.batch, -1),
            sim.served_by >= 0,
            np.full((self.batch, 1), 1.0 - sim.time_s % period / period),
        ]
        return np.concatenate(parts, axis=-1, dtype=np.float32, casting="unsafe")

    def sense(self) -> Sensed:
        """What each robot senses now, for looking at; arrays (B, N, ...)."""
        return self._sim.sense()

    def step(self, actions: NDArray[np.integer[Any]]) -> Step:
        """Carry out one joint decision, (B, N) action indices.

        Raises
        ------
        ValueError
            Wrong shape, not integers, or an index outside the action set; nothing has moved then.
        """
        actions = self._checked(actions)
        decision = decode(self.task, actions, self._sim.sense())
        for _ in range(self.task.decision_ticks):
            kinds = self.kinds
            wanted = command(self.task, decision, self._sim.poses)
            self._sim.tick(self._motors.apply(kinds, wanted), kinds == FaultKind.NONE)
        self.decisions += 1
        reward = self._sim.reward()
        over = np.full(self.batch, self.decisions >= self.episode_decisions)
        observation = observe(self.task, self._sim.sense())
        info: dict[str, Any] = {}
        if over[0]:
            info = {
                "final_observation": observation,
                "final_state": self.state,
                "final_kinds": self.kinds,
            }
            observation = self.reset()
        return Step(observation, reward, np.zeros(self.batch, bool), over, info)

    def _checked(self, actions: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        actions = np.asarray(actions)
        shape, count = (self.batch, self.num_agents), len(self.task.actions)
        if actions.shape != shape or not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(
                f"actions are {actions.dtype} of shape {actions.shape}; "
                f"expected integers of shape {shape}"
            )
        if actions.min() < 0 or actions.max() >= count:
            raise ValueError(
                f"actions go from {actions.min()} to {actions.max()}; expected 0 to {count - 1}"
            )
        return actions

    def scene(self, index: int = 0) -> Scene:
        """Arena `index` as a picture, seen from above."""
        return coverage_scene(self._sim, self.types[index], index)

    def close(self) -> None:
        """Free the physics client."""
        self._sim.close()

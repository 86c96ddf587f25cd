"""Any PettingZoo `ParallelEnv` as a batched environment, in worker processes or in this one."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.errors import EirError
from eir_ros.contract.streams import sequence_of
from sim.adapter import REWARDS, Arrays, Row, Shape, shape_of
from sim.batched import BatchedEnv, Step
from sim.scene import Scene
from sim.workers import Crew


class WrappedEnv(BatchedEnv):
    """B environments that somebody else wrote, as one batch.

    See `sim.adapter` for how agents that differ fit into arrays of one size, and for those that
    are out before the others. Environment b gets a new seed for every episode from a stream of
    its own, so its episodes do not depend on the batch or on the number of workers, unless the
    environment draws from a generator that it shares with others.

    Parameters
    ----------
    make
        Makes one `ParallelEnv`; called once in this process to read its sizes, and once for
        every environment where that lives. Anything that cloudpickle can send, lambdas too.
    batch
        Number of environments, B.
    seed
        Anything `numpy.random.SeedSequence` takes.
    workers
        Processes that share the batch, at most B; 0 steps everything in this process; None
        takes one for every core. A script must start them under `if __name__ == "__main__":`.
    reward
        How the agents' rewards become the team's: their `mean` or their `sum`. The mean is over
        all agents, also those that are out, so that its scale does not jump.
    scene
        Draws one `ParallelEnv` as a `sim.scene.Scene`; None: there are no pictures.

    Raises
    ------
    ValueError
        A value is outside its range, or the spaces of the environment do not fit a batch.
    EirError
        A worker cannot make its environments.
    """

    name = "wrapped"
    complete_state = True
    can_hold = True

    def __init__(
        self,
        make: Callable[[], Any],
        batch: int = 1,
        seed: Any = 0,
        workers: int | None = None,
        reward: str = "mean",
        scene: Callable[[Any], Scene] | None = None,
    ) -> None:
        if reward not in REWARDS:
            raise ValueError(f"reward is '{reward}'; expected one of {', '.join(REWARDS)}")
        if workers is None:
            workers = len(os.sched_getaffinity(0))
        if workers < 0:
            raise ValueError(f"workers is {workers}; expected 0 (this process) or more")
        probe = make()
        shape = shape_of(probe)
        super().__init__(
            batch,
            len(shape.agents),
            shape.observation_size,
            shape.state_size,
            shape.num_actions,
            shape.action_size,
        )
        self.name = shape.name if type(self).name == "wrapped" else self.name  # type: ignore[misc]
        self._shape, self._scene = shape, scene
        self._rows: list[Row] = []
        self._crew: Crew | None = None
        if workers:
            probe.close()
            self._crew = Crew(make, scene, shape, batch, min(workers, batch), reward)
            self._adopt(self._crew.arrays)
        else:
            self._arrays = self._own_arrays(shape)
            envs = [probe, *(make() for _ in range(batch - 1))]
            self._rows = [Row(e, shape, self._arrays, b, reward) for b, e in enumerate(envs)]
        self.reset(seed)

    @property
    def agents(self) -> tuple[str, ...]:
        """The names that the environment gives its agents."""
        return self._shape.agents

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers; none where the batch lives in this process."""
        return self._crew.pids if self._crew else []

    def _own_arrays(self, shape: Shape) -> Arrays:
        continuous = np.zeros((self.batch, self.num_agents, shape.action_size), np.float32)
        return Arrays(
            self.observation,
            self.state,
            self.available_actions,
            self.reward,
            self.terminated,
            self.truncated,
            self.info["final_observation"],
            self.info["final_state"],
            self.info["final_available_actions"],
            np.zeros_like(self._actions) if shape.num_actions else continuous,
        )

    def _adopt(self, arrays: Arrays) -> None:
        """Let the attributes be the memory that the workers write."""
        self._arrays = arrays
        self.observation, self.state = arrays.observation, arrays.state
        self.available_actions = arrays.available_actions
        self.reward = arrays.reward
        self.terminated, self.truncated = arrays.terminated, arrays.truncated
        self.info["final_observation"] = arrays.final_observation
        self.info["final_state"] = arrays.final_state
        self.info["final_available_actions"] = arrays.final_available_actions
        self._result = Step(
            self.observation, self.reward, self.terminated, self.truncated, self.info
        )

    def _reset(self, seed: Any) -> None:
        seeds: list[int | None] = [None] * self.batch
        if seed is not None:
            # the first ones of any larger batch, too
            seeds = sequence_of(seed).generate_state(self.batch, np.uint64).tolist()
        if self._crew:
            self._crew.reset(seeds)
        for row, number in zip(self._rows, seeds, strict=False):
            row.reset(number)

    def _advance(self, actions: NDArray[Any]) -> None:
        np.copyto(self._arrays.actions, actions, casting="same_kind")
        if self._crew:
            self._crew.step(self.hold)
        for row in self._rows:
            row.step(self.hold)

    def scene(self, index: int = 0) -> Scene:
        """Environment `index` as a picture; `EirError` where nobody said how to draw it."""
        if self._scene is None:
            raise EirError(f"'{self.name}' has no picture: make it with `scene=`, see sim.scene.")
        if not 0 <= index < self.batch:
            raise ValueError(f"environment {index} is asked for; expected 0 to {self.batch - 1}")
        if self._crew:
            found: Scene = self._crew.scene(index)
            return found
        return self._scene(self._rows[index].env)

    def close(self) -> None:
        """End the workers, and close the environments."""
        if self._crew:
            self._crew.close()
        for row in self._rows:
            row.env.close()


def wrap(
    make: Callable[[], Any],
    batch: int = 1,
    seed: Any = 0,
    workers: int | None = None,
    reward: str = "mean",
    scene: Callable[[Any], Scene] | None = None,
) -> WrappedEnv:
    """Turn any PettingZoo `ParallelEnv` into a batched environment; see `WrappedEnv`.

    env = sim.wrap(lambda: pistonball_v6.parallel_env(), batch=8)
    """
    return WrappedEnv(make, batch, seed, workers, reward, scene)

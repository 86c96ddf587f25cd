"""The particle worlds of the catalogue: mpe2's environments as batches.

Steps of 0.1 s; lengths are mpe2's own, and most things happen within |x|, |y| < 1. Discrete
actions are stay, left, right, down, up; continuous ones are mpe2's five pushes, of which the
first does nothing, with -1 for its 0 and 1 for its 1. The team's reward is the mean of its
agents' rewards unless `reward="sum"`. The state is mpe2's: what every agent sees, one after the
other, the same for all.

mpe2 is stepped in this process unless `workers` asks for processes.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.mpe import particles
from sim.mpe.picture import reference_scene, spread_scene, tag_scene
from sim.wrapping import WrappedEnv


class SpreadEnv(WrappedEnv):
    """`simple_spread`: N agents cover N landmarks and avoid each other.

    Every agent is paid minus the sum over landmarks of the distance to the nearest agent, and -1
    for each agent it touches.

    Parameters
    ----------
    num_agents
        N.
    local_ratio
        Weight of the penalty for touching against the reward for covering.
    continuous, workers, reward
        See the module and `sim.wrapping.WrappedEnv`.
    episode_steps
        Steps until the episode is truncated.
    """

    name = "mpe-simple_spread"

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        num_agents: int = 3,
        local_ratio: float = 0.5,
        continuous: bool = False,
        episode_steps: int = 25,
        reward: str = "mean",
        workers: int = 0,
    ) -> None:
        _check_least("num_agents", num_agents, 1)
        _check_least("episode_steps", episode_steps, 1)
        _check_share("local_ratio", local_ratio)
        make = partial(
            particles.make_spread, num_agents, local_ratio, episode_steps, bool(continuous)
        )
        super().__init__(make, batch, seed, workers, reward, spread_scene)
        self.horizon = episode_steps

    @property
    def teammate_columns(self) -> NDArray[np.intp]:
        """Where each teammate is, and what it says; own motion and landmarks come first."""
        mates = self.num_agents - 1
        first = self.observation.shape[-1] - 4 * mates
        return (
            np.arange(first, first + 4 * mates)
            .reshape(2, mates, 2)
            .swapaxes(0, 1)
            .reshape(mates, -1)
        )


class TagEnv(WrappedEnv):
    """`simple_tag`: slow hunters, which are the team, and one fast prey, which is not.

    mpe2 calls the hunters adversaries; here that word means a traitor, so they are the agents.
    Each of them is paid 10 for every touch between any hunter and the prey, so their mean is what
    each one gets.

    Parameters
    ----------
    num_hunters, num_obstacles
        How many hunt, and how many discs are in the way.
    prey
        `flee` from the hunters by a fixed rule, or `random`; see `sim.mpe.particles.Hunters`.
    continuous, workers, reward
        See the module and `sim.wrapping.WrappedEnv`.
    episode_steps
        Steps until the episode is truncated.
    """

    name = "mpe-simple_tag"

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        num_hunters: int = 3,
        num_obstacles: int = 2,
        prey: str = "flee",
        continuous: bool = False,
        episode_steps: int = 25,
        reward: str = "mean",
        workers: int = 0,
    ) -> None:
        _check_least("num_hunters", num_hunters, 1)
        _check_least("num_obstacles", num_obstacles, 0)
        _check_least("episode_steps", episode_steps, 1)
        if prey not in particles.PREY:
            raise ValueError(f"prey is '{prey}'; expected one of {', '.join(particles.PREY)}")
        make = partial(
            particles.make_tag, num_hunters, num_obstacles, prey, episode_steps, bool(continuous)
        )
        super().__init__(make, batch, seed, workers, reward, tag_scene)
        self.horizon = episode_steps


class ReferenceEnv(WrappedEnv):
    """`simple_reference`: each of two agents knows which landmark the other shall go to.

    Discrete actions are one of 5 moves times one of 10 words, move + 5 * word; continuous ones 5
    pushes and then 10 loudnesses. Each agent is paid minus the other's distance to its landmark.

    Parameters
    ----------
    local_ratio
        Weight of an agent's own reward against the mean of both.
    continuous, workers, reward
        See the module and `sim.wrapping.WrappedEnv`.
    episode_steps
        Steps until the episode is truncated.
    """

    name = "mpe-simple_reference"

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        local_ratio: float = 0.5,
        continuous: bool = False,
        episode_steps: int = 25,
        reward: str = "mean",
        workers: int = 0,
    ) -> None:
        _check_least("episode_steps", episode_steps, 1)
        _check_share("local_ratio", local_ratio)
        make = partial(particles.make_reference, local_ratio, episode_steps, bool(continuous))
        super().__init__(make, batch, seed, workers, reward, reference_scene)
        self.horizon = episode_steps


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}; expected 0 to 1")

"""The one face of every world: B environments of one kind, stepped together.

Whatever a learner needs is in arrays that are made once and written again by every step: copy what
shall outlive the next call. An environment that has ended is reset in the same step, unless it is
held for a look at its end; what it ended with is kept in `info`. Terminated (the task is over,
nothing follows) and truncated (time is up, the value of what would have followed still counts) are
never merged.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from eir_ros.contract.streams import sequence_of
from sim.scene import Scene


class Step(NamedTuple):
    """What `BatchedEnv.step` returns; unpacks like Gymnasium's tuple."""

    #: (B, N, D) float32; of the next episode where one has just ended
    observation: NDArray[np.float32]
    #: Shared by the team, (B,) float32
    reward: NDArray[np.float32]
    #: (B,) bool
    terminated: NDArray[np.bool_]
    #: (B,) bool
    truncated: NDArray[np.bool_]
    #: `final_observation` (B, N, D), `final_state` (B, N, S) and `final_available_actions`
    #: (B, N, A), which hold in the rows that have just ended and are stale in the others; and
    #: whatever a world adds and documents
    info: dict[str, Any]


class BatchedEnv(ABC):
    """B environments with N agents each.

    A world fills the arrays below in `_reset` and `_advance`, and is then ready for the catalogue.
    Environment b draws from a random stream of its own (see `sim.randomness`): what happens in it
    depends on the seed and on b, never on the batch size or on its neighbours.

    Parameters
    ----------
    batch
        Number of environments, B.
    num_agents
        N.
    observation_size, state_size
        Numbers per agent, D and S.
    num_actions
        Discrete actions, A; 0 for continuous actions.
    action_size
        Numbers of a continuous action, each in [-1, 1]; 0 for discrete actions.

    Attributes
    ----------
    observation : (B, N, D) float32
        What each agent sees.
    state : (B, N, S) float32
        What a central critic may see, from each agent's point of view. The agents' types are not
        in it.
    available_actions : (B, N, A) bool
        Which discrete actions are legal; (B, N, 0) where actions are continuous.
    reward : (B,) float32
        Shared by the team.
    terminated, truncated : (B,) bool
        How episodes ended in the last step.
    hold : bool
        Let an environment that ends stay as it is, so that `scene` shows its end. Whoever sets
        this calls `reset` before stepping on; only a world that `can_hold` obeys.
    """

    #: Name in the catalogue.
    name: ClassVar[str]
    #: Whether the state of one agent says all that there is; otherwise it takes everybody's.
    complete_state: ClassVar[bool] = False
    #: Steps after which an episode is truncated; 0 where nothing is known of it.
    horizon: int = 0
    #: Whether `_advance` heeds `hold`.
    can_hold: ClassVar[bool] = False

    def __init__(
        self,
        batch: int,
        num_agents: int,
        observation_size: int,
        state_size: int,
        num_actions: int = 0,
        action_size: int = 0,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; expected at least 1")
        self.batch, self.num_agents = batch, num_agents
        self.num_actions, self.action_size = num_actions, action_size
        self.observation = np.zeros((batch, num_agents, observation_size), np.float32)
        self.state = np.zeros((batch, num_agents, state_size), np.float32)
        self.available_actions = np.ones((batch, num_agents, num_actions), np.bool_)
        self.reward = np.zeros(batch, np.float32)
        self.terminated = np.zeros(batch, np.bool_)
        self.truncated = np.zeros(batch, np.bool_)
        self.info: dict[str, Any] = {
            "final_observation": np.zeros_like(self.observation),
            "final_state": np.zeros_like(self.state),
            "final_available_actions": np.ones_like(self.available_actions),
        }
        self.hold = False
        self._begun = False
        self._actions = np.zeros((batch, num_agents), np.int64)
        self._result = Step(
            self.observation, self.reward, self.terminated, self.truncated, self.info
        )

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the agents, as PettingZoo's view calls them."""
        return tuple(f"agent_{i}" for i in range(self.num_agents))

    @property
    def teammate_columns(self) -> NDArray[np.intp]:
        """Where in an observation each teammate is described, (N - 1, K); K may be 0.

        In the order of `contract.types.teammates`, and the same for every observer.
        """
        return np.zeros((self.num_agents - 1, 0), np.intp)

    def reset(self, seed: Any = None) -> NDArray[np.float32]:
        """Start new episodes everywhere; returns `observation`.

        Parameters
        ----------
        seed
            Start all random streams again from here (whatever `numpy.random.SeedSequence` takes);
            None goes on with the present ones, and the first time starts them anywhere.

        Raises
        ------
        ValueError
            The seed is none. Nothing has changed then.
        """
        if seed is not None or not self._begun:
            seed = sequence_of(seed)
        self._begun = True
        self.reward[:] = 0.0
        self.terminated[:] = False
        self.truncated[:] = False
        self._reset(seed)
        return self.observation

    def step(self, actions: NDArray[Any]) -> Step:
        """Carry out one joint action of every environment.

        Parameters
        ----------
        actions
            (B, N) integers, or (B, N, action_size) floats.

        Raises
        ------
        ValueError
            Wrong shape or type, an action outside its range, or one that is not available. Nothing
            has moved then.
        """
        self._advance(self._checked(actions))
        return self._result

    @abstractmethod
    def _reset(self, seed: Any) -> None:
        """Start new episodes everywhere and fill observation, state and available actions."""

    @abstractmethod
    def _advance(self, actions: NDArray[Any]) -> None:
        """One step of every environment: fill all arrays, reset what ended unless `hold`."""

    @abstractmethod
    def scene(self, index: int = 0) -> Scene:
        """Environment `index` as a picture, seen from above."""

    def close(self) -> None:  # noqa: B027 (most worlds hold nothing)
        """Free what Python does not free by itself."""

    def _checked(self, actions: NDArray[Any]) -> NDArray[Any]:
        try:
            actions = np.asarray(actions)
        except ValueError as error:
            raise ValueError(
                f"actions are rows of different lengths; expected an array of shape {self._wanted}"
            ) from error
        if self.num_actions == 0:
            return self._checked_continuous(actions)
        shape = self._wanted
        if actions.shape != shape or actions.dtype.kind not in "iu":
            raise ValueError(
                f"actions are {actions.dtype} of shape {actions.shape}; "
                f"expected integers of shape {shape}"
            )
        np.copyto(self._actions, actions, casting="unsafe")
        wrong = _first_wrong(self._actions, self.available_actions)
        if wrong >= 0:
            b, i = divmod(wrong, self.num_agents)
            options = np.flatnonzero(self.available_actions[b, i]).tolist()
            raise ValueError(
                f"action {actions[b, i]} of agent {i} in environment {b} is not available; "
                f"expected one of {options}"
            )
        return self._actions

    def _checked_continuous(self, actions: NDArray[Any]) -> NDArray[Any]:
        shape = self._wanted
        if actions.shape != shape or actions.dtype.kind != "f":
            raise ValueError(
                f"actions are {actions.dtype} of shape {actions.shape}; "
                f"expected floats of shape {shape}"
            )
        wrong = np.argwhere(~(np.abs(actions) <= 1.0))
        if len(wrong):
            b, i, k = wrong[0].tolist()
            raise ValueError(
                f"number {k} of the action of agent {i} in environment {b} is {actions[b, i, k]}; "
                "expected a number from -1 to 1"
            )
        return actions

    @property
    def _wanted(self) -> tuple[int, ...]:
        """Shape of the actions."""
        size = () if self.num_actions else (self.action_size,)
        return (self.batch, self.num_agents, *size)


@njit(cache=True)
def _first_wrong(actions: NDArray[np.int64], available: NDArray[np.bool_]) -> int:
    """Place of the first action (B, N) that is not available, counted through; -1 for none."""
    batch, num_agents, count = available.shape
    for b in range(batch):
        for i in range(num_agents):
            action = actions[b, i]
            if action < 0 or action >= count or not available[b, i, action]:
                return int(b * num_agents + i)
    return -1

"""One episode of any world, moment by moment, for pictures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.drawing import Beliefs, Frame
from sim.scene import Box, Disc, Line, Scene

#: Answers what the agents see, (N, D), and may do, (N, A), with what they do, (N, ...), and with
#: their beliefs, if they have any.
Decide = Callable[[NDArray[np.float32], NDArray[np.bool_]], tuple[NDArray[Any], Beliefs | None]]


def random_decisions(env: Any, seed: int) -> Decide:
    """Every agent draws uniformly from what it may do."""
    rng = np.random.default_rng(seed)

    def decide(
        observation: NDArray[np.float32], available: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], Beliefs | None]:
        if not available.shape[-1]:
            return rng.uniform(-1.0, 1.0, (env.num_agents, env.action_size)), None
        return np.array([rng.choice(np.flatnonzero(legal)) for legal in available]), None

    return decide


class Film:
    """The frames of environment 0, while somebody plays a world that has just been reset.

    The first frame shows the start, every other one what a step has led to. Beliefs are those of
    the decision made at that moment, and at the end, where nothing is decided, the last ones. A
    world that cannot hold its end has begun anew by then: it is shown as it was a step before.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        env.hold = True
        self.frames: list[Frame] = []
        #: Whether the episode is over.
        self.ended = False
        self._scene, self._line, self._total = Scene((0, 0, 1, 1)), "return 0.0", 0.0

    def decided(self, beliefs: Beliefs | None) -> None:
        """The coming step is decided on, with these beliefs."""
        if not self.frames:
            self._scene = self._env.scene(0)
        self._show(self._scene, beliefs, len(self.frames) or 1)

    def stepped(self, reward: Any, terminated: Any, truncated: Any) -> None:
        """A step was made; arrays (B,)."""
        steps = len(self.frames)
        self._total += float(reward[0])
        self.ended = bool(terminated[0] or truncated[0])
        self._line = f"return {self._total:.1f}"
        if self.ended:
            end = "ended" if terminated[0] else "time is up"
            self._line = f"{end} after {steps} steps, {self._line}"
        if self.ended and not self._env.can_hold:
            self._line = f"one step later: {self._line}"
        else:
            self._scene = self._env.scene(0)
        self._show(self._scene, self.frames[-1].beliefs, steps + 1)

    def _show(self, scene: Scene, beliefs: Beliefs | None, count: int) -> None:
        """Frame number `count`, from 1: a new one, or the last one with what is believed now."""
        told = replace(scene, captions=(*scene.captions, self._line))
        self.frames[count - 1 :] = [Frame(_judged(told, beliefs), beliefs)]


def record(
    env: Any, observation: NDArray[np.float32], decide: Decide, steps: int | None = None
) -> list[Frame]:
    """Play on from `observation` (B, N, D) until environment 0 ends, or for `steps`: see `Film`."""
    film = Film(env)
    while not film.ended and (steps is None or len(film.frames) <= steps):
        actions, beliefs = decide(observation[0], env.available_actions[0])
        film.decided(beliefs)
        joint = np.broadcast_to(actions, (env.batch, *actions.shape))
        observation, *outcome, _ = env.step(joint)
        film.stepped(*outcome)
    return film.frames


def _judged(scene: Scene, beliefs: Beliefs | None) -> Scene:
    """The scene with its traitors crossed out, and with what the others think of everybody."""
    if beliefs is None:
        return scene
    # the dead are not drawn, and what they think counts no more
    there = {item.agent for item in scene.items if isinstance(item, Disc)}
    honest = [i for i in range(len(beliefs.faulty)) if i in there and not beliefs.faulty[i]]
    return replace(scene, items=[_judged_item(item, beliefs, honest) for item in scene.items])


def _judged_item(
    item: Disc | Box | Line, beliefs: Beliefs, observers: list[int]
) -> Disc | Box | Line:
    if not isinstance(item, Disc) or item.agent is None:
        return item
    role, doubt = "faulty" if beliefs.faulty[item.agent] else item.role, None
    others = [i for i in observers if i != item.agent]
    if beliefs.p_adversary is not None and others:
        doubt = float(beliefs.p_adversary[others, item.agent].mean())
    return replace(item, role=role, doubt=doubt)

"""One episode of any world, moment by moment, for pictures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.drawing import Beliefs, Frame
from sim.scene import Scene

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


def record(
    env: Any, observation: NDArray[np.float32], decide: Decide, steps: int | None = None
) -> list[Frame]:
    """Play on from `observation` (B, N, D) until environment 0 ends, or for `steps`.

    The first frame shows the start, every other one what a step has led to. Beliefs are those of
    the decision made at that moment, and at the end, where nothing is decided, the last ones. A
    world that cannot hold its end has begun anew by then: it is shown as it was a step before.
    """
    env.hold = True
    scene = env.scene(0)
    frames = [Frame(_told(scene, "return 0.0"))]
    total, ended = 0.0, False
    while not ended and (steps is None or len(frames) <= steps):
        actions, beliefs = decide(observation[0], env.available_actions[0])
        frames[-1] = replace(frames[-1], beliefs=beliefs)
        joint = np.broadcast_to(actions, (env.batch, *actions.shape))
        observation, reward, terminated, truncated, _ = env.step(joint)
        total += float(reward[0])
        ended = bool(terminated[0] or truncated[0])
        line = f"return {total:.1f}"
        if ended:
            end = "ended" if terminated[0] else "time is up"
            line = f"{end} after {len(frames)} steps, {line}"
        if ended and not env.can_hold:
            line = f"one step later: {line}"
        else:
            scene = env.scene(0)
        frames.append(Frame(_told(scene, line), beliefs))
    return frames


def _told(scene: Scene, line: str) -> Scene:
    return replace(scene, captions=(*scene.captions, line))

"""One episode of any world, moment by moment, for pictures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.drawing import Beliefs, Frame

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

    A frame shows the world as it is decided on. What an episode ends with is not among them,
    because the world has started the next one by then; the last frame says how it ended.
    """
    frames: list[Frame] = []
    total, step = 0.0, 0
    while steps is None or step < steps:
        legal = env.available_actions
        actions, beliefs = decide(observation[0], legal[0])
        scene = env.scene(0)
        frames.append(_told(Frame(scene, beliefs), f"return {total:.1f}"))
        joint = np.broadcast_to(actions, (env.batch, *actions.shape))
        observation, reward, terminated, truncated, _ = env.step(joint)
        step, total = step + 1, total + float(reward[0])
        if terminated[0] or truncated[0]:
            end = "ended" if terminated[0] else "time is up"
            last = Frame(scene, beliefs)
            frames[-1] = _told(last, f"{end} after {step} steps, return {total:.1f}")
            break
    return frames


def _told(frame: Frame, line: str) -> Frame:
    if any(
        line.startswith("return") and said.startswith("return") for said in frame.scene.captions
    ):
        return frame
    return replace(frame, scene=replace(frame.scene, captions=(*frame.scene.captions, line)))

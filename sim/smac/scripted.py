"""Scripted players: yardsticks for what is learned, and anchors for the engine itself."""

import numpy as np
from numpy.typing import NDArray

from sim.smac.env import SmacEnv
from sim.smac.tables import ATTACK, NO_OP, STOP


def focus_fire(env: SmacEnv) -> NDArray[np.int64]:
    """Hold the line until enemies come, then all shoot at the weakest; actions (B, N)."""
    enemies = env.units[:, env.num_agents :]
    left = enemies["health"] + enemies["shield"]
    weakness = np.where(env.available_actions[:, :, ATTACK:], left[:, None], np.inf)
    return _attack(env, weakness.argmin(-1))


def nearest_fire(env: SmacEnv) -> NDArray[np.int64]:
    """Hold the line, and each shoots at the enemy nearest to itself; (B, N)."""
    own, theirs = env.units[:, : env.num_agents, None], env.units[:, None, env.num_agents :]
    distance = np.hypot(own["x"] - theirs["x"], own["y"] - theirs["y"])
    near = np.where(env.available_actions[:, :, ATTACK:], distance, np.inf)
    return _attack(env, near.argmin(-1))


def random_play(env: SmacEnv, rng: np.random.Generator) -> NDArray[np.int64]:
    """Legal actions, drawn evenly; (B, N)."""
    return (rng.random(env.available_actions.shape) * env.available_actions).argmax(-1)


def idle(env: SmacEnv) -> NDArray[np.int64]:
    """Stand and do nothing; (B, N)."""
    return np.where(env.available_actions[:, :, NO_OP], NO_OP, STOP)


def _attack(env: SmacEnv, target: NDArray[np.int64]) -> NDArray[np.int64]:
    can_attack = env.available_actions[:, :, ATTACK:].any(-1)
    return np.where(can_attack, ATTACK + target, idle(env))

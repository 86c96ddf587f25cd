"""Public packages that have the same kind of world as ours, for `benchmarks.envs`.

None of them is needed: a peer that is not installed is said to be so.
"""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Peer:
    """A package, how to step it, and what a learner would still have to add."""

    name: str
    module: str
    #: batch -> a function that takes one step of the batch and returns how many env-steps it was
    stepper: Callable[[int], Callable[[], int]]
    leaves_out: str

    @property
    def version(self) -> str:
        """That of the installed package; empty where there is none."""
        return importlib.metadata.version(self.module) if self.installed else ""

    @property
    def installed(self) -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec(self.module) is not None


def _lbforaging(batch: int) -> Callable[[], int]:
    from lbforaging.foraging import ForagingEnv

    def new() -> Any:
        return ForagingEnv(4, 1, 2, 1, None, (12, 12), 3, 12, 50, True)

    games = [new() for _ in range(batch)]
    for k, game in enumerate(games):
        game.reset(seed=k)
    pool = np.random.default_rng(0).integers(0, 6, (997, 4)).tolist()
    turn = 0

    def step() -> int:
        nonlocal turn
        for game in games:
            turn = (turn + 1) % len(pool)
            _, _, done, truncated, _ = game.step(pool[turn])
            if done or truncated:
                game.reset()
        return batch

    return step


def _mpe2(batch: int) -> Callable[[], int]:
    from mpe2 import simple_spread_v3

    games = [simple_spread_v3.parallel_env(N=3, max_cycles=25) for _ in range(batch)]
    for k, game in enumerate(games):
        game.reset(seed=k)
    names = list(games[0].agents)
    draws = np.random.default_rng(0).integers(0, 5, (997, 3)).tolist()
    pool = [dict(zip(names, row, strict=True)) for row in draws]
    turn = 0

    def step() -> int:
        nonlocal turn
        for game in games:
            turn = (turn + 1) % len(pool)
            game.step(pool[turn])
            if not game.agents:
                game.reset()
        return batch

    return step


@contextmanager
def _output_as_error() -> Iterator[None]:
    """Standard output goes to standard error, also from those who set `sys.stdout` anew."""
    streams = sys.stdout, sys.stderr
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = streams
        os.dup2(kept, 1)
        os.close(kept)


def _smax(batch: int) -> Callable[[], int]:
    import jax

    # it tells what else it has looked for
    with _output_as_error():
        from jaxmarl import make
        from jaxmarl.environments.smax.smax_env import Scenario

    marines = jax.numpy.zeros((7,), dtype=jax.numpy.uint8)
    env = make("HeuristicEnemySMAX", scenario=Scenario(marines, 4, 3, False, False))
    many, length = jax.vmap(env.step), 32

    def one(carry: Any, _: Any) -> Any:
        key, states = carry
        key, draw, move = jax.random.split(key, 3)
        most = env.action_space(env.agents[0]).n
        drawn = jax.random.randint(draw, (len(env.agents), batch), 0, most)
        actions = dict(zip(env.agents, drawn, strict=True))
        seen, states, reward, done, _ = many(jax.random.split(move, batch), states, actions)
        return (key, states), (seen, reward, done)

    run = jax.jit(lambda carry: jax.lax.scan(one, carry, None, length))
    key = jax.random.PRNGKey(0)
    carry = (key, jax.vmap(env.reset)(jax.random.split(key, batch))[1])

    def step() -> int:
        nonlocal carry
        carry, shown = run(carry)
        jax.block_until_ready(shown)
        return batch * length

    return step


def _vmas(batch: int) -> Callable[[], int]:
    import torch
    import vmas

    torch.set_num_threads(1)
    env = vmas.make_env("simple_spread", batch, continuous_actions=False, max_steps=25, seed=0)
    # 9 actions: it has the diagonals, too
    pool = torch.randint(0, int(env.action_space[0].n), (256, len(env.agents), batch))
    turn = 0

    def step() -> int:
        nonlocal turn
        turn = (turn + 1) % len(pool)
        *_, done, _ = env.step(list(pool[turn]))
        if bool(done.all()):
            env.reset()
        return batch

    return step


#: Worlds of ours with the peers they are measured beside.
PEERS: dict[str, tuple[Peer, ...]] = {
    "lbf-12x12-4p-3f-c": (
        Peer(
            "lbforaging",
            "lbforaging",
            _lbforaging,
            "batches, a critic's state, masks as arrays, resets of its own",
        ),
    ),
    "smac-4m_vs_3m": (
        Peer(
            "JaxMARL SMAX",
            "jaxmarl",
            _smax,
            "SMAC's actions and damage (its own rules), a state for each agent (it has one for the "
            "team), masks (not asked for: its random actions need not be legal), the final "
            "observation at a reset; its compiled loop of 32 steps is free of Python",
        ),
    ),
    "mpe-simple_spread": (
        Peer(
            "mpe2",
            "mpe2",
            _mpe2,
            "batches, a state (not asked for here), resets, one reward of the team",
        ),
        Peer(
            "VMAS",
            "vmas",
            _vmas,
            "a state, masks, resets of its own (a batch ends together); its physics, rewards and "
            "9 actions are not those of mpe2",
        ),
    ),
}

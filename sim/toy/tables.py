"""Exact values and posteriors of policies of the toy game that are given as tables.

A policy table is `(2, T, 2, 2)`: probability of an action by agent, time, state and action, for
agents that know the time and the state. Everything here is a finite sum in double precision.

Types are bits θ = (θ^0, θ^1), 1 for an adversary; arrays over them have the order of `TYPES`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: θ in the order of every array over types, (4, 2): nobody, agent 0, agent 1, both
TYPES = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
#: Reward by state and joint action, (2, 2, 2)
PAY: Floats = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], np.float64)
#: State after a state and a joint action, (2, 2, 2): 1 where it paid
AFTER: NDArray[np.int64] = PAY.astype(np.int64)


def joint_values(after: Floats, gamma: float = 1.0) -> Floats:
    """Value of each state and joint action, (..., 2, 2, 2), when `after` (..., 2) is worth what.

    R(s, a) + gamma V(s'); the game's transitions are deterministic.
    """
    return PAY + gamma * after[..., AFTER]


def checked_prior(prior: ArrayLike) -> Floats:
    """A distribution over `TYPES`, (4,).

    Raises
    ------
    ValueError
        It is not four probabilities that sum to 1.
    """
    p = np.asarray(prior, np.float64)
    if p.shape != (4,) or not (p >= 0).all() or abs(p.sum() - 1.0) > 1e-9:
        raise ValueError(
            f"prior is {p.tolist()}; expected 4 probabilities that sum to 1: nobody, agent 0, "
            "agent 1, both"
        )
    return p


def checked_table(table: ArrayLike, name: str) -> Floats:
    """A policy table, (2, T, 2, 2).

    Raises
    ------
    ValueError
        Its shape is another, or its rows are not probabilities.
    """
    t = np.asarray(table, np.float64)
    if t.ndim != 4 or t.shape[0] != 2 or t.shape[2:] != (2, 2):
        raise ValueError(
            f"{name} has shape {t.shape}; expected (2, T, 2, 2): agent, time, state, action"
        )
    if not ((t >= 0).all() and np.allclose(t.sum(-1), 1.0, rtol=0, atol=1e-9)):
        raise ValueError(f"{name} has rows that are not probabilities; expected sums of 1")
    return t


def _checked_tables(cooperative: ArrayLike, adversary: ArrayLike) -> tuple[Floats, Floats]:
    honest = checked_table(cooperative, "cooperative")
    rogue = checked_table(adversary, "adversary")
    if honest.shape != rogue.shape:
        raise ValueError(
            f"cooperative has {honest.shape[1]} steps and adversary {rogue.shape[1]}; "
            "expected as many"
        )
    return honest, rogue


def evaluate(cooperative: ArrayLike, adversary: ArrayLike, gamma: float = 1.0) -> Floats:
    """Value of fixed policies for each type, by time and state, (4, T + 1, 2).

    V_θ(t, s) = Σ_a π̄_θ(a | s, t) (R(s, a) + gamma V_θ(t + 1, s')), where agent i plays its
    row of `adversary` if θ^i = 1 and of `cooperative` otherwise.
    """
    honest, rogue = _checked_tables(cooperative, adversary)
    steps = honest.shape[1]
    values = np.zeros((4, steps + 1, 2))
    for kind, (first, second) in enumerate(TYPES):
        row = (rogue if first else honest)[0]
        column = (rogue if second else honest)[1]
        for t in reversed(range(steps)):
            joint = joint_values(values[kind, t + 1], gamma)
            values[kind, t] = np.einsum("sa,sb,sab->s", row[t], column[t], joint)
    return values


def worst_case(cooperative: ArrayLike, gamma: float = 1.0) -> tuple[Floats, Floats]:
    """The worst adversary in each agent's place against a fixed team.

    Returns
    -------
    values
        Value of the team with the worst adversary in place of agent i, (2, T + 1, 2): agent, time,
        state. Exact: against fixed tables the adversary has a Markov decision process.
    adversary
        A table (2, T, 2, 2) that attains it, deterministic.
    """
    honest = checked_table(cooperative, "cooperative")
    steps = honest.shape[1]
    values, adversary = np.zeros((2, steps + 1, 2)), np.zeros((2, steps, 2, 2))
    for agent in range(2):
        for t in reversed(range(steps)):
            joint = joint_values(values[agent, t + 1], gamma)
            if agent == 1:
                joint = joint.transpose(0, 2, 1)
            per_action = np.einsum("sab,sb->sa", joint, honest[1 - agent, t])
            values[agent, t] = per_action.min(-1)
            adversary[agent, t] = np.eye(2)[per_action.argmin(-1)]
    return values, adversary


def update(belief: ArrayLike, cooperative: ArrayLike, adversary: ArrayLike) -> Floats:
    """Bayes' rule for one joint action that was seen.

    Parameters
    ----------
    belief
        p(θ | history so far), (..., 4).
    cooperative, adversary
        Probability that agent i's cooperative and its adversarial policy gave to the action it was
        seen to take, (..., 2). The policies may depend on the whole history.

    Returns
    -------
    p(θ | history with this action), (..., 4)

    Raises
    ------
    ValueError
        The joint action has probability 0 under every type that was still possible.
    """
    honest, rogue = np.asarray(cooperative, np.float64), np.asarray(adversary, np.float64)
    seen = np.where(TYPES == 1, rogue[..., None, :], honest[..., None, :]).prod(-1)
    weight = np.asarray(belief, np.float64) * seen
    total = weight.sum(-1, keepdims=True)
    if not (total > 0).all():
        raise ValueError("the joint action has probability 0 under every possible type")
    return weight / total


def posterior(
    prior: ArrayLike,
    cooperative: ArrayLike,
    adversary: ArrayLike,
    start_state: int,
    actions: ArrayLike,
) -> Floats:
    """Belief after each step of a history, for policy tables.

    Parameters
    ----------
    prior
        p(θ), (4,).
    cooperative, adversary
        Policy tables (2, T, 2, 2).
    start_state
        First state.
    actions
        What the agents were seen to do, (K, 2) integers with K up to T.

    Returns
    -------
    p(θ | first k joint actions) for k = 0 … K, (K + 1, 4)
    """
    honest, rogue = _checked_tables(cooperative, adversary)
    history = np.asarray(actions, np.int64).reshape(-1, 2)
    if len(history) > honest.shape[1]:
        raise ValueError(
            f"history has {len(history)} steps; expected at most the tables' {honest.shape[1]}"
        )
    beliefs, state, agents = [checked_prior(prior)], start_state, np.arange(2)
    for t, joint in enumerate(history):
        gave = honest[agents, t, state, joint], rogue[agents, t, state, joint]
        beliefs.append(update(beliefs[-1], *gave))
        state = int(AFTER[state, joint[0], joint[1]])
    return np.stack(beliefs)


def teammate_belief(belief: ArrayLike) -> Floats:
    """What a cooperative agent i thinks of the other: p(θ^j = 1 | history, θ^i = 0), (..., 2).

    nan where agent i cannot be cooperative.
    """
    nobody, first, second, _ = np.moveaxis(np.asarray(belief, np.float64), -1, 0)
    with np.errstate(invalid="ignore"):
        return np.stack([second / (nobody + second), first / (nobody + first)], axis=-1)


def harsanyi_bellman(
    belief: ArrayLike,
    cooperative: ArrayLike,
    adversary: ArrayLike,
    t: int,
    gamma: float = 1.0,
) -> Floats:
    """Q(s, ā, b) of the Harsanyi-Bellman equation for fixed policies, (2, 2, 2): state, actions.

    Q(s, ā, b) = R(s, ā) + gamma Σ_θ p(θ | b, ā) V_θ(t + 1, s'): the expected return after the
    executed joint action ā, from which the agents learn about θ. nan where ā cannot happen under b.
    """
    honest, rogue = _checked_tables(cooperative, adversary)
    values = evaluate(honest, rogue, gamma)[:, t + 1]
    result = np.full((2, 2, 2), np.nan)
    agents = np.arange(2)
    for state, *joint in np.ndindex(2, 2, 2):
        gave = honest[agents, t, state, joint], rogue[agents, t, state, joint]
        try:
            after = update(belief, *gave)
        except ValueError:
            continue
        cell = (state, *joint)
        result[cell] = PAY[cell] + gamma * after @ values[:, AFTER[cell]]
    return result

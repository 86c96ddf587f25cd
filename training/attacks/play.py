"""Play episodes of a frozen team under an attack."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import FaultKind
from eir_ros.contract.types import COOPERATIVE, teammates
from eir_ros.faults.attack_process import executed_actions
from eir_ros.faults.schedule import Schedule
from sim.drawing import Beliefs
from sim.episode import Film
from training.attacks.base import Attack, Moment
from training.attacks.guard import blamed
from training.checkpoint import Run
from training.evaluate import EVALUATION_STREAM, Episodes
from training.game import Game, make_game
from training.methods import METHODS
from training.team import Adversary, BeliefSource


def check_attack(attack: Attack, game: Game) -> None:
    """Raise an `EirError` about an attack that there cannot be in the world of `game`."""
    game.check_kind(attack.fault)
    if attack.count > game.num_agents:
        raise EirError(f"it takes {attack.count} agents, and the team has {game.num_agents}.")


class Arena:
    """Where a frozen team is attacked: one world, played in batches of first episodes.

    True types reach nobody but the True Type oracle and the attack.

    Parameters
    ----------
    run
        The team, and the world it was trained in.
    batch
        Episodes played at once.
    greedy
        The team takes its most likely actions, as robots do, instead of sampling.
    source
        What the actor reads in place of the belief it was trained with.
    """

    def __init__(
        self, run: Run, batch: int = 256, greedy: bool = True, source: BeliefSource | None = None
    ) -> None:
        torch.set_num_threads(1)
        self._run, self._greedy = run, greedy
        self._source = run.team.source if source is None else source
        self._game: Game = make_game(run.recipe, batch)
        self._type_of_kind = torch.tensor(run.recipe.type_of_kind)
        self.num_agents = self._game.num_agents
        #: The world itself.
        self.env = self._game.env
        #: Steps that an episode may take.
        self.steps = self._game.horizon
        #: Duration of a step [s]; 1 where there are no robots.
        self.step_s = self._game.step_s

    def play(
        self,
        attack: Attack,
        episodes: int,
        stream: Sequence[int],
        agent: int | None = None,
        adversary: Adversary | None = None,
        film: Film | None = None,
    ) -> Episodes:
        """Play `episodes`, rounded up to whole batches.

        Parameters
        ----------
        stream
            Held-out seed.
        agent
            The attacked one, in each of its groups in turn where an attack takes several; None:
            all groups in turn.
        adversary
            What `attack` plays, if it needs one; default: the adversary of training.
        film
            Of `env`, which takes the first of the episodes, up to its end; for a batch of 1.

        Raises
        ------
        EirError
            There is no such agent, the team is too small for the attack, the world does not
            know its fault, the attack needs an adversary and there is none, or it does not fit.
        """
        check_attack(attack, self._game)
        adversary = self._played(attack, adversary)
        groups = self._groups(attack.count, agent)
        parts = []
        trained, self._run.team.source = self._run.team.source, self._source
        try:
            for part in range(-(-episodes // self._game.batch)):
                turn = part * self._game.batch + np.arange(self._game.batch)
                with blamed(attack, "begin"):
                    attack.begin(groups[turn % len(groups)], adversary)
                parts.append(self._episodes(attack, [EVALUATION_STREAM, *stream, part], film))
        finally:
            self._run.team.source = trained
        returns, doubts, kinds, lengths = zip(*parts, strict=True)
        return Episodes(
            np.concatenate(returns), _beside(doubts), _beside(kinds), np.concatenate(lengths)
        )

    def knows(self, attack: Attack) -> bool:
        """Whether this world can be attacked so."""
        try:
            check_attack(attack, self._game)
        except EirError:
            return False
        return True

    def close(self) -> None:
        """Free what the world holds."""
        self._game.close()

    def _played(self, attack: Attack, given: Adversary | None) -> Adversary:
        """The adversary that is played: the one `given`, or the one of training."""
        own, method = self._run.adversary, self._run.recipe.method
        if given is None and attack.needs_adversary and not METHODS[method].attacked:
            raise EirError(
                f"a team of '{method}' trains with no adversary; `eir attack` makes one, for "
                "--adversary."
            )
        if given is not None and shapes(given) != shapes(own):
            raise EirError(
                "the adversary does not fit this team; expected one of the same world and network "
                "sizes."
            )
        return given or own

    def _groups(self, count: int, agent: int | None) -> NDArray[np.int64]:
        n = self.num_agents
        if agent is not None and not 0 <= agent < n:
            raise EirError(f"there is no agent {agent} to attack; expected 0 to {n - 1}.")
        groups = list(itertools.combinations(range(n), count))
        return np.array([g for g in groups if agent is None or agent in g], np.int64)

    @torch.no_grad()
    def _episodes(
        self, attack: Attack, seed: list[int], film: Film | None
    ) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Returns (B,), p(adversary) (T, B, N, N-1), kinds (T, B, N), lengths (B,) up to T."""
        game, team, rng = self._game, self._run.team, np.random.default_rng([*seed, 1])
        noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
        with blamed(attack, "schedule"):
            planned = attack.schedule(self.num_agents, self.steps)
        game.reset([*seed, 0], _in_seconds(planned, self.step_s))
        hidden = team.initial_state(game.batch, game.num_agents)
        fresh, executed = torch.ones(game.batch, dtype=torch.bool), None
        returns, running = np.zeros(game.batch), np.ones(game.batch, bool)
        lengths = np.zeros(game.batch, int)
        doubts, kinds = [], []
        for step in range(self.steps):
            codes = torch.from_numpy(game.kinds).long()
            shown, legal = game.observation.copy(), game.available.copy()
            moment = Moment(
                step=step,
                team=team,
                hidden=hidden,
                observation=torch.from_numpy(shown),
                available=torch.from_numpy(legal),
                kinds=codes,
                types=self._type_of_kind[codes],
                fresh=fresh,
                executed=executed,
                noise=noise,
            )
            belief, hidden = self._decide(attack, moment)
            executed = self._executed(attack, moment)
            doubts.append(1 - belief[..., COOPERATIVE].numpy())
            kinds.append(codes.numpy().astype(np.int8))
            if film is not None:
                film.decided(_drawn(doubts[-1][0], moment.types[0].numpy(), team.source))
            outcome = game.step(executed.numpy())
            returns += outcome.reward * running
            lengths += running
            if film is not None:
                film.stepped(outcome.reward, outcome.terminated, outcome.truncated)
            running &= ~game.ended
            fresh = torch.from_numpy(game.ended.copy())
            hidden = hidden * ~fresh.reshape(-1, 1, 1, 1)
            if not running.any():
                break
        return returns, np.stack(doubts), np.stack(kinds), lengths

    def _decide(self, attack: Attack, moment: Moment) -> tuple[Tensor, Tensor]:
        """The team's scores and actions into `moment`; its beliefs and memory."""
        team = moment.team
        with blamed(attack, "observe"):
            seen = attack.observe(moment)
        _check_shape(attack, "observe", seen, moment.observation)
        read = moment.observation if attack.spares_belief else seen
        belief, hidden = team.believe(read, moment.hidden, moment.types)
        scores = team.scores(team.actor_input(seen, belief), hidden)
        moment.scores = team.actions.restrict(scores, moment.available)
        best, sample = team.actions.best, team.actions.sample
        moment.action = best(moment.scores) if self._greedy else sample(moment.scores, moment.noise)
        return belief, hidden

    def _executed(self, attack: Attack, moment: Moment) -> Tensor:
        """The joint action that the attack process lets through, (B, N) or (B, N, A)."""
        assert moment.action is not None
        with blamed(attack, "acting"):
            acting = attack.acting(moment)
        _check_shape(attack, "acting", acting, moment.kinds)
        corrupted = moment.action
        if acting.any():
            with blamed(attack, "act"):
                corrupted = attack.act(moment)
            _check(attack, corrupted, moment, acting)
        # who is of the type but holds back does what the team's policy says
        kinds = moment.kinds.masked_fill(moment.kinds == FaultKind.ADVERSARY, FaultKind.NONE)
        kinds = kinds.masked_fill(acting, FaultKind.ADVERSARY)
        anything = _anything(moment).numpy()
        executed = executed_actions(
            moment.action.numpy(), corrupted.numpy(), anything, kinds.numpy()
        )
        return torch.from_numpy(executed if self._game.env.num_actions else executed.clip(-1, 1))


def shapes(adversary: Adversary) -> dict[str, torch.Size]:
    """Of its weights: adversaries of the same shapes can stand in for each other."""
    return {name: value.shape for name, value in adversary.state_dict().items()}


def _in_seconds(planned: Schedule, step_s: float) -> Schedule:
    """A schedule in steps that last `step_s` each."""
    end = None if planned.end_s is None else planned.end_s * step_s
    more = None if planned.more is None else _in_seconds(planned.more, step_s)
    return replace(planned, start_s=planned.start_s * step_s, end_s=end, more=more)


def _check(attack: Attack, actions: Tensor, moment: Moment, acting: Tensor) -> None:
    """Somebody's own attack may return anything."""
    assert moment.action is not None
    name = type(attack).__name__
    _check_shape(attack, "act", actions, moment.action)
    if actions.dim() > 2:
        return
    count = moment.available.shape[-1]
    legal = (actions >= 0) & (actions < count)
    legal &= moment.available.gather(-1, actions.clamp(0, count - 1).unsqueeze(-1)).squeeze(-1)
    if not bool((legal | ~acting).all()):
        b, i = (~legal & acting).nonzero()[0].tolist()
        raise EirError(
            f"{name}.act chose action {int(actions[b, i])} for agent {i}, which is not available; "
            f"expected one of {moment.available[b, i].nonzero().flatten().tolist()}."
        )


def _check_shape(attack: Attack, method: str, found: object, like: Tensor) -> None:
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != tuple(like.shape):
        raise EirError(
            f"{type(attack).__name__}.{method} returned {shape}; expected a tensor of "
            f"{tuple(like.shape)}: of every environment and agent, attacked or not."
        )


def _beside(parts: Sequence[NDArray]) -> NDArray:
    """Batches of episodes (T, B, ...) as one; those of shorter ones are filled with their last."""
    longest = max(map(len, parts))
    filled = [np.concatenate([p, p[-1:].repeat(longest - len(p), 0)]) for p in parts]
    return np.concatenate(filled, 1)


def _drawn(p: NDArray, types: NDArray, source: BeliefSource) -> Beliefs:
    """What to draw of p(adversary) (N, N-1) and true types (N,)."""
    n = len(types)
    if source not in (BeliefSource.LEARNED, BeliefSource.TRUE):
        return Beliefs(None, types != COOPERATIVE)
    full = np.full((n, n), np.nan)
    np.put_along_axis(full, teammates(n), p, axis=1)
    return Beliefs(full, types != COOPERATIVE)


def _anything(moment: Moment) -> Tensor:
    """Actions drawn uniformly from those that there are, (B, N) int64 or (B, N, A) in [-1, 1]."""
    assert moment.action is not None
    if moment.available.shape[-1]:
        every = moment.available.float().flatten(0, -2)
        draw = torch.multinomial(every, 1, generator=moment.noise)
        return draw.reshape(moment.action.shape)
    return 2 * torch.rand(moment.action.shape, generator=moment.noise) - 1

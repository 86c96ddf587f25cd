"""Breaks one robot on purpose, between its agent and its gate."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.coverage import CoverageTask, Decision, Sensed, command, decode, observe
from eir_ros.contract.faults import LEARNED, FaultKind
from eir_ros.faults.attack_process import executed_actions
from eir_ros.faults.command import CommandFaults
from eir_ros.faults.timeline import Span, Timeline

Command = NDArray[np.float64]
#: Chooses the action of corrupted robot `index` from its observation (D,); None: it has none.
Adversary = Callable[[NDArray[np.float32], int], int | None]

#: Faults that take the decision away from the policy, so that the robot's senses are needed.
DECIDING: Final = LEARNED | {FaultKind.RANDOM_ACTION}
#: Stands for what the agent decided: here, only its commands are known.
_AGENTS_OWN: Final = np.array(-1)


class Injector:
    """What a robot's motors are told instead of what its agent says.

    Parameters
    ----------
    task
        Turns a corrupted decision into commands, as the agent would.
    index
        The robot's place in the roster.
    timeline
        Which fault the robot has when.
    seed
        Anything `numpy.random.default_rng` takes.
    """

    def __init__(self, task: CoverageTask, index: int, timeline: Timeline, seed: Any) -> None:
        self.timeline = timeline
        #: The learned adversary, once it is there; until then the policy has its way.
        self.adversary: Adversary | None = None
        self._task = task
        self._index = index
        motors, actions = np.random.SeedSequence(seed).spawn(2)
        self._motors = CommandFaults((), motors)
        self._rng = np.random.default_rng(actions)
        self._decision: Decision | None = None
        self._span: Span | None = None

    def apply(
        self, time_s: float, asked: Command, sensed: Sensed | None, *, decide: bool
    ) -> Command:
        """The command that is carried out at this tick, (2,) [m/s, rad/s; base_link].

        Call it once per tick, also while the robot is healthy. A corrupted decision replaces the
        policy's at decision ticks, so a fault that starts between two of them waits for the next,
        as in simulation; so does one that cannot decide for lack of senses, or by unusable ones.

        Parameters
        ----------
        time_s
            Time of the tick [s after the start of the mission].
        asked
            What the agent commands, (2,).
        sensed
            What the robot senses at this tick; only the `DECIDING` faults look at it. None: it
            is not known.
        decide
            Whether the policy decides at this tick.
        """
        span = self.timeline.span_at(time_s)
        if span is not None and span.seed is not None and span != self._span:
            motors, actions = np.random.SeedSequence([span.seed, self._index]).spawn(2)
            self._motors.reseed(motors)
            self._rng = np.random.default_rng(actions)
        self._span = span
        kind = FaultKind.NONE if span is None else span.acts(time_s)
        if decide:
            self._decision = self._corrupted(kind, sensed)
        if self._decision is not None and sensed is not None:
            asked = command(self._task, self._decision, sensed.pose)
        values = None if span is None else span.values
        return self._motors.apply(np.array(kind), asked, values=values)

    def deciding(self, time_s: float) -> bool:
        """Whether `apply` has a use for what is sensed at this tick."""
        return self._decision is not None or self.timeline.at(time_s) in DECIDING

    def _corrupted(self, kind: FaultKind, sensed: Sensed | None) -> Decision | None:
        """What a corrupted decision maker wants; None: the policy has its way."""
        if kind not in (FaultKind.ADVERSARY, FaultKind.RANDOM_ACTION) or sensed is None:
            return None
        adversary = uniform = _AGENTS_OWN
        if kind is FaultKind.RANDOM_ACTION:
            uniform = np.array(self._rng.integers(len(self._task.actions)))
        elif self.adversary is not None:
            chosen = self.adversary(observe(self._task, sensed), self._index)
            adversary = _AGENTS_OWN if chosen is None else np.array(chosen)
        action = int(executed_actions(_AGENTS_OWN, adversary, uniform, np.array(kind)))
        return None if action == _AGENTS_OWN else decode(self._task, np.array(action), sensed)

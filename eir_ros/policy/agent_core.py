"""What an agent does with what its robot senses: decide, believe, command. Plain Python."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.coverage import CoverageTask, Decision, Sensed, command, decode, observe
from eir_ros.contract.detection import Detector
from eir_ros.contract.drive import without
from eir_ros.contract.manifest import Manifest
from eir_ros.contract.types import p_adversary
from eir_ros.policy.bundle import (
    Bundle,
    check_contract,
    check_team,
    load_bundle,
    replay_golden,
)
from eir_ros.policy.runtime import PolicyRuntime, PolicyStep, UnusableObservation

#: Why an agent holds that has just started, or has just got over something.
WAITING = "waiting for the next decision"
#: Why an agent holds whose operator wants it to, or who suspects too many.
DISTRUST = "the ladder of trust says hold"
#: Why an agent holds while the e-stop is pressed.
STOPPED = "the e-stop is pressed"
#: Reasons to hold that are nothing to worry about.
CALM = frozenset({"", WAITING, DISTRUST, STOPPED})


class Policy(Protocol):
    """What an agent needs of `policy.runtime.PolicyRuntime`."""

    def reset(self) -> None:
        """Forget the episode."""

    def step(
        self, observation: NDArray[np.float32], distrusted: NDArray[np.bool_] | None = None
    ) -> PolicyStep:
        """Decide on one observation (D,), certain about those who are distrusted, (N-1,)."""


class Trust(Protocol):
    """What an agent needs of `safety.trust.Ladder`."""

    @property
    def quarantined(self) -> NDArray[np.bool_]:
        """Teammates that are not counted on, (N-1,)."""

    @property
    def holds(self) -> bool:
        """Whether the robot stands."""

    def reset(self) -> None:
        """Begin a mission."""

    def update(self, time_s: float, belief: NDArray[np.floating[Any]]) -> list[Any]:
        """Take the beliefs of one decision, (N-1,); the steps that follow, for the record."""

    def skip(self, duration_s: float) -> None:
        """Nothing was learned for so long [s]: what has to last goes on from where it was."""


class Faith:
    """Trust that nothing shakes: what a belief changes is up to the policy alone.

    Parameters
    ----------
    mates
        Number of teammates.
    """

    holds = False

    def __init__(self, mates: int) -> None:
        self.quarantined = np.zeros(mates, bool)

    def reset(self) -> None:
        """Nothing is remembered."""

    def update(self, time_s: float, belief: NDArray[np.floating[Any]]) -> list[Any]:
        """Take no step."""
        return []

    def skip(self, duration_s: float) -> None:
        """Nothing has to last."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, for those who watch."""

    #: (D,), laid out as `task.layout`
    observation: NDArray[np.float32]
    step: PolicyStep
    #: p(adversary) of each teammate, (N-1,)
    p_adversary: NDArray[np.floating[Any]]
    #: Teammates that count as detected by now, (N-1,) bool
    detected: NDArray[np.bool_]
    #: What the beliefs led to: steps of the ladder of trust.
    steps: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent says to one tick."""

    #: Forward speed and yaw rate, (2,) [m/s, rad/s; base_link]
    command: NDArray[np.float64]
    #: Where a decision was made.
    decided: Decided | None = None
    #: Why the agent holds instead of moving; empty when it does not.
    held: str = ""


class AgentCore:
    """One robot's decision maker.

    It decides at every `decision_ticks`-th tick and follows the decision in between. Without a
    usable decision it holds: the command is zero until the next one.

    Parameters
    ----------
    manifest
        Of the bundle: the task, and when a belief is a detection.
    policy
        Runs the bundle.
    index
        The robot's place in the roster.
    trust
        What is done about beliefs besides what the policy makes of them; None: nothing.
    """

    def __init__(
        self, manifest: Manifest, policy: Policy, index: int, trust: Trust | None = None
    ) -> None:
        self.task: CoverageTask = manifest.task
        self.index = index
        self.trust: Trust = Faith(self.task.num_robots - 1) if trust is None else trust
        self._threshold = manifest.belief.threshold
        self._policy = policy
        self.reset()

    def reset(self) -> None:
        """Start a mission: every belief from its prior, no decision yet."""
        self._policy.reset()
        self.trust.reset()
        self._detector = Detector(self._threshold, (self.task.num_robots - 1,))
        self._detected = np.zeros(self.task.num_robots - 1, bool)
        self._decision: Decision | None = None
        self._decided_at = 0
        self._stopped_at: int | None = None

    def hold(self, reason: str) -> Answer:
        """Give up the present decision and stand."""
        self._decision = None
        return Answer(np.zeros(2), held=reason)

    def tick(self, tick: int, sensed: Sensed, stopped: bool = False) -> Answer:
        """Answer one tick; `sensed` without leading dimensions.

        While the swarm is `stopped` by its operator, a teammate that stands tells nothing about
        itself: beliefs, and what has to last for a step of trust, wait where they are.
        """
        if stopped:
            self._stopped_at = tick if self._stopped_at is None else self._stopped_at
            return self.hold(STOPPED)
        decided = None
        if tick % self.task.decision_ticks == 0:
            try:
                decided = self._decide(tick, sensed)
            except UnusableObservation as error:
                return self.hold(str(error))
        if self._decision is None:
            return self.hold(WAITING)
        if tick - self._decided_at >= 2 * self.task.decision_ticks:
            return self.hold("the last decision is too old")
        if self.trust.holds:
            return Answer(np.zeros(2), decided, DISTRUST)
        return Answer(command(self.task, self._decision, sensed.pose), decided)

    def _decide(self, tick: int, sensed: Sensed) -> Decided:
        observation = observe(self.task, sensed)
        out = self.trust.quarantined
        if out.any():
            step = self._policy.step(observation, out)
            sensed = without(sensed, out)
        else:
            step = self._policy.step(observation)
        self._decision = decode(self.task, np.asarray(step.action), sensed)
        self._decided_at = tick
        if self._stopped_at is not None:
            self.trust.skip((tick - self._stopped_at) * self.task.tick_s)
            self._stopped_at = None
        suspicion = p_adversary(step.belief)
        steps = self.trust.update(tick * self.task.tick_s, suspicion)
        self._detected |= self._detector.update(suspicion)
        self._detected &= suspicion > self._threshold
        return Decided(observation, step, suspicion, self._detected.copy(), tuple(steps))


def load_agent(
    path: str | Path,
    trusted_keys: Path | None,
    index: int,
    num_robots: int,
    trust: Callable[[float], Trust] | None = None,
) -> tuple[Bundle, AgentCore]:
    """Load a bundle, verify and try it, and make the agent of robot `index` of it.

    Parameters
    ----------
    trust
        Makes the ladder of trust of the threshold of the bundle.

    Raises
    ------
    EirError
        The bundle is refused: not signed by a trusted key, changed, for another team or another
        contract, or it answers differently here.
    """
    bundle = load_bundle(path, trusted_keys=trusted_keys)
    manifest = bundle.manifest
    check_team(manifest, num_robots)
    check_contract(manifest, manifest.task.model_copy(update={"num_robots": num_robots}))
    replay_golden(bundle)
    ladder = None if trust is None else trust(manifest.belief.threshold)
    return bundle, AgentCore(manifest, PolicyRuntime(bundle), index, ladder)

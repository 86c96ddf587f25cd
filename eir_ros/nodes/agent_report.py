"""What an agent tells those who watch: beliefs, decisions, diagnostics."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray

from eir_ros.contract.histogram import Histogram
from eir_ros.nodes import messages
from eir_ros.nodes.clouds import BELIEFS, DETECTED, NOT_VISIBLE, TRACKED
from eir_ros.policy.agent_core import Decided


class Counters:
    """Everything that an agent counts since it was configured."""

    def __init__(self) -> None:
        #: When it was configured, UTC; those who add up counts know a new agent by it.
        self.started = datetime.now(UTC).isoformat(timespec="milliseconds")
        #: From the last input received to the command sent [ms].
        self.tick_ms = Histogram()
        #: One step of the policy [us].
        self.inference_us = Histogram()
        #: Ticks that took longer than a tick.
        self.overruns = 0
        #: Inputs that were missing, invalid or too old, each of which made the agent hold.
        self.stale_inputs = 0
        #: Ticks between two that were answered that were not: lost, or stamped beside the ticks.
        self.missed_ticks = 0
        self.decisions = 0
        #: Of these, those since the beliefs began at the prior.
        self.since_prior = 0
        #: What was wrong since the last report, in order.
        self._problems: dict[str, None] = {}

    def stale(self, problem: str) -> None:
        """Count one reason to hold."""
        self.stale_inputs += 1
        self.tell(problem)

    def tell(self, problem: str) -> None:
        """Say in the next report what is wrong, though nobody has to be stopped for it."""
        self._problems[problem] = None

    def status(
        self,
        robot: str,
        *,
        bundle: str,
        tracks_source: str,
        trust: Mapping[str, str],
        state: str,
    ) -> DiagnosticStatus:
        """The agent's line in /diagnostics: a warning if something was wrong since the last."""
        problem = "; ".join(self._problems)
        self._problems.clear()
        values = {
            "bundle": bundle,
            "state": state,
            "started": self.started,
            "trust": ",".join(f"{name}={level}" for name, level in trust.items()),
            "tracks_source": tracks_source,
            "tick_ms_p50": _number(self.tick_ms.percentile(50)),
            "tick_ms_p99": _number(self.tick_ms.percentile(99)),
            "tick_ms_histogram": self.tick_ms.dumps(),
            "inference_us_p50": _number(self.inference_us.percentile(50)),
            "inference_us_p99": _number(self.inference_us.percentile(99)),
            "inference_us_histogram": self.inference_us.dumps(),
            "overruns": self.overruns,
            "stale_inputs": self.stale_inputs,
            "missed_ticks": self.missed_ticks,
            "decisions": self.decisions,
            "decisions_since_prior": self.since_prior,
        }
        return messages.status(
            f"{robot}/agent",
            values,
            hardware_id=robot,
            message=problem or "ok",
            level=DiagnosticStatus.WARN if problem else DiagnosticStatus.OK,
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def belief_points(
    mates: NDArray[np.int64],
    last_seen: NDArray[np.floating[Any]],
    visible: NDArray[np.bool_],
    decided: Decided,
) -> NDArray[np.void]:
    """The cloud of one decision; `last_seen` (N-1, 2) [m; map]."""
    points = np.zeros(len(mates), BELIEFS)
    points["id"] = mates
    points["x"], points["y"] = last_seen.T
    points["p_adversary"] = decided.p_adversary
    points["status"] = np.where(decided.detected, DETECTED, np.where(visible, TRACKED, NOT_VISIBLE))
    return points


def decision_status(
    robot: str,
    actions: tuple[str, ...],
    decided: Decided,
    tick_ms: float,
    with_observation: bool,
) -> DiagnosticStatus:
    """One decision; arrays as the hex of their float32 bytes."""
    step = decided.step
    values: dict[str, Any] = {
        "action": step.action,
        "inference_us": f"{step.inference_us:.1f}",
        "tick_ms": f"{tick_ms:.3f}",
    }
    if with_observation:
        values["observation"] = decided.observation.astype("<f4").tobytes().hex()
        values["belief"] = step.belief.astype("<f4").tobytes().hex()
    return messages.status(
        f"{robot}/decision", values, hardware_id=robot, message=actions[step.action]
    )

"""Faults that act on what a robot says: what others hear of it, and when."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from eir_ros.contract.fault_parameters import PARAMETERS
from eir_ros.contract.faults import FaultKind
from eir_ros.faults.timeline import Span, Timeline

#: What was said is remembered for so long, for `replay` [s].
_MEMORY_S: Final = next(p.high for p in PARAMETERS["replay"] if p.name == "age_s")


class Talk:
    """Decides over every message of one robot; what a message is does not matter.

    Parameters
    ----------
    timeline
        Which fault the robot has when.
    seed
        Anything `numpy.random.default_rng` takes.
    """

    def __init__(self, timeline: Timeline, seed: Any) -> None:
        self._timeline = timeline
        self._rng = np.random.default_rng(seed)
        self._said: dict[str, deque[tuple[float, Any]]] = {}
        self._late: deque[tuple[float, str, Any]] = deque()
        self._span: Span | None = None

    def say(self, topic: str, message: Any, now_s: float) -> list[Any]:
        """What is heard on `topic` now that the robot says `message`, at `now_s` [s]."""
        span = self._begin(now_s)
        said = self._said.setdefault(topic, deque())
        said.append((now_s, message))
        while said and not now_s - _MEMORY_S <= said[0][0] <= now_s:
            said.popleft()
        kind = FaultKind.NONE if span is None else span.kind
        value = 0.0 if span is None else float(span.values[0])
        if kind is FaultKind.SILENT or (kind is FaultKind.LOSS and self._rng.random() < value):
            return []
        if kind is FaultKind.DELAY:
            self._late.append((now_s + value, topic, message))
            return []
        if kind is FaultKind.REPLAY:
            # times are sums of ticks
            old = [earlier for at, earlier in said if at <= now_s - value + 1e-6]
            return old[-1:]
        return [message]

    def due(self, now_s: float) -> Iterator[tuple[str, Any]]:
        """Topics and messages that were held up until `now_s` [s]."""
        span = self._timeline.span_at(now_s)
        over = span is None or span.kind is not FaultKind.DELAY
        # what is on its way when the fault ends still arrives, but not after what is newer
        while self._late and (over or self._late[0][0] <= now_s):
            yield self._late.popleft()[1:]

    def forged_name(self, now_s: float) -> str | None:
        """In whose name the robot speaks besides its own; empty: any teammate's."""
        span = self._timeline.span_at(now_s)
        if span is None or span.kind is not FaultKind.SYBIL:
            return None
        return str(span.parameters.get("name", ""))

    def _begin(self, now_s: float) -> Span | None:
        span = self._timeline.span_at(now_s)
        if span is not None and span.seed is not None and span != self._span:
            self._rng = np.random.default_rng(span.seed)
        self._span = span
        return span

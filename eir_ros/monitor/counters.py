"""What the agents count about themselves, added up over restarts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from eir_ros.contract.histogram import Histogram
from eir_ros.contract.report import Percentiles

#: Diagnostics of an agent that only grow while its process lives.
_COUNTS = ("overruns", "stale_inputs")
_HISTOGRAMS = ("tick_ms", "inference_us")


@dataclass
class _Agent:
    """The present process of one agent, and what the processes before it had counted."""

    restarts: int = 0
    #: When it says that it started; empty: it has not said.
    started: str = ""
    decisions: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    counts_before: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    histograms: dict[str, Histogram] = field(default_factory=dict)
    histograms_before: dict[str, Histogram] = field(default_factory=dict)

    def retire(self) -> None:
        """The process is gone: keep what it had counted and start at zero."""
        self.restarts += 1
        for name, count in self.counts.items():
            self.counts_before[name] += count
        for name, histogram in self.histograms.items():
            self.histograms_before.setdefault(name, Histogram()).merge(histogram)
        self.counts, self.histograms = dict.fromkeys(_COUNTS, 0), {}


class Counters:
    """Adds up the `/diagnostics` of all agents.

    Agents report running totals since they started, and when that was. Another start, or fewer
    decisions where none is told (as in old recordings), is a new agent; the totals of the old one
    are then kept aside.
    """

    def __init__(self, team: Iterable[str]) -> None:
        self._agents = {robot: _Agent() for robot in team}
        #: The world has ended: nothing is sensed any more, and what is missing is not missed.
        self.over = False

    def update(self, robot: str, values: Mapping[str, str]) -> None:
        """Take one diagnostic status of the agent of `robot`; unreadable values are left out."""
        agent = self._agents.get(robot)
        if agent is None:
            return
        decisions, started = _whole(values.get("decisions")), values.get("started", "")
        if decisions is not None:
            fewer = decisions < agent.decisions
            renewed = started != agent.started if agent.started else fewer
            if renewed:
                agent.retire()
            agent.decisions, agent.started = decisions, started
        for name in _COUNTS:
            count = _whole(values.get(name))
            if count is not None and not (self.over and name == "stale_inputs"):
                agent.counts[name] = count
        for name in _HISTOGRAMS:
            histogram = _histogram(values.get(f"{name}_histogram", ""))
            if histogram:
                agent.histograms[name] = histogram

    def restarts(self, robot: str) -> int:
        """How often the agent of `robot` was seen to start anew."""
        return self._agents[robot].restarts

    def total(self, name: str, robot: str | None = None) -> int:
        """`overruns` or `stale_inputs` of one agent, or of all."""
        agents = self._agents.values() if robot is None else [self._agents[robot]]
        return sum(agent.counts[name] + agent.counts_before[name] for agent in agents)

    def percentiles(self, name: str, robot: str | None = None) -> Percentiles:
        """Median and p99 of `tick_ms` [ms] or `inference_us` [us] of one agent, or of all."""
        merged = Histogram()
        agents = self._agents.values() if robot is None else [self._agents[robot]]
        for agent in agents:
            for histograms in (agent.histograms, agent.histograms_before):
                if name in histograms:
                    merged.merge(histograms[name])
        return Percentiles(p50=merged.percentile(50), p99=merged.percentile(99))


def _whole(text: str | None) -> int | None:
    """A count as a number; None where it is none, or more than any run counts."""
    try:
        found = -1 if text is None else int(text)
    except ValueError:
        return None
    return found if 0 <= found < 2**53 else None


def _histogram(text: str) -> Histogram | None:
    try:
        return Histogram.loads(text)
    except ValueError:
        return None

"""The report on a recording: read once, measured, judged against the ground truth in it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from eir_ros.contract.detection import calibration
from eir_ros.contract.errors import EirError
from eir_ros.contract.recording_report import (
    Bin,
    Calibration,
    FalseAlarmRate,
    FaultDelays,
    Lane,
    ObserverDelay,
    ObserverQuality,
    RecordingReport,
    Source,
)
from eir_ros.contract.report import FaultSpan
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.bag_events import Events
from eir_ros.monitor.counters import Counters
from eir_ros.monitor.detections import Held, Judge, quality
from eir_ros.monitor.feed import Feeder
from eir_ros.monitor.measures import INPUTS, Gates, Latencies, Motions, Streams, Trust
from eir_ros.monitor.report import mission_report
from eir_ros.monitor.state import State
from eir_ros.monitor.truth import ABSENT

#: p(adversary) that counts as an alarm where nobody says which.
_THRESHOLD: Final = 0.5

#: Share of ticks answered before they were sensed that only clocks can explain.
_EARLY: Final = 0.1

#: Beliefs are sampled so often for the timeline [s], and kept at most so many times.
_LANE_S, _LANE_ROWS = 0.2, 600


class Analysis(NamedTuple):
    """The report, and what only its figures need."""

    report: RecordingReport
    #: From the last input to the base, tick by tick, by robot [ms].
    latencies_ms: dict[str, list[float]]


def analyse(bag: Bag, threshold: float | None = None) -> Analysis:
    """Read a recording and measure everything that is in it.

    Parameters
    ----------
    threshold
        p(adversary) that counts as an alarm, in (0, 1); None: as the recording says.

    Raises
    ------
    EirError
        The recording cannot be read, or there is no robot in it.
    """
    return _Reading(bag, threshold).analysis()


class _Reading:
    """One pass over a recording."""

    def __init__(self, bag: Bag, threshold: float | None) -> None:
        self.bag, self.about, self.events = bag, bag.about, Events(bag)
        self.team = self.events.team
        if not self.team:
            raise EirError(
                f"{bag.path}: no robot is in this recording; expected odometry on /<robot>/odom."
            )
        self.threshold = threshold or self.about.threshold or _THRESHOLD
        self.assumed = threshold is None and self.about.threshold is None
        self.judge = Judge(self.team, self.threshold)
        self.state = State(self.team, self.judge, Counters(self.team))
        origins = self.about.odom_in_map
        self.latencies, self.streams = Latencies(self.about), Streams()
        self.motions, self.gates = Motions(self.about, origins), Gates()
        self.trust = Trust(self.team)
        self.heard: set[str] = set()
        self.end_s = 0.0
        self._lanes: dict[str, list[tuple[float, float, float]]] = {r: [] for r in self.team}
        self._read()

    def _read(self) -> None:
        measures = (self.latencies, self.streams, self.motions, self.gates, self.trust)
        feeder, sampled_s = Feeder(self.state, self.about.odom_in_map), -_LANE_S
        for event in self.events:
            self.heard.add(event.topic)
            for measure in measures:
                measure.take(event)
            feeder.take(event)
            self.end_s = max(self.end_s, event.t_s)
            if event.t_s >= sampled_s + _LANE_S:
                sampled_s = event.t_s
                self._sample(sampled_s)
        # without a score nobody told how long the mission lasted
        self.state.time_s = max(self.state.time_s, self.end_s)

    def _sample(self, t_s: float) -> None:
        for robot, rows in self._lanes.items():
            given = self.state.suspicion(robot)
            if given:
                mean = sum(given) / len(given)
                rows.append((round(t_s, 2), round(mean, 3), round(max(given), 3)))

    def analysis(self) -> Analysis:
        """Everything that was measured."""
        held = self.judge.held()
        report = RecordingReport(
            **dict(mission_report(self.state)),
            source=self._source(),
            missing=tuple(self._missing()),
            threshold=self.threshold,
            delays=tuple(self._delays(span) for span in self.judge.faults if self._came(span)),
            calibration=self._calibration(held),
            false_alarm_rate=self._false_alarm_rate(held),
            latencies_ms=tuple(self.latencies.of(robot) for robot in self.team),
            inputs=tuple(self.streams.of(robot, i) for robot in self.team for i in INPUTS),
            motion=tuple(self.motions.of(robot) for robot in self.team),
            gate=tuple(self.gates.of(robot) for robot in self.team),
            trust=tuple(self.trust.steps),
            lanes=tuple(Lane(robot=r, rows=_thinned(rows)) for r, rows in self._lanes.items()),
        )
        return Analysis(report, {robot: self.latencies.samples(robot) for robot in self.team})

    def _came(self, span: FaultSpan) -> bool:
        return span.kind != ABSENT and span.start_s <= self.state.time_s

    def _source(self) -> Source:
        events = self.events
        first_ns = events.first_ns
        started = first_ns and datetime.fromtimestamp(first_ns / 1e9, UTC)
        return Source(
            path=str(self.bag.path),
            started=started.isoformat(timespec="milliseconds") if started else None,
            duration_s=round((events.last_ns - (first_ns or events.last_ns)) / 1e9, 3),
            messages=events.counts.total(),
            topics=dict(sorted(events.counts.items())),
            complete=self.bag.complete,
            simulated=events.simulated,
            task=self.about.task or None,
            bundle=self.about.bundle or None,
        )

    def _missing(self) -> Iterator[str]:
        yield from self.bag.notes
        for topic, count in sorted(self.events.unreadable.items()):
            yield f"{count} messages of {topic} cannot be read; they are left out."
        if "beliefs" not in self.heard:
            yield "No beliefs (/<robot>/beliefs): detections, calibration and trust are unknown."
        elif self.assumed:
            yield (
                f"The recording does not say which belief is an alarm: {self.threshold:g} is "
                "assumed; give --threshold, as `eir bundle inspect` tells it."
            )
        if "swarm/faults" not in self.heard:
            yield (
                "No ground truth (/swarm/faults): nothing tells true alarms from false ones, so "
                "delays, AUROC, calibration and the rate of false alarms are unknown, and every "
                "alarm is listed as a false one."
            )
        if "cmd_vel" not in self.heard:
            yield "No commands of gates (/<robot>/cmd_vel): their work and latencies are unknown."
        if "diagnostics" not in self.heard:
            yield "No /diagnostics: ticks, inference, stale inputs and gate states are unknown."
        if "swarm/score" not in self.heard:
            yield "No /swarm/score: how well the task was done is unknown."
        if not self.about.limits:
            yield "The recording does not say the robots' limits and fence: nothing is compared."
        early = [robot for robot in self.team if self.latencies.early(robot) > _EARLY]
        if early:
            yield (
                f"Many commands of {', '.join(early)} were sent before what they answer, by the "
                "senders' clocks: the computers' clocks disagree. These are left out, and the "
                "latencies of the others are off by as much."
            )

    def _delays(self, span: FaultSpan) -> FaultDelays:
        end_s = self.state.time_s if span.end_s is None else span.end_s
        observers = []
        for observer in self.team:
            if observer == span.robot:
                continue
            found_s = self.judge.found_out_s(span, observer)
            delay_s = None if found_s is None else round(self.judge.delay_s(span, found_s), 3)
            # who was faulty for a part of it may have missed it for that
            faulty = any(
                f.start_s < end_s and (f.end_s is None or f.end_s > span.start_s)
                for f in self.judge.faults
                if f.robot == observer
            )
            healthy = found_s is not None or not faulty
            observers.append(ObserverDelay(observer=observer, delay_s=delay_s, healthy=healthy))
        return FaultDelays(
            robot=span.robot,
            kind=span.kind,
            start_s=span.start_s,
            end_s=span.end_s,
            observers=tuple(observers),
        )

    def _calibration(self, held: Held) -> Calibration:
        if "swarm/faults" not in self.heard or not len(held.p_adversary):
            return Calibration(beliefs=len(held.p_adversary))
        bins, ece = calibration(held.p_adversary, held.faulty)
        observers = []
        for place, robot in enumerate(self.team):
            own = held.observer == place
            found = quality(held.p_adversary[own], held.faulty[own])
            observers.append(
                ObserverQuality(
                    observer=robot, beliefs=int(own.sum()), auroc=found.auroc, brier=found.brier
                )
            )
        return Calibration(
            beliefs=len(held.p_adversary),
            ece=ece,
            bins=tuple(Bin(**found._asdict()) for found in bins),
            observers=tuple(observers),
        )

    def _false_alarm_rate(self, held: Held) -> FalseAlarmRate:
        if "swarm/faults" not in self.heard or not len(held.t_s):
            return FalseAlarmRate()
        count = len(self.judge.false_alarms())
        first = held.t_s[(held.observer == held.observer[0]) & (held.suspect == held.suspect[0])]
        gaps = np.diff(first)
        period_s = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 0.0
        pair_hours = float((~held.faulty).sum()) * period_s / 3600
        hours = self.state.time_s / 3600
        return FalseAlarmRate(
            count=count,
            per_hour=count / hours if hours else None,
            pair_hours=pair_hours,
            per_pair_hour=count / pair_hours if pair_hours else None,
        )


def _thinned(rows: list[tuple[float, float, float]]) -> tuple[tuple[float, float, float], ...]:
    """At most `_LANE_ROWS`, evenly chosen."""
    step = -(-len(rows) // _LANE_ROWS) or 1
    return tuple(rows[::step])

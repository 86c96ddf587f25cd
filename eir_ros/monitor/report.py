"""The report of a mission: what the monitor measured, as JSON."""

import os
from contextlib import suppress
from pathlib import Path

from eir_ros.contract.errors import EirError
from eir_ros.contract.report import MissionReport, Score
from eir_ros.monitor.state import State


def mission_report(state: State) -> MissionReport:
    """Everything that `state` has gathered up to now."""
    judge, counters = state.judge, state.counters
    return MissionReport(
        duration_s=round(state.time_s, 3),
        ticks=state.ticks,
        decisions=state.decisions,
        robots=judge.team,
        score=Score(**state.score),
        # a schedule is announced in advance: what never came about was no fault of this mission
        faults=tuple(span for span in judge.faults if span.start_s <= state.time_s),
        detections=tuple(judge.detections()),
        false_alarms=tuple(judge.false_alarms()),
        estops=tuple(state.estops),
        intruders=tuple(state.intruders.found.values()),
        trust_steps=tuple(state.trust_steps),
        belief=judge.quality(),
        tick_ms=counters.percentiles("tick_ms"),
        inference_us=counters.percentiles("inference_us"),
        overruns=counters.total("overruns"),
        stale_inputs=counters.total("stale_inputs"),
    )


def write_report(report: MissionReport, path: Path) -> None:
    """Write the report as JSON, see `write_text`."""
    write_text(report.model_dump_json(indent=2) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write under a temporary name, then rename: a reader finds all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise EirError(f"{path}: the report cannot be written ({error.strerror}).") from error

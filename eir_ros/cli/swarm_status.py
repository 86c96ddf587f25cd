"""What `eir swarm` shows in the terminal."""

import contextlib
import sys
import time
from pathlib import Path

from eir_ros.contract.report import SwarmReport
from eir_ros.swarm.supervisor import Outcome


class Status:
    """What the terminal shows: one line per event, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """Print one event; a terminal that is gone is no reason to drop the robots."""
        with contextlib.suppress(OSError):
            print(f"[{time.monotonic() - self._began:6.1f} s] {line}", flush=True)

    def summary(self, report: SwarmReport, outcome: Outcome) -> None:
        """Print what the run amounts to."""
        self.say(f"ended: {outcome.reason}")
        clean = sum(end.exit == 0 for end in outcome.exits)
        rows = [
            ("mission", f"{report.duration_s:.1f} s, {report.ticks} ticks"),
            ("reward per decision", _number(report.score.mean_reward, 3)),
            ("sites served", _percent(report.score.served_fraction)),
            ("all sites served", _percent(report.score.all_served_fraction)),
            ("detections", _detections(report)),
            ("false alarms", str(len(report.false_alarms))),
            ("e-stop", _estops(report)),
            ("tick p50 / p99", _pair(report.tick_ms.p50, report.tick_ms.p99, "ms")),
            ("inference p50 / p99", _pair(report.inference_us.p50, report.inference_us.p99, "us")),
            ("overruns, stale inputs", f"{report.overruns}, {report.stale_inputs}"),
            ("restarts", str(report.restarts)),
            ("processes", f"{clean} of {len(outcome.exits)} clean"),
        ]
        for name, value in rows:
            print(f"{name:24}{value}")
        for intruder in report.intruders:
            self.say(
                f"worth nothing: from {intruder.t_s:.1f} s on somebody else sent {intruder.topic}"
            )

    def unclean(self, outcome: Outcome, folder: Path) -> None:
        """Name the log of every process that did not end as it should."""
        for end in outcome.exits:
            if end.exit == 0:
                continue
            log = folder / "log" / f"{end.name.replace('/', '.')}.log"
            print(f"{end.name} ended with {end.exit}; see {log}", file=sys.stderr)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _pair(low: float | None, high: float | None, unit: str) -> str:
    return "-" if low is None or high is None else f"{low:.2f} / {high:.2f} {unit}"


def _estops(report: SwarmReport) -> str:
    spans = [
        f"from {span.start_s:.1f} s, not released"
        if span.end_s is None
        else f"{span.start_s:.1f} s to {span.end_s:.1f} s"
        for span in report.estops
    ]
    # robots that stand serve little, and the means above know no difference
    counted = " (counts in reward and sites served)" if spans else ""
    return ("; ".join(spans) or "never") + counted


def _detections(report: SwarmReport) -> str:
    found = []
    for suspect in dict.fromkeys(d.suspect for d in report.detections):
        about = [d for d in report.detections if d.suspect == suspect]
        observers = ", ".join(sorted({d.observer for d in about}))
        first = min(d.delay_s for d in about)
        found.append(f"{suspect} by {observers}, first after {first:.1f} s")
    return "; ".join(found) or ("none" if report.faults else "none, and no faults")

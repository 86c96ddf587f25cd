"""The report on a recording as one HTML file: no script, nothing loaded from anywhere."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from statistics import median
from typing import Any, Final

from eir_ros.contract.recording_report import RecordingReport, Spread
from eir_ros.monitor import svg
from eir_ros.monitor.recording_report import Analysis
from eir_ros.monitor.truth import ABSENT

#: What stands where nothing was measured.
_NONE: Final = "\N{EN DASH}"

_STYLE: Final = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5b6875; --line: #d5dbe1; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 28px 24px 60px; color: var(--ink);
  background: #fff; font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; }
h1 { font-size: 26px; margin: 0 0 2px; } h2 { font-size: 19px; margin: 38px 0 6px; }
p { margin: 4px 0 10px; } .soft, figcaption { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px;
  margin: 18px 0; padding: 0; }
.tiles div { border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; }
.tiles dt { color: var(--soft); font-size: 13px; } .tiles dd { margin: 0; font-size: 21px;
  font-weight: 600; } .tiles small { display: block; line-height: 1.3; font-size: 12px;
  font-weight: 400; color: var(--soft); }
.missing { border: 2px solid #e69f00; border-radius: 8px; padding: 8px 14px; }
.missing ul { margin: 4px 0; padding-left: 20px; }
figure { margin: 8px 0 14px; } figcaption { font-size: 13px; margin-top: 4px; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, "Segoe UI", Roboto, sans-serif; fill: #1d2733; }
svg .soft { fill: #5b6875; } svg .small { font-size: 11px; } svg .strong { font-weight: 600; }
svg .label { font-weight: 600; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: right; vertical-align: top; padding: 3px 8px; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
td.left { white-space: normal; } th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .left { text-align: left; }
.side { display: flex; flex-wrap: wrap; gap: 24px; align-items: flex-start; }
.side > figure { flex: 0 1 330px; } .side > div { flex: 1 1 380px; }
@media print { h2, figure, table { break-inside: avoid; } }
"""


def page(analysis: Analysis) -> str:
    """The whole file."""
    report = analysis.report
    body = "\n".join(
        [
            *_head(report),
            *_missing(report.missing),
            *_timeline(report),
            *_detections(report),
            *_beliefs(report),
            *_latencies(analysis),
            *_motion(report),
            *_gates(report),
        ]
    )
    name = escape(report.source.path.rstrip("/").rpartition("/")[2])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Report on {name}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _head(report: RecordingReport) -> Iterator[str]:
    source, score, rate = report.source, report.score, report.false_alarm_rate
    yield "<h1>Report on a recording</h1>"
    facts = [
        source.path,
        f"recorded {source.started}" if source.started else "",
        f"{source.messages} messages",
        f"task {source.task}" if source.task else "",
        f"bundle {source.bundle}" if source.bundle else "",
        "simulated" if source.simulated else "",
        "" if source.complete else "not ended by its recorder",
    ]
    yield f'<p class="soft">{escape(" · ".join(filter(None, facts)))}</p>'
    found = [d.delay_s for fault in report.delays for d in fault.observers if d.healthy]
    noticed = [delay for delay in found if delay is not None]
    middle = median(noticed) if noticed else None
    yield _tiles(
        ("Mission", _number(report.duration_s, "s", 1), f"{report.decisions} decisions"),
        ("Sites served", _percent(score.served_fraction), "of the time, by working robots"),
        ("Faults", str(len(report.faults)), "injected, or an absence"),
        (
            "Detection delay",
            _number(middle, "s", 1),
            f"median; {len(noticed)} of {len(found)} observers",
        ),
        (
            "False alarms",
            _number(rate.per_hour, "/ h", 1),
            f"{rate.count} in {rate.pair_hours:.2f} pair hours",
        ),
        ("AUROC", _number(report.belief.auroc, "", 3), "of all beliefs"),
        ("Brier score", _number(report.belief.brier, "", 3), "0 is best"),
        ("Calibration error", _number(report.calibration.ece, "", 3), "ECE, 0 is best"),
        ("Stale inputs", str(report.stale_inputs), "as the agents count"),
    )


def _missing(sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
        yield f'<div class="missing"><strong>What is missing</strong><ul>{items}</ul></div>'


def _timeline(report: RecordingReport) -> Iterator[str]:
    yield "<h2>What happened</h2>"
    yield _figure(
        svg.timeline(report),
        "Hatched: the robot was broken on purpose, or absent (ground truth). Blue: mean "
        "p(adversary) that the others gave it; orange, dashed: the largest. Dotted: what counts as "
        "an alarm. Filled "
        "triangle: a detection; empty triangle: a false alarm. Tick below: an observer changed its "
        "attitude. Hover for names.",
    )
    rows: list[tuple[float, str]] = []
    for fault in report.faults:
        away = fault.kind == ABSENT
        begun, back = ("absent", "there again") if away else (f"broken: {fault.kind}", "well again")
        rows.append((fault.start_s, f"{fault.robot} is {begun}"))
        if fault.end_s is not None and fault.end_s <= report.duration_s:
            rows.append((fault.end_s, f"{fault.robot} is {back}"))
    for stop in report.estops:
        rows.append((stop.start_s, "e-stop"))
        if stop.end_s is not None:
            rows.append((stop.end_s, "e-stop released"))
    rows += [(d.t_s, f"{d.observer} detects {d.suspect}") for d in report.detections]
    rows += [(a.t_s, f"{a.observer} blames {a.suspect}, healthy") for a in report.false_alarms]
    rows += [
        (step.t_s, f"{step.observer} takes {step.suspect} for {step.status.replace('_', ' ')}")
        for step in report.trust
    ]
    rows += [(step.t_s, f"{step.observer} on {step.line}") for step in report.trust_steps]
    rows.sort()
    shown = [(f"{t_s:.1f} s", said) for t_s, said in rows]
    summary = f"<summary>{len(rows)} events in words</summary>"
    table = _table(("time", "event"), shown, left={1})
    yield f"<details>{summary}{table}</details>"


def _detections(report: RecordingReport) -> Iterator[str]:
    yield "<h2>How soon faults were found out</h2>"
    if not report.delays:
        yield "<p>No fault was injected.</p>"
        return
    yield _figure(
        svg.delays(report.delays),
        "From the onset of a fault to the detection by each healthy observer; ✕: not while the "
        "fault lasted.",
    )
    observers = report.robots
    rows = []
    for fault in report.delays:
        delays = {d.observer: d for d in fault.observers}
        cells = [_delay(delays.get(observer)) for observer in observers]
        end = _NONE if fault.end_s is None else f"{fault.end_s:g} s"
        rows.append((fault.robot, fault.kind, f"{fault.start_s:g} s", end, *cells))
    yield _table(("robot", "fault", "from", "until", *observers), rows, left={1})


def _delay(found: Any) -> str:
    if found is None:
        return ""
    if not found.healthy:
        return "(faulty)"
    return "not" if found.delay_s is None else f"{found.delay_s:.1f} s"


def _beliefs(report: RecordingReport) -> Iterator[str]:
    calibration = report.calibration
    yield "<h2>What beliefs are worth</h2>"
    if not calibration.bins:
        yield "<p>Nothing to compare beliefs with.</p>"
        return
    yield '<div class="side">'
    yield _figure(
        svg.reliability(calibration.bins),
        "Dots on the dashed line: beliefs mean what they say. Below it: too much suspicion; above: "
        "too little. Grey: how many beliefs.",
    )
    yield "<div>"
    yield _table(
        ("p(adversary)", "beliefs", "mean p", "faulty"),
        [
            (
                f"{found.low:.1f} to {found.high:.1f}",
                str(found.beliefs),
                _number(found.mean_p, "", 3),
                _number(found.faulty_share, "", 3),
            )
            for found in calibration.bins
        ],
    )
    yield "<br>"
    yield _table(
        ("observer", "beliefs", "AUROC", "Brier"),
        [
            (o.observer, str(o.beliefs), _number(o.auroc, "", 3), _number(o.brier, "", 3))
            for o in calibration.observers
        ],
    )
    yield "</div></div>"


def _latencies(analysis: Analysis) -> Iterator[str]:
    report = analysis.report
    yield "<h2>Latency and inputs</h2>"
    if drawn := svg.latency(analysis.latencies_ms):
        yield _figure(
            drawn,
            "Share of ticks that took longer, from the last of odometry and tracks to the gate's "
            "command, by the times at which they were sent.",
        )
    rows = []
    for found in report.latencies_ms:
        cells = [
            cell
            for spread in (found.sense_to_policy, found.policy_to_base, found.sense_to_base)
            for cell in _spread(spread)
        ]
        rows.append((found.robot, str(found.sense_to_base.count), *cells))
    parts = ("agent", "gate", "both")
    columns = [f"{part} {q}" for part in parts for q in ("p50", "p99", "max")]
    yield _table(("robot [ms]", "ticks", *columns), rows)
    tick, inference = report.tick_ms, report.inference_us
    yield (
        f'<p class="soft">As the agents measure it themselves: tick p50 '
        f"{_number(tick.p50, 'ms', 2)}, p99 {_number(tick.p99, 'ms', 2)}; inference p50 "
        f"{_number(inference.p50, 'µs', 0)}, p99 {_number(inference.p99, 'µs', 0)}; "
        f"{report.overruns} ticks were late.</p>"
    )
    yield _table(
        ("input", "messages", "period", "longest gap", "at"),
        [
            (
                f"{found.robot}/{found.topic}",
                str(found.count),
                _number(found.period_s, "s", 2),
                _number(found.longest_gap_s, "s", 2),
                _number(found.gap_at_s, "s", 1),
            )
            for found in report.inputs
        ],
    )


def _motion(report: RecordingReport) -> Iterator[str]:
    yield "<h2>Limits</h2>"
    yield _table(
        ("robot", "sent m/s", "odom m/s", "limit m/s", "sent rad/s", "odom rad/s",
         "limit rad/s", "beyond", "to the fence", "nearest other"),
        [
            (
                m.robot,
                _number(m.commanded_speed, "", 2),
                _number(m.measured_speed, "", 2),
                _number(m.max_speed, "", 2),
                _number(m.commanded_yaw_rate, "", 2),
                _number(m.measured_yaw_rate, "", 2),
                _number(m.max_yaw_rate, "", 2),
                str(m.beyond_limits),
                _number(m.fence_margin_m, "m", 2),
                _NONE if m.nearest_m is None else f"{m.nearest_m:.2f} m ({m.nearest})",
            )
            for m in report.motion
        ],
    )  # fmt: skip
    yield (
        '<p class="soft">Largest values. Sent: what the gate let through. Odom: as the robot '
        "measured it. Beyond: commands over a limit. Distances are the least of the run: "
        "of the robot's edge to the fence (negative: outside), and between centres.</p>"
    )


def _gates(report: RecordingReport) -> Iterator[str]:
    yield "<h2>What the gates did</h2>"
    if drawn := svg.reasons({found.robot: found.reasons for found in report.gate}):
        yield _figure(drawn, "How often each gate acted, for which reason.")
    yield _table(
        ("robot", "commands", "with less", "unasked", "by reason", "began", "states"),
        [
            (
                found.robot,
                str(found.commands),
                str(found.changed),
                str(found.unasked),
                _listed(f"{n} {why.replace('_', ' ')}" for why, n in found.reasons.items()),
                _listed(f"{n} {why.replace('_', ' ')}" for why, n in found.interventions.items()),
                _listed(
                    f"{100 * share:.0f} % {name.replace('_', ' ')}"
                    for name, share in found.states.items()
                ),
            )
            for found in report.gate
        ],
        left={4, 5, 6},
    )
    yield (
        '<p class="soft">With less: commands that the gate answered with less than was asked. '
        "Unasked: commands of its own, on silence or at an e-stop. Began: how often it began to "
        "act for a reason.</p>"
    )


def _tiles(*tiles: tuple[str, str, str]) -> str:
    inside = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for name, value, more in tiles
    )
    return f'<dl class="tiles">{inside}</dl>'


def _figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Iterable[int] = ()) -> str:
    aligned = frozenset(left)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=left' if place in aligned else ''}>{escape(cell)}</{tag}>"
            for place, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or _NONE


def _spread(found: Spread) -> tuple[str, str, str]:
    return _number(found.p50, "", 2), _number(found.p99, "", 2), _number(found.max, "", 2)


def _number(value: float | None, unit: str, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f} {unit}".rstrip()


def _percent(share: float | None) -> str:
    return _NONE if share is None else f"{100 * share:.0f} %"

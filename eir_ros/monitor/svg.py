"""Figures as SVG text: axes, and the five pictures of a report. Standard library only.

Colours are Okabe and Ito's, told apart with every kind of colour blindness, and nothing is said by
colour alone: marks differ in shape, areas are hatched, and every number is in a table as well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

from eir_ros.contract.recording_report import Bin, FaultDelays, RecordingReport

BLUE, ORANGE, GREEN, VERMILLION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
_INK, _SOFT, _LINE = "#1d2733", "#5b6875", "#d5dbe1"

#: Of the figures [px].
_WIDTH: Final = 980
_LEFT: Final = 56

_HATCH: Final = (
    '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="7" height="7" fill="#f3e3d3"/>'
    f'<line x1="0" y1="0" x2="0" y2="7" stroke="{VERMILLION}" stroke-width="1.6" '
    'stroke-opacity=".55"/></pattern></defs>'
)


class Axis:
    """Maps numbers from `low` to `high` onto pixels from `start` to `end`."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1.0
        self._start, self._scale = start, (end - start) / (self.high - self.low)

    def __call__(self, value: float) -> float:
        """The pixel of a number."""
        return round(self._start + (value - self.low) * self._scale, 1)

    def ticks(self, about: int) -> list[float]:
        """Round numbers on the axis, some `about` many."""
        rough = (self.high - self.low) / about
        power = 10.0 ** floor(log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(k * step, 10) for k in range(first, last + 1)]


def figure(title: str, height: float, parts: Iterable[str], width: float = _WIDTH) -> str:
    """The whole picture; `title` is what a screen reader says of it."""
    body = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}" '
        f'style="max-width:{width:g}px">\n{body}\n</svg>'
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", style: str = "") -> str:
    """Some words at a place."""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{style}">{escape(words)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str = _LINE, more: str = "") -> str:
    """A straight line."""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{stroke}" {more}/>'


def _path(points: Iterable[tuple[float, float]], more: str) -> str:
    steps = " L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path d="M{steps}" {more}/>'


def _time_axis(axis: Axis, top: float, bottom: float) -> Iterator[str]:
    for t_s in axis.ticks(10):
        yield line(axis(t_s), top, axis(t_s), bottom)
        yield text(axis(t_s), bottom + 16, f"{t_s:g} s", anchor="middle", style="soft")


def timeline(report: RecordingReport) -> str:
    """One lane per robot: when it was broken, what the others believed, when they said so."""
    lane, gap, top = 62.0, 24.0, 22.0
    height = top + len(report.robots) * (lane + gap) + 18
    axis = Axis(0.0, report.duration_s, _LEFT, _WIDTH - 12)
    parts = [_HATCH, *_time_axis(axis, top - 6, height - 24)]
    for stop in report.estops:
        end_s = report.duration_s if stop.end_s is None else stop.end_s
        width = axis(end_s) - axis(stop.start_s)
        parts.append(
            f'<rect x="{axis(stop.start_s)}" y="{top - 6}" width="{width:.1f}" '
            f'height="{height - top - 18}" fill="{_INK}" fill-opacity=".08"/>'
        )
        parts.append(text(axis(stop.start_s) + 3, top - 9, "■ e-stop", style="small"))
    for place, robot in enumerate(report.robots):
        parts += _lane(report, robot, top + place * (lane + gap), lane, axis)
    return figure("Timeline of faults, beliefs, detections and trust", height, parts)


def _lane(
    report: RecordingReport, robot: str, top: float, height: float, axis: Axis
) -> Iterator[str]:
    bottom, scale = top + height, Axis(0.0, 1.0, top + height, top)
    yield text(4, top + height / 2 + 4, robot, style="strong")
    for p in (0, 1):
        yield text(_LEFT - 6, scale(p) + 4, f"{p}", anchor="end", style="small")
    for fault in report.faults:
        if fault.robot == robot:
            end_s = report.duration_s if fault.end_s is None else fault.end_s
            width = max(axis(end_s) - axis(fault.start_s), 1.0)
            yield (
                f'<rect x="{axis(fault.start_s)}" y="{top}" width="{width:.1f}" '
                f'height="{height}" fill="url(#hatch)" stroke="{VERMILLION}"/>'
            )
            yield text(axis(fault.start_s) + 4, top + 13, fault.kind, style="label")
    yield line(_LEFT, bottom, _WIDTH - 12, bottom, _SOFT)
    yield line(
        _LEFT, scale(report.threshold), _WIDTH - 12, scale(report.threshold), _SOFT,
        'stroke-dasharray="2 5"',
    )  # fmt: skip
    rows = next((found.rows for found in report.lanes if found.robot == robot), ())
    if len(rows) > 1:
        most = [(axis(t), scale(p)) for t, _, p in rows]
        mean = [(axis(t), scale(p)) for t, p, _ in rows]
        yield _path(most, f'fill="none" stroke="{ORANGE}" stroke-dasharray="3 2"')
        yield _path(mean, f'fill="none" stroke="{BLUE}" stroke-width="2"')
    for found in report.detections:
        if found.suspect == robot:
            yield _triangle(axis(found.t_s), bottom + 3, GREEN, f"{found.observer} detects {robot}")
    for alarm in report.false_alarms:
        if alarm.suspect == robot:
            said = f"{alarm.observer} blames {robot}, which is healthy"
            yield _triangle(axis(alarm.t_s), bottom + 3, "#fff", said)
    for step in report.trust:
        if step.suspect == robot:
            x, said = axis(step.t_s), f"{step.observer}: {step.status}"
            yield (
                f'<rect x="{x - 1:.1f}" y="{bottom + 14:.1f}" width="2" height="6" '
                f'fill="{_INK}"><title>{escape(said)}</title></rect>'
            )


def _triangle(x: float, y: float, fill: str, said: str) -> str:
    return (
        f'<path d="M{x:g} {y:g} l5 9 h-10 z" fill="{fill}" stroke="{_INK}">'
        f"<title>{escape(said)}</title></path>"
    )


def reliability(bins: Sequence[Bin]) -> str:
    """Share of faulty suspects over p(adversary); bars below tell how many beliefs there were."""
    size, top, count_top, count_height = 250.0, 12.0, 282.0, 60.0
    x, y = Axis(0, 1, _LEFT, _LEFT + size), Axis(0, 1, top + size, top)
    parts = [line(x(0), y(0), x(1), y(1), _SOFT, 'stroke-dasharray="4 4"')]
    for p in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(line(x(0), y(p), x(1), y(p)))
        parts.append(text(x(0) - 6, y(p) + 4, f"{p:g}", anchor="end", style="soft"))
        label_y = count_top + count_height + 16
        parts.append(text(x(p), label_y, f"{p:g}", anchor="middle", style="soft"))
    most = max((found.beliefs for found in bins), default=0) or 1
    for found in bins:
        if found.mean_p is None or found.faulty_share is None:
            continue
        width = x(found.high) - x(found.low)
        share_y = y(found.faulty_share)
        parts.append(
            f'<rect x="{x(found.low) + 1:.1f}" y="{share_y}" width="{width - 2:.1f}" '
            f'height="{y(0) - share_y:.1f}" fill="{BLUE}" fill-opacity=".28"/>'
        )
        parts.append(
            f'<circle cx="{x(found.mean_p)}" cy="{share_y}" r="4.5" fill="{BLUE}"><title>'
            f"{found.beliefs} beliefs: mean p {found.mean_p:.2f}, faulty "
            f"{found.faulty_share:.2f}</title></circle>"
        )
        tall = max(count_height * found.beliefs / most, 1.0)
        parts.append(
            f'<rect x="{x(found.low) + 1:.1f}" y="{count_top + count_height - tall:.1f}" '
            f'width="{width - 2:.1f}" height="{tall:.1f}" fill="{_SOFT}"/>'
        )
    parts.append(text(x(0) + 6, top + 14, "share that was faulty", style="soft"))
    parts.append(text(x(0) + 6, count_top - 4, f"beliefs, at most {most}", style="soft"))
    end = count_top + count_height + 34
    parts.append(text(x(0.5), end, "p(adversary)", anchor="middle", style="soft"))
    return figure("Reliability diagram", end + 8, parts, width=_LEFT + size + 20)


def delays(faults: Sequence[FaultDelays]) -> str:
    """One row per fault, one mark per observer; those that never noticed stand at the right."""
    found = [d.delay_s for fault in faults for d in fault.observers if d.delay_s is not None]
    row, top, left, right = 46.0, 16.0, 190.0, 90.0
    height = top + row * len(faults) + 30
    axis = Axis(0.0, max(found, default=1.0) * 1.05, left, _WIDTH - right)
    parts = list(_time_axis(axis, top - 6, height - 24))
    for place, fault in enumerate(faults):
        y = top + row * (place + 0.5)
        name = f"{fault.robot} {fault.kind} at {fault.start_s:g} s"
        parts.append(text(4, y + 4, name, style="strong"))
        parts.append(line(left, y, _WIDTH - right, y, _SOFT))
        missed: list[str] = []
        named: list[tuple[float, list[str]]] = []
        for d in sorted(fault.observers, key=lambda d: d.delay_s or 0.0):
            if not d.healthy:
                continue
            if d.delay_s is None:
                missed.append(d.observer)
                continue
            x = axis(d.delay_s)
            parts.append(
                f'<circle cx="{x}" cy="{y}" r="5.5" fill="{BLUE}" fill-opacity=".75">'
                f"<title>{escape(d.observer)}: {d.delay_s:.1f} s</title></circle>"
            )
            # marks that are close share a label
            if named and x - named[-1][0] < 24:
                named[-1][1].append(d.observer)
            else:
                named.append((x, [d.observer]))
        for x, names in named:
            parts.append(text(x - 5, y - 10, ", ".join(names), style="small"))
        if missed:
            parts.append(text(_WIDTH - right + 10, y + 4, f"✕ {', '.join(missed)}", style="small"))
    return figure("Delay from each fault to its detection by each observer", height, parts)


def latency(samples: Mapping[str, Sequence[float]]) -> str:
    """Share of ticks that took longer than so many milliseconds, one line per robot, log-log."""
    positive = {robot: sorted(ms for ms in found if ms > 0) for robot, found in samples.items()}
    drawn = {robot: found for robot, found in positive.items() if found}
    if not drawn:
        return ""
    low = floor(log10(min(found[0] for found in drawn.values())))
    high = ceil(log10(max(found[-1] for found in drawn.values()) * 1.01))
    least = -ceil(log10(max(len(found) for found in drawn.values())))
    top, bottom, right = 12.0, 240.0, 70.0
    x, y = Axis(low, high, _LEFT, _WIDTH - right), Axis(least, 0, bottom, top)
    parts = []
    for power in range(low, high + 1):
        parts.append(line(x(power), top, x(power), bottom))
        words = f"{10.0**power:g} ms"
        parts.append(text(x(power), bottom + 16, words, anchor="middle", style="soft"))
    for power in range(least, 1):
        parts.append(line(_LEFT, y(power), _WIDTH - right, y(power)))
        words = f"{100 * 10.0**power:g} %"
        parts.append(text(_LEFT - 6, y(power) + 4, words, anchor="end", style="soft"))
    dashes = ("", "7 3", "2 3", "9 3 2 3")
    colours = (BLUE, VERMILLION, GREEN, ORANGE)
    for place, (robot, found) in enumerate(drawn.items()):
        count = len(found)
        step = max(1, count // 400)
        points = [
            (x(log10(ms)), y(log10((count - k) / count)))
            for k, ms in enumerate(found)
            if k % step == 0 or count - k < 50
        ]
        stroke, dash = colours[place % 4], dashes[(place // 4 + place) % 4]
        parts.append(
            _path(points, f'fill="none" stroke="{stroke}" stroke-width="2" '
            f'stroke-dasharray="{dash}"')
        )  # fmt: skip
        legend_y = top + 14 + 16 * place
        parts.append(
            line(_WIDTH - right + 8, legend_y - 4, _WIDTH - right + 32, legend_y - 4, stroke,
            f'stroke-width="2" stroke-dasharray="{dash}"')
        )  # fmt: skip
        parts.append(text(_WIDTH - right + 36, legend_y, robot, style="small"))
    height = max(bottom + 26, top + 14 + 16 * len(drawn))
    return figure("Share of ticks that took longer, from sensing to the base", height, parts)


def reasons(found: Mapping[str, Mapping[str, int]]) -> str:
    """Bars of how often each robot's gate acted, by reason."""
    rows = [(robot, why, n) for robot, counts in found.items() for why, n in counts.items()]
    if not rows:
        return ""
    row, left = 22.0, 190.0
    axis = Axis(0, max(n for *_, n in rows), left, _WIDTH - 70)
    parts, before = [], ""
    for place, (robot, why, n) in enumerate(rows):
        y = 6 + row * place
        if robot != before:
            parts.append(text(4, y + 14, robot, style="strong"))
        before = robot
        parts.append(text(left - 8, y + 14, why.replace("_", " "), anchor="end"))
        width = max(axis(n) - left, 1.0)
        parts.append(
            f'<rect x="{left}" y="{y + 3}" width="{width:.1f}" height="{row - 7}" fill="{BLUE}"/>'
        )
        parts.append(text(left + width + 6, y + 14, str(n), style="small"))
    return figure("What gates did, by reason", 12 + row * len(rows), parts)

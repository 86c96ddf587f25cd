"""The senses of one robot, as a timeline of faults leaves them."""

from collections.abc import Sequence

import numpy as np

from eir_ros.contract.drive import SwarmSensed
from eir_ros.contract.faults import SENSING
from eir_ros.faults.sensing import Bools, Floats, SensingFaults
from eir_ros.faults.timeline import Span, Timeline


class Senses:
    """`SensingFaults` of a single robot that takes its faults from a timeline.

    Parameters
    ----------
    timeline
        Which fault the robot has when.
    mates
        Teammates that it can track, M.
    tick_s
        Time of a tick [s].
    seed
        Of the run, then the robot's place in the roster.
    """

    def __init__(self, timeline: Timeline, mates: int, tick_s: float, seed: Sequence[int]) -> None:
        self._timeline, self._mates, self._tick_s, self._seed = timeline, mates, tick_s, seed
        #: By sense, the fault that holds and what it does; each fault begins from nothing.
        self._present: dict[str, tuple[Span, SensingFaults]] = {}

    def apply(self, time_s: float, sensed: SwarmSensed) -> SwarmSensed:
        """What is sensed at the tick of `time_s` [s]; the same object where nothing is wrong."""
        pose, velocity = self.odometry(time_s, sensed.pose, sensed.velocity)
        tracks, visible = self.tracks(time_s, sensed.tracks, sensed.visible)
        if pose is sensed.pose and tracks is sensed.tracks:
            return sensed
        changed = {"pose": pose, "velocity": velocity, "tracks": tracks, "visible": visible}
        return type(sensed)(**(vars(sensed) | changed))

    def odometry(self, time_s: float, pose: Floats, velocity: Floats) -> tuple[Floats, Floats]:
        """Pose (3,) and velocity (2,) at a tick; the same objects where nothing is wrong."""
        present = self._at("odometry", time_s)
        if present is None:
            return pose, velocity
        span, faults = present
        return faults.odometry(_code(span), pose, velocity, span.values)

    def tracks(self, time_s: float, tracks: Floats, visible: Bools) -> tuple[Floats, Bools]:
        """Tracks (M, 4) and which there are (M,); the same objects where nothing is wrong."""
        present = self._at("tracks", time_s)
        if present is None:
            return tracks, visible
        span, faults = present
        return faults.tracks(_code(span), tracks, visible, span.values)

    def _at(self, sense: str, time_s: float) -> tuple[Span, SensingFaults] | None:
        span = self._timeline.span_at(time_s)
        if span is None or span.kind not in SENSING:
            self._present.pop(sense, None)
            return None
        if sense not in self._present or self._present[sense][0].start_s != span.start_s:
            base = self._seed if span.seed is None else [span.seed, *self._seed[1:]]
            # another fault has other luck; both senses of one fault have streams of their own
            seed = [*base, round(1e3 * span.start_s)]
            self._present[sense] = span, SensingFaults((), self._mates, self._tick_s, seed)
        return span, self._present[sense][1]


def _code(span: Span) -> np.ndarray:
    return np.array(span.kind, np.int8)

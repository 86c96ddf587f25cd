"""Puts the events of a recording into the state that the operator page and reports are made of."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from eir_ros.contract.errors import EirError
from eir_ros.contract.frames import Pose, compose
from eir_ros.monitor.bag_events import Event, Motion, Status
from eir_ros.monitor.detections import Alarm
from eir_ros.monitor.ladder import read_trust
from eir_ros.monitor.state import State

#: Values of `status` in beliefs, in words; a number that is not here is told as it is.
BELIEF_STATUS: Final = {0: "tracked", 1: "not_visible", 2: "detected"}

_NO_ORIGIN: Final = (0.0, 0.0, 0.0)


#: So often is looked who is absent [s], by the clock that the recorder heard by.
_LOOK_S: Final = 0.2


class Feeder:
    """Feeds a whole recording, from its begin, to a state that judges it as the monitor does.

    Parameters
    ----------
    origins
        Origin x, y, yaw of each robot's odometry [m, m, rad; map]; missing: zero.
    """

    def __init__(self, state: State, origins: Mapping[str, Pose]) -> None:
        self._state, self._origins = state, origins
        self._looked_s = 0.0

    def take(self, event: Event) -> list[Alarm]:
        """Take one event as the monitor takes the message; the alarms that it completes."""
        alarms = feed(self._state, event, self._origins)
        # a recording in which no agent reports does not tell who is absent
        if event.heard_s >= self._looked_s + _LOOK_S and self._state.reported:
            self._looked_s = event.heard_s
            self._state.look_for_absent(event.heard_s)
        return alarms


def feed(state: State, event: Event, origins: Mapping[str, Pose]) -> list[Alarm]:
    """Take one event as the monitor takes the message; the alarms that it completes.

    Parameters
    ----------
    origins
        Origin x, y, yaw of each robot's odometry [m, m, rad; map]; missing: zero.
    """
    value, robot = event.value, event.robot
    state.time_s = max(state.time_s, event.t_s)
    if event.topic == "odom":
        _see(state, robot, value, origins.get(robot, _NO_ORIGIN), event.t_s)
    elif event.topic == "sites":
        state.sites = {int(point["id"]): (float(point["x"]), float(point["y"])) for point in value}
    elif event.topic == "beliefs":
        return state.believe(event.stamp_s, robot, beliefs_of(value, tuple(state.robots)))
    elif event.topic == "decision":
        for status in value:
            state.decide(robot, status.message)
    elif event.topic == "trust":
        for status in value:
            with suppress(EirError, ValueError, KeyError):
                state.trust(robot, *read_trust(robot, status.values, status.message))
    elif event.topic == "diagnostics":
        for status in value:
            _diagnose(state, status, event.heard_s)
    elif event.topic == "swarm/score":
        for status in value:
            state.set_score(status.values)
    elif event.topic == "swarm/faults":
        for name, spans in value.items():
            state.judge.set_faults(name, spans)
    elif event.topic == "swarm/estop":
        state.order_estop(value)
    return []


def beliefs_of(points: Any, team: tuple[str, ...]) -> dict[str, tuple[float, str]]:
    """{suspect: (p_adversary, status word)} of one cloud of beliefs."""
    has_status = "status" in (points.dtype.names or ())
    return {
        team[int(point["id"])]: (
            float(point["p_adversary"]),
            status_word(int(point["status"])) if has_status else BELIEF_STATUS[0],
        )
        for point in points
        if int(point["id"]) < len(team)
    }


def status_word(number: int) -> str:
    """What a status is called."""
    return BELIEF_STATUS.get(number, f"status {number}")


def _see(state: State, robot: str, motion: Motion, origin: Pose, t_s: float) -> None:
    seen = state.robots[robot]
    seen.pose = compose(origin, motion.pose)
    seen.speed = motion.speed
    seen.heard_s = t_s


def _diagnose(state: State, status: Status, heard_s: float) -> None:
    robot, _, part = status.name.partition("/")
    if robot in state.robots and part in ("agent", "gate"):
        state.set_diagnostics(robot, part, status.values, heard_s)
    elif status.name == "recorder":
        state.set_recorder(status.level, status.message, status.values)

"""What RViz and Foxglove draw of a swarm: robots, headings, sites, and rings of belief."""

import math
from collections.abc import Iterator
from typing import Final

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from eir_ros.contract.frames import MAP
from eir_ros.monitor.state import State

_ROBOT_RADIUS: Final = 0.12
_ROBOT_HEIGHT: Final = 0.10
_RING_RADIUS: Final = 0.19
_RING_POINTS: Final = 33

# Blue to orange, told apart with every kind of colour blindness (Okabe and Ito).
_CALM: Final = (0.35, 0.65, 0.84)
_MIDDLE: Final = (0.62, 0.59, 0.55)
_ALARM: Final = (1.0, 0.66, 0.22)
_BODY: Final = (0.83, 0.87, 0.90)

Point2 = tuple[float, float]


def markers(state: State, serve_radius: float, stamp: Time) -> MarkerArray:
    """All markers of the present, in frame `map`; the same ids each time, so they replace."""
    found = MarkerArray()
    for index, name in enumerate(state.robots):
        found.markers += _robot(state, name, index, stamp)
    for site, position in state.sites.items():
        found.markers += _site(site, position, state.served_by.get(site), serve_radius, stamp)
    return found


def _robot(state: State, name: str, index: int, stamp: Time) -> Iterator[Marker]:
    robot = state.robots[name]
    if robot.pose is None:
        return
    x, y, yaw = robot.pose
    body = _marker("robots", index, Marker.CYLINDER, (x, y), _BODY, stamp)
    body.pose.position.z = _ROBOT_HEIGHT / 2
    body.scale.x = body.scale.y = 2 * _ROBOT_RADIUS
    body.scale.z = _ROBOT_HEIGHT
    yield body
    heading = _marker("headings", index, Marker.ARROW, (x, y), _BODY, stamp)
    heading.pose.position.z = _ROBOT_HEIGHT
    heading.pose.orientation.z, heading.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    heading.scale.x, heading.scale.y, heading.scale.z = 2 * _ROBOT_RADIUS, 0.04, 0.04
    yield heading
    label = _marker("names", index, Marker.TEXT_VIEW_FACING, (x, y), _BODY, stamp)
    label.pose.position.z = 0.35
    label.scale.z = 0.14
    fault = state.judge.fault_of(name, state.time_s)
    label.text = f"{name}: {fault.kind}" if fault else name
    yield label
    given = state.suspicion(name)
    if given:
        yield _ring(index, (x, y), sum(given) / len(given), stamp)


def _ring(index: int, centre: Point2, belief: float, stamp: Time) -> Marker:
    """An arc round a robot, from north clockwise: the share of a circle is the mean belief."""
    ring = _marker("beliefs", index, Marker.LINE_STRIP, (0.0, 0.0), belief_colour(belief), stamp)
    ring.scale.x = 0.035
    for i in range(_RING_POINTS):
        angle = math.pi / 2 - 2 * math.pi * max(belief, 0.02) * i / (_RING_POINTS - 1)
        x, y = (
            centre[0] + _RING_RADIUS * math.cos(angle),
            centre[1] + _RING_RADIUS * math.sin(angle),
        )
        ring.points.append(Point(x=x, y=y, z=_ROBOT_HEIGHT))
    return ring


def _site(
    site: int, position: Point2, server: str | None, serve_radius: float, stamp: Time
) -> Iterator[Marker]:
    disc = _marker("sites", site, Marker.CYLINDER, position, _CALM if server else _MIDDLE, stamp)
    disc.color.a = 0.45 if server else 0.2
    disc.scale.x = disc.scale.y = 2 * serve_radius
    disc.scale.z = 0.01
    yield disc
    label = _marker("site_names", site, Marker.TEXT_VIEW_FACING, position, _CALM, stamp)
    label.pose.position.z = 0.2
    label.scale.z = 0.12
    letter = chr(ord("A") + site % 26)
    label.text = f"{letter}: {server}" if server else letter
    yield label


def belief_colour(p: float) -> tuple[float, float, float]:
    """Colour of p(adversary): blue at 0, grey at 1/2, orange at 1."""
    start, end, share = (_CALM, _MIDDLE, 2 * p) if p < 0.5 else (_MIDDLE, _ALARM, 2 * p - 1)
    red, green, blue = (a + share * (b - a) for a, b in zip(start, end, strict=True))
    return red, green, blue


def _marker(
    namespace: str,
    number: int,
    kind: int,
    position: Point2,
    colour: tuple[float, float, float],
    stamp: Time,
) -> Marker:
    marker = Marker(ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.header.frame_id = MAP
    marker.header.stamp = stamp
    marker.pose.position.x, marker.pose.position.y = position
    marker.pose.orientation.w = 1.0
    marker.color = ColorRGBA(r=colour[0], g=colour[1], b=colour[2], a=1.0)
    return marker

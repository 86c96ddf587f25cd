"""What passes a robot's fault node besides commands: its senses on the way in, its words out."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from eir_ros.contract.types import teammates
from eir_ros.faults.senses import Senses
from eir_ros.faults.talk import Talk
from eir_ros.nodes import clouds, messages, qos
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.nodes.managed import ManagedNode

#: No haste: a corrupted robot that lost its senses is stopped by the gate like any other.
_SENSES: Final = qos.sensor(10.0)
#: What an agent may ask for at most.
_OFFERED: Final = qos.sensor(0.05)

#: Time of a message [s after the start of the mission].
Clock = Callable[[Any], float]


class SenseRelay:
    """Passes on odometry, tracks and sites, as faulty sensors would tell them.

    Parameters
    ----------
    node
        Subscribes and publishes; nothing passes while it is not active.
    senses
        What faults leave of them.
    index, num_robots
        The robot's place in the roster, and how many there are.
    mission_s
        Gives the time of a message's stamp.
    heard
        Called with the name of the topic and the message as it was sensed, without faults.
    """

    def __init__(
        self,
        node: ManagedNode,
        senses: Senses,
        index: int,
        num_robots: int,
        mission_s: Clock,
        heard: Callable[[str, Any], None],
    ) -> None:
        self._node = node
        self._senses, self._mission_s, self._heard = senses, mission_s, heard
        self._index = index
        self._mates = teammates(num_robots)[index]
        self._last: dict[str, tuple[Any, Any]] = {}
        self._publishers = {}
        for kind, topic, change in (
            (Odometry, "odom", self._odometry),
            (PointCloud2, "tracks", self._tracks),
            (PointCloud2, "sites", lambda message: message),
        ):
            self._publishers[topic] = node.create_publisher(kind, f"{topic}_faulty", _OFFERED)
            node.create_subscription(
                kind,
                topic,
                self._relay(topic, change),
                _SENSES,
                qos_overriding_options=qos.OVERRIDES,
            )

    def _relay(self, topic: str, change: Callable[[Any], Any]) -> Callable[[Any], None]:
        def passed(message: Any) -> None:
            if not self._node.active:
                return
            stamp = message.header.stamp
            stamped, told = self._last.get(topic, (None, None))
            # told again, because somebody missed it: a tick counts once
            if stamped != stamp:
                try:
                    told = change(message)
                except InvalidMessageError:
                    # for the agent to complain about
                    told = message
                self._last[topic] = stamp, told
            self._publishers[topic].publish(told)
            self._heard(topic, message)

        return passed

    def _odometry(self, message: Odometry) -> Odometry:
        motion = messages.decode_odometry(message)
        now_s = self._mission_s(message.header.stamp)
        pose, velocity = self._senses.odometry(now_s, motion.pose, motion.velocity)
        if pose is motion.pose:
            return message
        header = message.header
        changed = messages.Motion(pose, velocity, motion.yaw_rate)
        return messages.encode_odometry(
            changed, header.stamp, header.frame_id, message.child_frame_id
        )

    def _tracks(self, message: PointCloud2) -> PointCloud2:
        points = clouds.decode(message, clouds.TRACKS)
        ids = points["id"].astype(np.int64)
        if ((ids > len(self._mates)) | (ids == self._index)).any():
            raise InvalidMessageError("are not all of teammates")
        slots = ids - (ids > self._index)
        tracks = np.zeros((len(self._mates), 4), np.float32)
        tracks[slots] = np.stack([points[name] for name in ("x", "y", "vx", "vy")], axis=-1)
        visible = np.zeros(len(self._mates), bool)
        visible[slots] = True
        found, seen = self._senses.tracks(self._mission_s(message.header.stamp), tracks, visible)
        if found is tracks:
            return message
        changed = np.zeros(len(self._mates), clouds.TRACKS)
        changed["id"] = self._mates
        changed["x"], changed["y"], changed["vx"], changed["vy"] = found.T
        return clouds.encode(changed[seen], message.header.stamp, message.header.frame_id)


class TalkRelay:
    """Passes on what the agent says, as a faulty link would; call `catch_up` now and then.

    Parameters
    ----------
    node
        Subscribes and publishes; nothing passes while it is not active.
    talk
        What faults leave of it.
    robot, team
        Whose words they are, and in whose name they may be forged.
    now_s
        The time [s after the start of the mission].
    """

    def __init__(
        self,
        node: ManagedNode,
        talk: Talk,
        robot: str,
        team: tuple[str, ...],
        now_s: Callable[[], float],
    ) -> None:
        self._node, self._talk, self._now_s = node, talk, now_s
        self._next = team[(team.index(robot) + 1) % len(team)]
        self._publishers: dict[str, Any] = {}
        self._kinds = {"beliefs": PointCloud2, "decision": DiagnosticArray}
        for topic, kind in self._kinds.items():
            self._publisher(topic)
            node.create_subscription(kind, f"{topic}_policy", self._relay(topic), qos.EVENT)

    def catch_up(self) -> None:
        """Say what was held up until now."""
        for topic, message in self._talk.due(self._now_s()):
            self._publisher(topic).publish(message)

    def _relay(self, topic: str) -> Callable[[Any], None]:
        def passed(message: Any) -> None:
            if not self._node.active:
                return
            now_s = self._now_s()
            for heard in self._talk.say(topic, message, now_s):
                self._publisher(topic).publish(heard)
            name = self._talk.forged_name(now_s)
            if name is not None:
                self._publisher(topic, name or self._next).publish(message)

        return passed

    def _publisher(self, topic: str, name: str = "") -> Any:
        """Of a topic of this robot, or of another one's of that name."""
        full = f"/{name}/{topic}" if name else topic
        if full not in self._publishers:
            self._publishers[full] = self._node.create_publisher(
                self._kinds[topic], full, qos.EVENT
            )
        return self._publishers[full]

"""The gate: what it remembers, and the order in which its rules act on a command.

The gate may only reduce. A command that is fresh, finite, within the limits and far enough from
fence, teammates and obstacles passes bit for bit; of any other, less is left; nothing makes it
larger. Times are those of a steady clock at arrival [s]: a message's own stamp can be wrong, and
simulated time can stop.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import isfinite

from eir_ros.safety.limits import Allowed, Fence, GateLimits, Pose, Reason, Track
from eir_ros.safety.rules import apart, eased, inside, within

__all__ = ["Allowed", "Fence", "Gate", "GateLimits", "Reason", "Track"]

#: A place or speed from here on is taken for nonsense, as if it were not finite [m, m/s]: sums of
#: such numbers lose the centimetres that count, and squares of larger ones overflow.
ABSURD = 1e9


class Gate:
    """The rules and what they remember; tell it what arrives, ask it what may be sent.

    The e-stop wins and is latched until the operator releases it. A missing, invalid or stale
    command fades to zero along the path it described, within `GateLimits.stop_s`; so does one
    whose distance from the fence or from others is no longer known.
    """

    def __init__(self, limits: GateLimits) -> None:
        self.limits = limits
        self.estop = False
        #: How often each rule was the strongest that took something away from what was sent.
        self.counts: Counter[Reason] = Counter()
        self._asked: Allowed | None = None
        self._silent_from = 0.0
        self._invalid = False
        self._pose: Pose | None = None
        self._pose_at = 0.0
        self._teammates: dict[int, tuple[float, Track]] = {}
        self._obstacles: list[Track] = []
        self._tracks_at: float | None = None
        self._obstacles_at: float | None = None
        self._quarantined: frozenset[int] = frozenset()
        self._sent, self._sent_at = (0.0, 0.0), 0.0
        self._has_sent = False

    @property
    def asked(self) -> tuple[float, float]:
        """The last valid command, within the limits [m/s, rad/s]; zero before the first."""
        return (0.0, 0.0) if self._asked is None else self._asked[:2]

    def odometry(self, x: float, y: float, yaw: float, now: float) -> None:
        """A pose [m, m, rad; map] arrived at `now` [s]; one that is not sound is ignored."""
        if _sound((x, y, yaw)):
            self._pose, self._pose_at = (x, y, yaw), now

    def tracks(self, seen: Mapping[int, Track], now: float) -> None:
        """All teammates that are seen, by id, arrived at `now` [s].

        As good as none where a number is not sound: what is known grows old.
        """
        if not all(map(_sound, seen.values())):
            return
        self._tracks_at = now
        memory = self.limits.memory_s
        kept = {i: (at, t) for i, (at, t) in self._teammates.items() if now - at <= memory}
        self._teammates = kept | {i: (now, track) for i, track in seen.items()}

    def obstacles(self, seen: Collection[Track], now: float) -> None:
        """All points of obstacles that are seen arrived at `now` [s]."""
        if all(map(_sound, seen)):
            self._obstacles, self._obstacles_at = list(seen), now

    def quarantine(self, teammates: Collection[int]) -> None:
        """Keep `GateLimits.quarantine_m` more from these, and from no others."""
        self._quarantined = frozenset(teammates)

    def command(self, v: float, w: float, now: float) -> None:
        """A command [m/s, rad/s; base_link] arrived at `now` [s]."""
        self._invalid = not (isfinite(v) and isfinite(w))
        if not self._invalid:
            self._asked = within(self.limits, v, w)
            self._silent_from = now + self.limits.command_timeout_s
        else:
            # whoever says nonsense is not waited for
            self._silent_from = min(self._silent_from, now)

    def decide(self, now: float) -> Allowed:
        """What may be sent to the motors at `now` [s]; nothing is remembered of the question."""
        if self.estop:
            return Allowed(0.0, 0.0, "estop")
        if self._asked is None:
            return Allowed(0.0, 0.0, "invalid_command" if self._invalid else "no_command")
        allowed = self._asked
        share, reason = self._fading(now)
        if reason:
            allowed = Allowed(allowed.v * share, allowed.w * share, reason)
        allowed = eased(self.limits, allowed, self._sent, self._since_sent(now))
        return self._kept_clear(allowed)

    def send(self, now: float) -> Allowed:
        """`decide`, and take it that this is what the motors are told at `now` [s]."""
        allowed = self.decide(now)
        self._sent, self._sent_at, self._has_sent = allowed[:2], now, True
        self.counts[allowed.reason] += 1
        return allowed

    def due(self, allowed: Allowed, now: float) -> bool:
        """Whether the motors may be told now: a flood of commands does not reach them.

        Not more often than every `GateLimits.period_s`, but what is less than the last at once.
        """
        less = abs(allowed.v) <= abs(self._sent[0]) and abs(allowed.w) <= abs(self._sent[1])
        shrinks = less and allowed[:2] != self._sent
        return not self._has_sent or shrinks or now - self._sent_at >= self.limits.period_s

    def _since_sent(self, now: float) -> float:
        """Time in which the robot may have gained speed [s].

        A gap that is longer than silence says that the robot stands, not that it may jump.
        """
        if not self._has_sent:
            return self.limits.command_timeout_s
        return min(max(0.0, now - self._sent_at), self.limits.command_timeout_s)

    def _fading(self, now: float) -> tuple[float, Reason]:
        """The share of the last valid command that is left, and what makes it fade."""
        since = self._silent_from
        reason: Reason = "invalid_command" if self._invalid else "stale_command"
        for missing, stale, at in self._needed():
            if at is None:
                return 0.0, missing
            until = at + self.limits.command_timeout_s
            if until < since:
                since, reason = until, stale
        if now <= since and not self._invalid:
            return 1.0, ""
        return min(1.0, max(0.0, 1.0 - (now - since) / self.limits.stop_s)), reason

    def _needed(self) -> Iterator[tuple[Reason, Reason, float | None]]:
        """What the rules need to know: its names when missing and stale, and when it came."""
        limits = self.limits
        if limits.needs_pose:
            yield "no_odom", "stale_odom", None if self._pose is None else self._pose_at
        if limits.separation_m > 0:
            yield "no_tracks", "stale_tracks", self._tracks_at
        if limits.obstacle_m > 0:
            yield "no_tracks", "stale_tracks", self._obstacles_at

    def _kept_clear(self, allowed: Allowed) -> Allowed:
        """Slow down before the fence and before others; the yaw rate stays: to turn is free."""
        limits, pose = self.limits, self._pose
        if pose is None:
            return allowed
        v, reason = allowed.v, allowed.reason
        if limits.fence is not None:
            v = inside(limits, limits.fence, pose, v, allowed.w)
            reason = reason if v == allowed.v else reason if _fades(reason) else "fence"
        nearer = apart(limits, pose, v, allowed.w, self._others())
        if nearer != v:
            reason = reason if _fades(reason) or reason == "fence" else "separation"
        return Allowed(nearer, allowed.w, reason)

    def _others(self) -> Iterator[Track]:
        """Everybody and everything to keep away from."""
        limits, at_newest = self.limits, self._tracks_at or 0.0
        if limits.separation_m > 0:
            for number, (at, track) in self._teammates.items():
                more = limits.quarantine_m if number in self._quarantined else 0.0
                # those of the newest tracks are as old as the robot's own pose
                unseen_s = at_newest - at
                if unseen_s <= limits.memory_s:
                    yield track._replace(keep=limits.separation_m + more, unseen_s=unseen_s)
        if limits.obstacle_m > 0:
            yield from (track._replace(keep=limits.obstacle_m) for track in self._obstacles)


def _fades(reason: Reason) -> bool:
    """Whether a command is on its way to zero already, for a stronger reason than a place."""
    return reason not in ("", "limit", "acceleration")


def _sound(numbers: Iterable[float]) -> bool:
    """Whether each is a number that a place or a speed on Earth can be; a NaN is none."""
    return all(-ABSURD < number < ABSURD for number in numbers)

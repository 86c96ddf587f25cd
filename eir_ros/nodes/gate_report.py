"""What a gate tells those who watch: what it took away, how often, and why."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus

from eir_ros.nodes import messages
from eir_ros.nodes.clouds import InvalidMessageError
from eir_ros.safety.gate import Allowed, Gate, Reason

#: Every rule, the strongest first.
REASONS: Final = (
    "estop",
    "invalid_command",
    "stale_command",
    "stale_odom",
    "stale_tracks",
    "fence",
    "separation",
    "acceleration",
    "limit",
)


class GateReport:
    """Counts since the gate was configured, and the event of each change of reason."""

    #: Reasons that mean: an input that should be there is not.
    SILENT: Final = ("stale_command", "invalid_command", "stale_odom", "stale_tracks")

    def __init__(self, robot: str) -> None:
        self._robot = robot
        self._commands = self._stale = 0
        self._reason: Reason = "no_command"
        self._last_reason: Reason = ""
        self._invalid: dict[str, str] = {}
        self._odom_age_s: float | None = None
        self._shared: dict[str, str] = {}

    def command(self) -> None:
        """Count a command of the agent."""
        self._commands += 1

    def odom_age(self, age_s: float) -> None:
        """Take how long ago, by this computer's clock, odometry that came now was true [s]."""
        self._odom_age_s = age_s if self._odom_age_s is None else max(self._odom_age_s, age_s)

    def invalid(self, what: str, error: InvalidMessageError) -> None:
        """Remember, for the next report, an input that was as good as none."""
        self._invalid[what] = str(error)

    def shared(self, nodes: Mapping[str, Sequence[str]]) -> list[str]:
        """Take who sends what only one may, by topic; a line about each topic that is new in it."""
        before, self._shared = self._shared, {t: " and ".join(of) for t, of in nodes.items()}
        return [
            f"{topic} has more than one publisher: {of}; end all but the one that it belongs to"
            for topic, of in self._shared.items()
            if topic not in before
        ]

    def note(self, allowed: Allowed, asked: tuple[float, float]) -> DiagnosticStatus | None:
        """Take what is allowed of what was asked; the event, where the reason is another now."""
        if allowed.reason == self._reason:
            return None
        if allowed.reason in self.SILENT:
            self._stale += 1
        self._reason = allowed.reason
        self._last_reason = allowed.reason or self._last_reason
        values = {
            "reason": allowed.reason or "nominal",
            "asked_v": f"{asked[0]:.4g}",
            "asked_w": f"{asked[1]:.4g}",
            "allowed_v": f"{allowed.v:.4g}",
            "allowed_w": f"{allowed.w:.4g}",
        }
        return self._status(f"{self._robot}/gate_event", values, allowed.reason or "nominal")

    def status(self, gate: Gate) -> DiagnosticStatus:
        """The gate's line in /diagnostics."""
        reason: str = "estop" if gate.estop else self._reason
        values = {
            "state": reason or "nominal",
            "commands": self._commands,
            "reduced": sum(n for why, n in gate.counts.items() if why),
            "stale": self._stale,
            "last_reason": self._last_reason,
            "estop": gate.estop,
            # of the commands that were sent, those from which this rule took most away
            **{f"reduced_{why}": gate.counts[why] for why in REASONS},
            # the oldest since the last report: senses that are all as late look in time
            "odom_age_s": "" if self._odom_age_s is None else f"{self._odom_age_s:.3f}",
            "invalid_inputs": "; ".join(f"{what} {why}" for what, why in self._invalid.items()),
            # what has several publishers, of which one is right
            "shared": "; ".join(f"{topic} by {of}" for topic, of in self._shared.items()),
        }
        self._invalid.clear()
        self._odom_age_s = None
        status = self._status(f"{self._robot}/gate", values, reason or "nominal")
        if self._shared:
            status.level = DiagnosticStatus.ERROR
            status.message += f", {' and '.join(self._shared)} shared"
        return status

    def _status(self, name: str, values: Mapping[str, Any], message: str) -> DiagnosticStatus:
        level = DiagnosticStatus.OK if message == "nominal" else DiagnosticStatus.WARN
        return messages.status(name, values, hardware_id=self._robot, message=message, level=level)

"""What a recording proves: the JSON of `eir report --json`, schema 1.

All times are mission time [s] unless their name says otherwise. A number that nothing was measured
for is null, never zero; what a recording lacks stands in `missing`, in words.
"""

from typing import Literal

from pydantic import ConfigDict
from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.report import MissionReport


class Source(Schema):
    """Which recording this is about."""

    path: str
    #: ISO 8601, UTC, by the recorder's clock; null: there are no messages.
    started: str | None = None
    #: Of recording [s; recorder's clock].
    duration_s: float = 0.0
    messages: int = 0
    #: Messages by topic.
    topics: dict[str, int] = Setting(default_factory=dict)
    #: Whether its recorder ended it.
    complete: bool = True
    #: Whether mission time is simulated.
    simulated: bool = False
    task: str | None = None
    bundle: str | None = None


class ObserverDelay(Schema):
    """How soon one observer found out one fault."""

    observer: str
    #: From the onset of the fault to the detection, without e-stops [s]; null: not while it lasted.
    delay_s: float | None
    #: False: it did not find it out, and had a fault itself meanwhile, so it does not count.
    healthy: bool = True


class FaultDelays(Schema):
    """One injected fault, and who found it out when."""

    robot: str
    kind: str
    start_s: float
    #: Null: not cleared.
    end_s: float | None
    observers: tuple[ObserverDelay, ...]


class Bin(Schema):
    """One bar of a reliability diagram."""

    low: float
    high: float
    beliefs: int
    #: Mean p(adversary) of these beliefs.
    mean_p: float | None
    #: Share of them that was about a faulty robot.
    faulty_share: float | None


class ObserverQuality(Schema):
    """Beliefs that one robot held while it was healthy."""

    observer: str
    beliefs: int
    auroc: float | None
    brier: float | None


class Calibration(Schema):
    """Whether beliefs mean what they say; healthy observers, all decisions and pairs."""

    beliefs: int = 0
    #: Expected calibration error, in [0, 1].
    ece: float | None = None
    bins: tuple[Bin, ...] = ()
    observers: tuple[ObserverQuality, ...] = ()


class FalseAlarmRate(Schema):
    """Alarms of healthy observers about healthy robots."""

    count: int = 0
    #: Per hour of mission, all observers together.
    per_hour: float | None = None
    #: Hours that healthy observers watched healthy robots, summed over pairs.
    pair_hours: float = 0.0
    per_pair_hour: float | None = None


class Spread(Schema):
    """A quantity over the run."""

    count: int = 0
    p50: float | None = None
    p99: float | None = None
    max: float | None = None


class Latency(Schema):
    """How long one robot's commands took, by the senders' clocks [ms]."""

    robot: str
    #: From the last of a tick's odometry and tracks to the agent's command for that tick.
    sense_to_policy: Spread
    #: From the agent's command to what the gate made of it.
    policy_to_base: Spread
    #: Both.
    sense_to_base: Spread


class InputStream(Schema):
    """How steadily one input of a robot came."""

    robot: str
    topic: str
    count: int
    #: Median time between two [s].
    period_s: float | None
    #: Longest time between two [s], and when it began.
    longest_gap_s: float | None
    gap_at_s: float | None


class Motion(Schema):
    """How fast and how near one robot got; limits null where the recording does not tell them."""

    robot: str
    #: Largest that the gate let through, and largest that odometry reports.
    commanded_speed: float | None
    measured_speed: float | None
    max_speed: float | None
    commanded_yaw_rate: float | None
    measured_yaw_rate: float | None
    max_yaw_rate: float | None
    #: Commands beyond a limit.
    beyond_limits: int
    #: Least distance from any part of the robot to the fence; negative: outside [m].
    fence_margin_m: float | None
    fence_margin_at_s: float | None
    #: Least distance of its centre to the nearest other's, by their own odometry [m].
    nearest_m: float | None
    nearest: str | None
    nearest_at_s: float | None


class GateWork(Schema):
    """What one robot's gate did."""

    robot: str
    #: Commands that it had to answer, and those that it answered with less, in this recording.
    commands: int
    changed: int
    #: Commands that it sent by itself: on silence, at an e-stop.
    unasked: int
    #: How often for each reason; as the gate counted, or else by its state when it last told.
    reasons: dict[str, int]
    #: How often it began to act for each reason, as it told at the moment.
    interventions: dict[str, int]
    #: Share of its reports in each state.
    states: dict[str, float]


class TrustStep(Schema):
    """`observer` took another attitude to `suspect`."""

    t_s: float
    observer: str
    suspect: str
    status: str


class Lane(Schema):
    """What the others believed of one robot, at most 600 rows."""

    robot: str
    #: Rows of [t_s, mean p(adversary), largest p(adversary)].
    rows: tuple[tuple[float, float, float], ...]


class RecordingReport(MissionReport):
    """The whole report; the fields of `MissionReport` mean what they mean in a live report."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Setting(default=1, alias="schema")
    source: Source
    #: Sentences about what is missing, and which numbers are null or weaker for it.
    missing: tuple[str, ...] = ()
    #: p(adversary) that counts as an alarm.
    threshold: float
    delays: tuple[FaultDelays, ...] = ()
    calibration: Calibration = Calibration()
    false_alarm_rate: FalseAlarmRate = FalseAlarmRate()
    latencies_ms: tuple[Latency, ...] = ()
    inputs: tuple[InputStream, ...] = ()
    motion: tuple[Motion, ...] = ()
    gate: tuple[GateWork, ...] = ()
    trust: tuple[TrustStep, ...] = ()
    lanes: tuple[Lane, ...] = ()

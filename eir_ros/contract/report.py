"""What a run of the swarm amounts to: the JSON of `eir swarm --json`, schema 1.

The monitor measures the mission (`MissionReport`); the supervisor adds what only it knows, the
processes (`SwarmReport`). Numbers that nothing was measured for are null, never zero.
"""

from typing import Literal

from pydantic import ConfigDict
from pydantic import Field as Setting

from eir_ros.contract.config import Schema


class Score(Schema):
    """How well the task was done, averaged over the decisions of the run."""

    #: Team reward per decision.
    mean_reward: float | None = None
    #: Mean share of the sites that a working robot serves.
    served_fraction: float | None = Setting(default=None, ge=0, le=1)
    #: Share of the decisions at which every site is served.
    all_served_fraction: float | None = Setting(default=None, ge=0, le=1)


class FaultSpan(Schema):
    """One fault that was injected, or an absence: ground truth [s of mission time]."""

    robot: str
    kind: str
    start_s: float
    #: Null: not cleared before the end of the run.
    end_s: float | None = None
    #: NAME=VALUE,... of what was given.
    parameters: str = ""


class Detection(Schema):
    """`observer` found out that `suspect` is faulty, and it was: once for each fault."""

    observer: str
    suspect: str
    #: Mission time [s].
    t_s: float
    #: Since the fault started, without the time that the e-stop held [s].
    delay_s: float


class FalseAlarm(Schema):
    """`observer` blamed `suspect`, which was healthy."""

    observer: str
    suspect: str
    #: Mission time [s].
    t_s: float


class EStopSpan(Schema):
    """One time that the e-stop held the swarm [s of mission time]."""

    start_s: float
    #: Null: not released before the end of the run.
    end_s: float | None = None


class Intruder(Schema):
    """Somebody sent what only one may send: what the report says may be of another swarm."""

    topic: str
    #: Node that was there more than once; the topic where the names differ.
    sender: str
    #: Mission time at which it was noticed [s].
    t_s: float


class TrustStep(Schema):
    """One step on a robot's ladder of trust: an audit line."""

    observer: str
    #: The teammate; the observer itself where it holds.
    subject: str
    #: Mission time [s].
    t_s: float
    #: `r2: discount -> quarantine (belief 0.93 for 0.6 s)`
    line: str


class BeliefQuality(Schema):
    """Beliefs of healthy observers against the ground truth, over all decisions and pairs."""

    #: Area under the ROC curve; null unless there were healthy and faulty suspects.
    auroc: float | None = Setting(default=None, ge=0, le=1)
    #: Mean squared error of p(adversary).
    brier: float | None = Setting(default=None, ge=0, le=1)


class Percentiles(Schema):
    """Median and 99th percentile over all ticks of all agents."""

    p50: float | None = None
    p99: float | None = None


class MissionReport(Schema):
    """What the monitor saw of the mission; it writes this when it is shut down."""

    #: Simulated or real time that the report covers [s].
    duration_s: float = 0.0
    ticks: int = 0
    #: Of all agents together, as far as the monitor heard of them.
    decisions: int = 0
    robots: tuple[str, ...] = ()
    score: Score = Score()
    faults: tuple[FaultSpan, ...] = ()
    detections: tuple[Detection, ...] = ()
    false_alarms: tuple[FalseAlarm, ...] = ()
    estops: tuple[EStopSpan, ...] = ()
    intruders: tuple[Intruder, ...] = ()
    trust_steps: tuple[TrustStep, ...] = ()
    belief: BeliefQuality = BeliefQuality()
    #: From the last input received to the command sent [ms].
    tick_ms: Percentiles = Percentiles()
    #: One step of the policy [us].
    inference_us: Percentiles = Percentiles()
    #: Ticks of all agents that took longer than the control period.
    overruns: int = 0
    #: Inputs of all agents that missed their deadline.
    stale_inputs: int = 0


class ProcessExit(Schema):
    """How one process ended; a process that was restarted has one entry per life."""

    #: As in the plan, for example `r2/agent`.
    name: str
    #: Exit status; -N when signal N ended it.
    exit: int


class SwarmReport(MissionReport):
    """The whole run: `eir swarm --json FILE`."""

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Setting(default=1, alias="schema")
    task: str
    seed: int
    restarts: int = 0
    processes: tuple[ProcessExit, ...] = ()

"""The swarm without ROS: simulation, agents, faults and gates in one loop."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.config import validate
from eir_ros.contract.coverage import Sensed
from eir_ros.contract.faults import Fault, FaultKind
from eir_ros.contract.types import teammates
from eir_ros.faults.injector import Injector
from eir_ros.faults.senses import Senses
from eir_ros.faults.timeline import Timeline
from eir_ros.policy.agent_core import AgentCore, Decided
from eir_ros.policy.bundle import Bundle
from eir_ros.policy.runtime import AdversaryRuntime, PolicyRuntime
from eir_ros.safety.gate import Gate, GateLimits, Track
from eir_ros.safety.trust import Ladder, LadderSettings
from sim.swarm.coverage import CoverageSim


class Robot:
    """One robot's chain of command: agent, fault, gate."""

    def __init__(
        self, bundle: Bundle, index: int, faults: list[Fault], seed: int, limits: GateLimits
    ) -> None:
        mates, tick_s = bundle.manifest.task.num_robots - 1, bundle.manifest.task.tick_s
        self.ladder = Ladder(LadderSettings(), mates, bundle.manifest.belief.threshold)
        self.agent = AgentCore(bundle.manifest, PolicyRuntime(bundle), index, self.ladder)
        self.faults = Timeline(faults)
        self.senses = Senses(self.faults, mates, tick_s, (seed, index))
        self.injector = Injector(bundle.manifest.task, index, self.faults, (seed, index))
        adversary = AdversaryRuntime(bundle, [seed, index, FaultKind.ADVERSARY])
        self.injector.adversary = adversary.step
        self.gate = Gate(limits)
        self._mates = teammates(bundle.manifest.task.num_robots)[index]

    def tick(self, tick: int, time_s: float, sensed: Sensed) -> tuple[list[float], Decided | None]:
        """What reaches the base, and the decision behind it where one was made."""
        truth = sensed
        sensed = self.senses.apply(time_s, truth)
        answer = self.agent.tick(tick, sensed)
        decide = tick % self.agent.task.decision_ticks == 0
        command = self.injector.apply(time_s, answer.command, truth, decide=decide)
        # a gate has the true senses
        sensed = truth
        x, y, yaw = sensed.pose
        self.gate.odometry(x, y, yaw, now=time_s)
        seen = zip(self._mates[sensed.visible], sensed.tracks[sensed.visible], strict=True)
        self.gate.tracks({mate: Track(*map(float, track)) for mate, track in seen}, now=time_s)
        self.gate.quarantine(self._mates[self.ladder.quarantined].tolist())
        self.gate.command(command[0], command[1], now=time_s)
        allowed = self.gate.send(time_s)
        return [allowed.v, allowed.w], answer.decided


class Episode(NamedTuple):
    """What came of it."""

    #: Decisions by (tick, robot).
    decisions: dict[tuple[int, str], Decided]
    #: Reward of each decision.
    rewards: list[float]


def run_plain(
    bundle: Bundle,
    team: list[str],
    poses: NDArray[np.float64],
    gate: Mapping[str, Any],
    faults: tuple[Fault, ...],
    seed: int,
    ticks: int,
    warm: bool = False,
) -> Episode:
    """Play one episode from `poses` (1, N, 3); `gate` are the parameters of every gate.

    A gate lets nobody gain speed by its very first command; `warm` ones have sent one before.
    """
    limits = validate(
        {name: gate[name] for name in GateLimits.model_fields if name in gate}, GateLimits, "gate"
    )
    robots = [
        Robot(bundle, index, [fault for fault in faults if fault.robot == name], seed, limits)
        for index, name in enumerate(team)
    ]
    for robot in robots if warm else ():
        robot.gate.send(-1.0)
    sim = CoverageSim(bundle.manifest.task, batch=1)
    sim.reset(seed, poses)
    episode = Episode({}, [])
    for tick in range(ticks):
        everything = sim.sense()
        commands, working = np.zeros((1, len(team), 2)), np.ones((1, len(team)), bool)
        for index, (name, robot) in enumerate(zip(team, robots, strict=True)):
            commands[0, index], decided = robot.tick(tick, sim.time_s, _of(everything, index))
            working[0, index] = robot.faults.acts(sim.time_s) is FaultKind.NONE
            if decided is not None:
                episode.decisions[tick, name] = decided
        sim.tick(commands, working)
        if sim.decision_due:
            episode.rewards.append(float(sim.reward()[0]))
    sim.close()
    return episode


def _of(everything: Sensed, index: int) -> Sensed:
    """What one robot senses; `everything` is (1, N, ...)."""
    return Sensed(**{name: value[0, index] for name, value in vars(everything).items()})

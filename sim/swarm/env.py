"""The swarm as batched environments: one step is one decision of every robot."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract import coverage, pursuit, rendezvous, transport
from eir_ros.contract.config import Schema, validate
from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.drive import Decision, SwarmSensed, SwarmTask, command, directions_of
from eir_ros.contract.faults import SENSING, FaultKind
from eir_ros.contract.streams import generators, sequence_of
from eir_ros.contract.types import teammates
from eir_ros.faults.command import CommandFaults
from eir_ros.faults.schedule import FaultMixture, Schedule
from eir_ros.faults.sensing import SensingFaults
from sim.batched import BatchedEnv, Step
from sim.scene import Box, Disc, Line, Scene
from sim.swarm.arena import SwarmSim, SwarmWorld
from sim.swarm.brakes import keep_apart
from sim.swarm.coverage import CoverageSim, CoverageWorld
from sim.swarm.pursuit import PursuitSim, PursuitWorld
from sim.swarm.rendezvous import RendezvousSim
from sim.swarm.transport import TransportSim, TransportWorld

if TYPE_CHECKING:
    from sim.swarm.camera import Camera

__all__ = ["CoverageEnv", "PursuitEnv", "RendezvousEnv", "Step", "SwarmEnv", "TransportEnv"]

#: Numbers of the team's state about one robot: x, y, vx, vy, cos and sin of yaw.
_PER_ROBOT = 6


class SwarmEnv(BatchedEnv):
    """B arenas with faults, stepped decision by decision; the tasks are subclasses.

    Every episode has the same length, so all arenas end and restart together; none terminates.

    Parameters
    ----------
    batch
        Number of arenas, B.
    seed
        Anything `numpy.random.SeedSequence` takes as entropy.
    task, world
        Numbers shared with robots, and those of the world; settings of either as a mapping will do.
    faults
        Mixture that types, kinds and onsets are drawn from, or its settings as a mapping; None
        for a healthy team.
    episode_decisions
        Time limit of an episode [decisions].

    Attributes
    ----------
    team_state : (B, S) float32
        For a critic of the whole team: x, y, vx, vy, cos and sin of yaw of every robot, and the
        `facts` of the task. The types are not in it. `state` (B, N, S) is the same with the
        agent's own robot first and its teammates after it.
    info
        Also `final_team_state` (B, S) and `final_kinds` (B, N) int8.
    """

    complete_state = True

    _new_sim: ClassVar[Callable[..., SwarmSim[Any, Any]]]
    _observe: ClassVar[Callable[..., NDArray[np.float32]]]
    _decode: ClassVar[Callable[..., Decision]]
    _new_task: ClassVar[type[SwarmTask]]
    _new_world: ClassVar[type[SwarmWorld]]
    can_hold = True

    def __init__(
        self,
        batch: int = 1,
        seed: Any = 0,
        task: Any = None,
        world: Any = None,
        faults: Any = None,
        episode_decisions: int = 90,
    ) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; expected at least 1")
        if episode_decisions < 1:
            raise ValueError(f"episode_decisions is {episode_decisions}; expected at least 1")
        self.task = _settings(task, self._new_task, "task")
        chosen = _settings(world, self._new_world, "world")
        self.faults = None if faults is None else _settings(faults, FaultMixture, "faults")
        if self.faults and self.faults.max_faulty > self.task.num_robots:
            raise ValueError(
                f"faults.max_faulty is {self.faults.max_faulty}; expected at most the "
                f"{self.task.num_robots} robots"
            )
        self._sim = self._new_sim(self.task, batch, 0, chosen)
        n = self.task.num_robots
        size = n * _PER_ROBOT + sum(fact[0].size for fact in self._sim.facts())
        super().__init__(batch, n, self.task.layout.size, size, len(self.task.actions))
        self.episode_decisions = self.horizon = episode_decisions
        self.team_state = np.zeros((batch, size), np.float32)
        self.info["final_team_state"] = np.zeros_like(self.team_state)
        self.info["final_kinds"] = np.zeros((batch, n), np.int8)
        self._motors = CommandFaults((batch, n), 0)
        self._kinds = np.zeros((batch, n), np.int8)
        self._given: Schedule | None = None
        self._healthy = Schedule.healthy(batch, n)
        self._drawn = Schedule.healthy(batch, n)
        self.schedule = self._healthy
        self._senses = SensingFaults((batch, n), n - 1, self.task.tick_s, 0)
        self._own_first = np.concatenate([np.arange(n)[:, None], teammates(n)], axis=1)
        self.reset(seed)

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the robots."""
        return tuple(f"r{i}" for i in range(self.num_agents))

    @property
    def teammate_columns(self) -> NDArray[np.intp]:
        """Position, velocity and visibility of each."""
        places = self.task.layout.slices()
        names = ("teammate_position", "teammate_velocity", "teammate_visible")
        blocks = [np.arange(places[name].start, places[name].stop) for name in names]
        return np.concatenate([block.reshape(self.num_agents - 1, -1) for block in blocks], axis=1)

    def reset(self, seed: Any = None, schedule: Schedule | None = None) -> NDArray[np.float32]:
        """Start new episodes everywhere; returns `observation`.

        Parameters
        ----------
        seed
            Start all random streams again from here; None goes on with the present ones.
        schedule
            Faults of these episodes and of those that follow them; drawn from the mixture where
            not given.
        """
        expected = (self.batch, self.num_agents)
        if schedule is not None and schedule.kind.shape != expected:
            raise ValueError(
                f"schedule is for {schedule.kind.shape} (batch, robots); expected {expected}"
            )
        self._given = schedule
        return super().reset(seed)

    def _reset(self, seed: Any) -> None:
        if seed is not None:
            world, motors, nature, senses = sequence_of(seed).spawn(4)
            self._nature = generators(nature, self.batch)
            self._motors.reset(motors)
            self._senses.reset(senses)
            self._sim.reset(world)
        else:
            self._sim.reset()
        if self._given is not None:
            self.schedule = self._given
            #: Whether anybody's senses may be faulty in these episodes.
            self._deceived = self.schedule.has_any(SENSING)
        else:
            self._draw()
        if self.schedule.seed is not None:
            motors, senses = sequence_of(self.schedule.seed).spawn(2)
            self._motors.reset(motors)
            self._senses.reset(senses)
        if self._deceived:  # else nobody asks it, and it need not make room
            self._senses.forget()
        self.decisions = 0
        self._look()
        self._show()

    def _draw(self) -> None:
        """Faults of the next episodes, for each arena from its own stream."""
        if self.faults is None:
            self.schedule, self._deceived = self._healthy, False
            return
        if self.faults.schedule:
            self.schedule = self.faults.draw(self._nature[0], self.batch, self.num_agents, 0.0)
            self._deceived = self.schedule.has_any(SENSING)
            return
        # by the words: to look through what is drawn would make arrays at every reset
        self._deceived = any(FaultKind.parse(word) in SENSING for word in self.faults.kinds)
        self.schedule = self._drawn
        length = self.episode_decisions * self.task.decision_s
        for b, rng in enumerate(self._nature):
            self.schedule.put(b, self.faults.draw(rng, 1, self.num_agents, length))

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Codes of the faults that act now, (B, N). Hidden from the team."""
        return self._kinds.copy()

    @property
    def types(self) -> NDArray[np.int8]:
        """The present types θ, (B, N): 0 cooperative, 1 adversary. Hidden from the team."""
        return (self.kinds != FaultKind.NONE).astype(np.int8)

    def sense(self) -> SwarmSensed:
        """What each robot senses now, for looking at; arrays (B, N, ...)."""
        return self._sensed

    def _look(self) -> None:
        """Once per tick: who is faulty now, and what everybody senses."""
        now_s, given = self._sim.time_s, self.schedule
        given.active(now_s, self._kinds)
        self._values = None if given.values is None else given.now(now_s)[1]
        self._sensed = self._sim.sense()
        if self._deceived:
            self._sensed = self._senses.apply(self._kinds, self._sensed, self._values)

    def _advance(self, actions: NDArray[np.integer[Any]]) -> None:
        sim, task, lend = self._sim, self.task, self._sim.scratch
        brakes, radius = sim.world.brakes, sim.world.robot_radius
        decision = self._decode(task, actions, self._sensed, lend)
        working = lend("env.working", self._kinds.shape, np.bool_)
        carried_out = lend("env.carried_out", (*self._kinds.shape, 2))
        for _ in range(task.decision_ticks):
            wanted = command(task, decision, self._sensed.pose, lend)
            self._motors.apply(self._kinds, wanted, carried_out, self._values)
            if brakes.room is not None:
                # gates have the true senses
                keep_apart(brakes, brakes.room, radius, sim.sense(), carried_out)
            sim.tick(carried_out, np.equal(self._kinds, int(FaultKind.NONE), out=working))
            self._look()
        self.decisions += 1
        self.reward[...] = sim.reward()
        self.truncated[...] = self.decisions >= self.episode_decisions
        self._show()
        if self.truncated[0]:
            self.info["final_observation"][...] = self.observation
            self.info["final_state"][...] = self.state
            self.info["final_team_state"][...] = self.team_state
            self.schedule.active(sim.time_s, self.info["final_kinds"])
            if not self.hold:
                self._reset(None)

    def _show(self) -> None:
        """Fill observation and states."""
        sim, split = self._sim, self.num_agents * _PER_ROBOT
        lend = sim.scratch
        self._observe(self.task, self._sensed, self.observation, lend)
        robots = lend("env.robots", (self.batch, self.num_agents, _PER_ROBOT), np.float32)
        robots[..., :2], robots[..., 2:4] = sim.poses[..., :2], sim.velocities
        heading = lend("env.heading", sim.velocities.shape)
        directions_of(sim.poses[..., 2], heading, lend)
        robots[..., 4:] = heading
        self.team_state[:, :split] = robots.reshape(self.batch, split)
        at = split
        for fact in sim.facts():
            block = fact.reshape(self.batch, -1)
            self.team_state[:, at : at + block.shape[1]] = block
            at += block.shape[1]
        everybody = lend(
            "env.everybody", (self.batch, self.num_agents, self.num_agents, _PER_ROBOT), np.float32
        )
        # the mode makes it write straight away; no index is out of range
        np.take(robots, self._own_first, axis=1, out=everybody, mode="clip")
        self.state[..., :split] = everybody.reshape(self.batch, -1, split)
        self.state[..., split:] = self.team_state[:, None, split:]

    def scene(self, index: int = 0) -> Scene:
        """Environment `index` as a picture: broken robots stand out, by the name of their fault."""
        sim, side = self._sim, self._sim.world.arena
        kinds = self.kinds[index]
        robots = [
            Disc((x, y), sim.world.robot_radius, "faulty" if kind else "agent", name, yaw, agent=k)
            for k, ((x, y, yaw), kind, name) in enumerate(
                zip(sim.poses[index].tolist(), kinds.tolist(), self.agents, strict=True)
            )
        ]
        corners = ((-side, -side), (side, -side), (side, side), (-side, side), (-side, -side))
        items: list[Disc | Box | Line] = [Line(corners, "wall"), *sim.shapes(index), *robots]
        broken = [
            f"{name}: {FaultKind(kind).word}"
            for name, kind in zip(self.agents, kinds, strict=True)
            if kind
        ]
        captions = (f"{sim.time_s:.1f} s", f"reward {self.reward[index]:.2f}", *broken)
        margin = 1.05 * side
        return Scene((-margin, -margin, margin, margin), items, captions)

    def camera(self) -> "Camera":
        """A look at `scene` at an angle, through PyBullet's camera."""
        # training draws nothing
        from sim.swarm.camera import Camera

        world = self._sim.world
        return Camera(world.arena, wheels=world.body == "wheels")

    def close(self) -> None:
        """Free the physics client."""
        self._sim.close()


def _settings(given: Any, schema: type[Schema], name: str) -> Any:
    """Settings as they are, read from a mapping, or the default ones."""
    if given is None:
        return schema()
    return given if isinstance(given, schema) else validate(given, schema, name)


class CoverageEnv(SwarmEnv):
    """Robots share out sites that move: `eir_ros.contract.coverage`, `sim.swarm.coverage`."""

    name = "swarm-coverage"
    _new_sim, _new_task, _new_world = CoverageSim, CoverageTask, CoverageWorld
    _observe, _decode = staticmethod(coverage.observe), staticmethod(coverage.decode)
    _sim: CoverageSim

    @property
    def served_by(self) -> NDArray[np.int64]:
        """The working robot that serves each site, or -1, (B, M)."""
        return self._sim.served_by


class RendezvousEnv(SwarmEnv):
    """Robots gather: `eir_ros.contract.rendezvous`, `sim.swarm.rendezvous`."""

    name = "swarm-rendezvous"
    _new_sim, _new_task, _new_world = RendezvousSim, rendezvous.RendezvousTask, SwarmWorld
    _observe, _decode = staticmethod(rendezvous.observe), staticmethod(rendezvous.decode)


class PursuitEnv(SwarmEnv):
    """Robots surround a faster evader: `eir_ros.contract.pursuit`, `sim.swarm.pursuit`."""

    name = "swarm-pursuit"
    _new_sim, _new_task, _new_world = PursuitSim, pursuit.PursuitTask, PursuitWorld
    _observe, _decode = staticmethod(pursuit.observe), staticmethod(pursuit.decode)


class TransportEnv(SwarmEnv):
    """Robots push a heavy box: `eir_ros.contract.transport`, `sim.swarm.transport`."""

    name = "swarm-transport"
    _new_sim, _new_task, _new_world = TransportSim, transport.TransportTask, TransportWorld
    _observe, _decode = staticmethod(transport.observe), staticmethod(transport.decode)

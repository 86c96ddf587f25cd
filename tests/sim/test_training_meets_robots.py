"""The batched environment that trains and the loop that flies must be one and the same world."""

import numpy as np
import pytest
from plain_loop import run_plain

from eir_ros.contract.faults import Fault, FaultKind
from eir_ros.contract.paths import share
from eir_ros.faults.schedule import Schedule
from eir_ros.policy.bundle import load_bundle
from sim.swarm.env import CoverageEnv

TEAM = ["r0", "r1", "r2", "r3"]
#: Limits that a healthy command never meets.
GATE = {
    "max_speed": 5.0,
    "max_yaw_rate": 5.0,
    "max_acceleration": 1e3,
    "max_yaw_acceleration": 1e3,
    "command_timeout_s": 10.0,
}


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.STOP,
        FaultKind.MUTE,
        FaultKind.STUCK,
        FaultKind.SLOW,
        FaultKind.DRIFT,
        FaultKind.REVERSE,
        FaultKind.WEAR,
        FaultKind.FROZEN,
        FaultKind.OFFSET,
    ],
)
def test_training_sees_another_world_than_robots_do(kind: FaultKind) -> None:
    """Same seed, poses, faults and actions: the same observations and rewards, bit for bit."""
    bundle = load_bundle(share() / "policies" / "coverage")
    task = bundle.manifest.task
    poses = np.zeros((1, 4, 3))
    poses[0, :, :2] = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    fault = Fault(robot="r1", kind=kind, start_s=2.0)
    episode = run_plain(bundle, TEAM, poses, GATE, (fault,), seed=3, ticks=80, warm=True)

    env = CoverageEnv(batch=1, task=task)
    env.reset(0, Schedule.single(1, 4, kind, robot=1, start_s=2.0))
    env._sim.reset(3, poses)  # the loop seeds the world alone
    env._look()
    for tick in range(0, 78, task.decision_ticks):
        decided = [episode.decisions[tick, name] for name in TEAM]
        step = env.step(np.array([[d.step.action for d in decided]]))
        after = [episode.decisions[tick + task.decision_ticks, name] for name in TEAM]
        expected = np.stack([d.observation for d in after])
        np.testing.assert_array_equal(step.observation[0], expected)
        assert step.reward[0] == np.float32(episode.rewards[tick // task.decision_ticks])

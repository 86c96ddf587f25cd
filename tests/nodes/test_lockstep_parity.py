"""The same episode without ROS and through its processes: what a robot sees is what was trained."""

from contextlib import ExitStack

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from plain_loop import Episode, run_plain  # noqa: E402
from ros_graph import node_process, probe  # noqa: E402

from eir_ros.contract.faults import parse_fault  # noqa: E402
from eir_ros.nodes import messages, qos  # noqa: E402
from eir_ros.swarm.options import Options  # noqa: E402
from eir_ros.swarm.plan import make_plan  # noqa: E402

#: One rounding to float32 at the edge of the arena.
ROUNDING = 2.0**-22
TICKS = 200


def tick_of(message):
    return round(messages.nanoseconds_of(message.header.stamp) / 1e8)


def run_ros(plan, wanted, tmp_path):
    """Play the plan until all `wanted` (tick, robot) are heard.

    Returns the decisions by (tick, robot) and the last score.
    """
    with ExitStack() as stack:
        watcher = stack.enter_context(probe())
        robots = [name.split("/")[0] for name in plan if name.endswith("/agent")]
        heard = {
            robot: watcher.listen(DiagnosticArray, f"/{robot}/decision", qos.EVENT)
            for robot in robots
        }
        scores = watcher.listen(DiagnosticArray, "/swarm/score", qos.EVENT)
        processes = {
            name: stack.enter_context(
                node_process(p.executable, p.namespace, p.nodes, tmp_path, p.remappings)
            )
            for name, p in plan.items()
        }
        watcher.until(lambda: processes["world"].popen.poll() is not None, timeout_s=300.0)
        assert processes.pop("world").wait() == 0
        watcher.until(
            lambda: wanted <= {(tick_of(m), robot) for robot in robots for _, m in heard[robot]}
        )
        for process in processes.values():
            assert process.interrupt() == 0, process.output()
    decisions = {}
    for robot, found in heard.items():
        for _, message in found:
            decisions[tick_of(message), robot] = messages.values_of(message.status[0])
    return decisions, messages.values_of(scores[-1][1].status[0])


def floats(text):
    return np.frombuffer(bytes.fromhex(text), "<f4")


def compare(plain: Episode, ros: dict):
    # the world ends with the tick that the plain loop does not answer any more
    ros = {key: values for key, values in ros.items() if key[0] < TICKS}
    assert ros.keys() == plain.decisions.keys()
    for key in sorted(ros):
        expected, found = plain.decisions[key], ros[key]
        seen, belief = floats(found["observation"]), floats(found["belief"])
        where = f"tick {key[0]}, robot {key[1]}"
        np.testing.assert_allclose(seen, expected.observation, 0, ROUNDING, err_msg=where)
        np.testing.assert_allclose(belief, expected.step.belief.ravel(), 0, 1e-5, err_msg=where)
        assert int(found["action"]) == expected.step.action, where


@pytest.mark.parametrize(
    "words",
    [
        ("r1:stop@4-12", "r2:mute@6", "r3:noise(sigma=0.3)@3", "r1:offset@14"),
        ("r0:intermittent(period_s=4)@2",),
    ],
    ids=["stop, mute and senses", "adversary, now and then"],
)
def test_ros_changes_what_a_robot_sees_believes_or_does(
    words, bundle, bundle_path, roster, tmp_path
):
    faults = tuple(map(parse_fault, words))
    options = Options(
        bundle=bundle_path,
        faults=faults,
        seed=5,
        duration_s=TICKS * 0.1,
        lockstep=True,
        publish_observation=True,
    )
    plan = {p.name: p for p in make_plan(roster, bundle.manifest, options)}
    del plan["monitor"]
    plan["world"].nodes["world"]["wait_for"] = ["/probe"]
    team = [robot.name for robot in roster.team()]
    poses = np.array([[robot.pose for robot in roster.team()]])
    gate = plan["r0/gate"].nodes["gate"]
    plain = run_plain(bundle, team, poses, gate, faults, seed=5, ticks=TICKS)
    decisions, score = run_ros(plan, plain.decisions.keys(), tmp_path)
    compare(plain, decisions)
    assert float(score["mean_reward"]) == pytest.approx(np.mean(plain.rewards), rel=1e-6)
    assert int(score["ticks"]) == TICKS

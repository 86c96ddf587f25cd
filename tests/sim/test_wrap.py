"""Anybody's `ParallelEnv` as a batch: unequal agents, early ends, and processes that never stay."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import odd_worlds
import pytest

import sim
from eir_ros.contract.errors import EirError
from sim.scene import Disc, Scene
from sim.wrapping import WrappedEnv

ROOT = Path(__file__).resolve().parents[2]
IN_PROCESS = {"workers": 0}


def draw_relay(env: odd_worlds.Relay) -> Scene:
    return Scene((0, 0, 1, 1), [Disc((0, 0), 0.1, label=str(env._step))])


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 60
    while not all(map(gone, pids)):
        assert time.monotonic() < end, f"still there: {[pid for pid in pids if not gone(pid)]}"
        time.sleep(0.02)


def test_unequal_agents_are_padded_with_zeros_and_unavailable_actions():
    env = sim.wrap(odd_worlds.Relay, batch=2, **IN_PROCESS)
    assert env.agents == ("short", "long")
    assert env.observation.tolist() == [[[0, 0, 0, 0], [0, 1, 1, 1]]] * 2
    assert env.available_actions[0].tolist() == [[True, True, False], [True, True, True]]
    with pytest.raises(ValueError, match="action 2 of agent 0"):
        env.step(np.array([[2, 0], [0, 0]]))
    # without a state() of its own, the state is what everybody sees
    assert np.array_equal(env.state[1, 0], env.observation[1].reshape(-1))


def test_an_agent_that_is_out_early_sees_zeros_and_may_only_do_action_0():
    env = sim.wrap(odd_worlds.Relay, reward="sum", **IN_PROCESS)
    assert env.step(np.array([[1, 2]])).reward[0] == 3
    last = env.step(np.array([[1, 2]]))
    assert not last.terminated[0]
    assert not last.truncated[0]
    assert env.observation[0].tolist() == [[0, 0, 0, 0], [2, 1, 1, 1]]
    assert env.available_actions[0].tolist() == [[True, False, False], [True, True, True]]
    with pytest.raises(ValueError, match=r"expected one of \[0\]"):
        env.step(np.array([[1, 0]]))
    assert env.step(np.array([[0, 2]])).reward[0] == 2


@pytest.mark.parametrize("wins", [True, False])
def test_the_last_agents_end_decides_between_terminated_and_truncated(wins):
    env = sim.wrap(lambda: odd_worlds.Relay(wins), **IN_PROCESS)
    for _ in range(3):
        env.step(np.array([[0, 1]]))
    last = env.step(np.array([[0, 1]]))
    assert (last.terminated[0], last.truncated[0]) == (wins, not wins)
    assert last.info["final_observation"][0].tolist() == [[0, 0, 0, 0], [4, 1, 1, 1]]
    assert last.observation[0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 1]]
    assert last.reward[0] == 0.5  # the mean counts those that are out
    assert not env.step(np.array([[1, 1]])).terminated[0]


def test_continuous_actions_reach_their_bounds_whatever_these_are():
    env = sim.wrap(odd_worlds.Steering, reward="sum", **IN_PROCESS)
    assert (env.num_actions, env.action_size) == (0, 2)
    assert env.step(np.array([[[1.0, 0.3], [1.0, 1.0]]])).reward[0] == 8
    assert env.step(np.array([[[-1.0, 0.0], [0.5, 0.5]]])).reward[0] == 2
    with pytest.raises(ValueError, match="is nan; expected a number from -1 to 1"):
        env.step(np.full((1, 2, 2), np.nan))


def test_episodes_depend_on_seed_and_place_alone_not_on_batch_or_workers():
    def roll(batch: int, workers: int, seed: int = 4) -> np.ndarray:
        env = sim.wrap(odd_worlds.Noisy, batch, seed, workers)
        rows = [env.observation.copy()]
        rows += [env.step(np.zeros((batch, 1), int)).observation.copy() for _ in range(9)]
        env.close()
        return np.stack(rows)[:, :2]

    alone = roll(3, workers=0)
    assert np.array_equal(alone, roll(3, workers=2))
    assert np.array_equal(alone, roll(2, workers=0))
    assert not np.array_equal(alone, roll(3, workers=0, seed=5))
    assert not np.array_equal(alone[0], alone[4])  # the next episode is another one


def test_masks_and_state_come_through_shared_memory_from_another_process():
    env = sim.wrap(odd_worlds.Noisy, batch=3, workers=2)
    assert env.available_actions[:, 0].tolist() == [[True, False, True]] * 3
    processes = set(env.state[:, 0, 1].tolist())
    assert processes == {float(np.float32(pid)) for pid in env.worker_pids}
    env.step(np.full((3, 1), 2))
    assert env.available_actions[:, 0].tolist() == [[True, True, False]] * 3
    with pytest.raises(ValueError, match="not available"):
        env.step(np.full((3, 1), 2))
    env.close()


def test_every_array_is_written_in_place():
    env = sim.wrap(odd_worlds.Noisy, batch=2, workers=1)
    before = [env.observation, env.state, env.available_actions, env.reward]
    step = env.step(np.zeros((2, 1), int))
    after = [step.observation, env.state, env.available_actions, step.reward]
    assert all(a is b for a, b in zip(before, after, strict=True))
    env.close()


def test_a_worker_draws_its_environments():
    env = sim.wrap(odd_worlds.Relay, batch=3, workers=2, scene=draw_relay)
    env.step(np.zeros((3, 2), int))
    assert env.scene(2).items[0].label == "1"
    with pytest.raises(ValueError, match="0 to 2"):
        env.scene(3)
    env.close()
    with pytest.raises(EirError, match="scene="):
        sim.wrap(odd_worlds.Relay, **IN_PROCESS).scene()


def test_an_error_in_a_worker_names_it_and_leaves_the_batch_usable():
    env = sim.wrap(odd_worlds.Failing, batch=4, workers=2)
    with pytest.raises(
        EirError, match=r"^worker 1 .environments 2 to 3. failed: RuntimeError: the"
    ):
        env.step(np.array([[0, 0], [0, 0], [0, 2], [0, 0]]))
    observation = env.reset(seed=1)
    assert (observation[:, :, 0] == 0).all()
    assert (env.step(np.zeros((4, 2), int)).observation[:, :, 0] == 1).all()
    env.close()


def test_a_worker_that_is_killed_is_told_from_one_that_raises():
    env = sim.wrap(odd_worlds.Failing, batch=2, workers=2)
    with pytest.raises(EirError, match=r"worker 0 .*killed by SIGKILL"):
        env.step(np.array([[0, 1], [0, 0]]))
    env.close()


def test_an_environment_that_cannot_be_made_in_a_worker_says_why():
    parent = os.getpid()

    def make():
        if os.getpid() != parent:
            raise OSError("no licence here")
        return odd_worlds.Relay()

    with pytest.raises(EirError, match=r"worker 0 .* OSError: no licence here"):
        sim.wrap(make, workers=1)


def test_closing_ends_the_workers_and_so_does_forgetting():
    env = sim.wrap(odd_worlds.Relay, batch=2, workers=2)
    pids = env.worker_pids
    env.close()
    wait_until_gone(pids)
    with pytest.raises(EirError, match="closed"):
        env.reset()
    env.close()
    forgotten = sim.wrap(odd_worlds.Relay, workers=1)
    pids = forgotten.worker_pids
    del forgotten
    wait_until_gone(pids)
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("sim-worker")]


def test_ctrl_c_in_the_middle_of_a_step_closes_instead_of_mixing_up_answers():
    env = sim.wrap(odd_worlds.Interrupting, batch=2, workers=2)
    # a shell that starts the tests in the background has SIGINT ignored in them
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        env.step(np.array([[0, 2], [0, 0]]))
    signal.signal(signal.SIGINT, before)
    wait_until_gone(env.worker_pids)
    with pytest.raises(EirError, match="closed"):
        env.step(np.zeros((2, 2), int))


def test_workers_outlive_the_thread_that_made_them():
    made: list[WrappedEnv] = []
    thread = threading.Thread(
        target=lambda: made.append(sim.wrap(odd_worlds.Relay, batch=1, workers=1))
    )
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert made[0].step(np.zeros((1, 2), int)).observation[0, 0, 0] == 1
    made[0].close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("place", ["waiting", "stepping", "in a thread, stepping"])
def test_workers_die_with_a_parent_that_is_killed(place, tmp_path):
    """SIGKILL: no handler, no `finally`, no atexit runs in the parent."""
    script = tmp_path / "parent.py"
    script.write_text(f"""
import sys, threading, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import numpy as np, odd_worlds, sim
def main():
    env = sim.wrap(odd_worlds.Endless, batch=2, workers=2)
    print(*env.worker_pids, flush=True)
    if {place!r} != "waiting":
        env.step(np.zeros((2, 2), int))
    time.sleep(600)
if __name__ == "__main__":
    if "thread" in {place!r}:
        threading.Thread(target=main).start()
        time.sleep(600)
    main()
""")
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    try:
        time.sleep(0.2)
        assert len(pids) == 2
        assert not any(map(gone, pids))
        parent.send_signal(signal.SIGKILL)
        parent.wait(60)
        wait_until_gone(pids)
    finally:
        parent.kill()
        parent.stdout.close()
    # its own: other tests, and whatever else runs here, have theirs
    assert [name for name in os.listdir("/dev/shm") if name.startswith(f"pym-{parent.pid}-")] == []


def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
import odd_worlds, sim
sim.wrap(odd_worlds.Relay, workers=1)
""")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "__main__" in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "at least 1"),
        ({"workers": -1}, "expected 0"),
        ({"reward": "max"}, "expected one of mean, sum"),
        ({"make": odd_worlds.Unbounded}, "expected all Discrete or all bounded Box"),
        ({"make": 3}, "make is 3; expected a function"),
        ({"make": lambda: None}, "None has no possible_agents; expected a PettingZoo ParallelEnv"),
        ({"make": odd_worlds.Turns}, "lets agents act in turns; expected a PettingZoo ParallelEnv"),
        ({"scene": 3}, "scene is 3; expected a function"),
        ({"batch": 1.5}, "batch is 1.5; expected an integer"),
        ({"workers": "x"}, "workers is 'x'; expected 0"),
    ],
)
def test_what_cannot_be_wrapped_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sim.wrap(**{"make": odd_worlds.Relay, "workers": 0, **options})

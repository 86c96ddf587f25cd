"""The plan: which processes a roster and a bundle make, and what is refused before any starts."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.errors import EirError
from eir_ros.contract.manifest import BeliefInfo, Manifest, Provenance, Team
from eir_ros.contract.paths import share
from eir_ros.swarm.options import Options
from eir_ros.swarm.plan import make_plan
from eir_ros.swarm.process import Process, describe
from eir_ros.swarm.roster import Roster, load_roster
from eir_ros.swarm.schedule import read_faults

OPTIONS = Options(bundle=Path("/bundle"), seed=7)


@pytest.fixture
def roster() -> Roster:
    return load_roster(share() / "config" / "rosters" / "default.yaml")


@pytest.fixture
def manifest() -> Manifest:
    task = CoverageTask()
    return Manifest(
        name="test",
        version=1,
        created="2025-01-01",
        method="mappo",
        task=task,
        observation=task.layout,
        actions=task.actions,
        team=Team(min_robots=4, max_robots=4),
        inputs=(),
        outputs=(),
        belief=BeliefInfo(prior=(0.9, 0.1), threshold=0.5),
        trained_faults=(),
        training=Provenance(
            recipe={},
            seed=0,
            commit="",
            command="",
            machine="",
            iterations=0,
            decisions=0,
            wall_s=0.0,
        ),
        scorecard={},
        files={"policy.onnx": "", "golden.npz": "", "adversary.onnx": ""},
    )


def by_name(plan: tuple[Process, ...]) -> dict[str, Process]:
    return {process.name: process for process in plan}


def faults(*words: str) -> Options:
    return replace(OPTIONS, faults=read_faults(words))


def test_a_process_is_forgotten(roster: Roster, manifest: Manifest) -> None:
    plan = by_name(make_plan(roster, manifest, OPTIONS))
    robots = {f"r{i}/{part}" for i in range(4) for part in ("gate", "agent")}
    assert set(plan) == {"world", "monitor"} | robots
    assert plan["world"].ends_run
    assert all(plan[name].restart for name in robots)
    assert not plan["world"].restart
    # who hangs is noticed early enough to be back within 2 s, the operator's page as well
    assert {plan[name].patience_s for name in ("monitor", *robots)} == {1.5}
    assert "recorder" in by_name(make_plan(roster, manifest, replace(OPTIONS, record=Path("/r"))))


def test_the_example_of_real_robots_fits_no_bundle_that_ships() -> None:
    """Copied by whoever attaches a base: complete, and accepted as it is, with its hosts."""
    example = load_roster(share() / "config" / "rosters" / "turtlebot.yaml")
    folder = share() / "policies" / "coverage"
    manifest = Manifest.model_validate_json((folder / "bundle.json").read_bytes())
    options = Options(bundle=folder, simulation=False)
    plan = by_name(make_plan(example, manifest, options))
    assert set(plan) == {"monitor"} | {
        f"r{i}/{part}" for i in range(4) for part in ("gate", "agent")
    }
    assert plan["r2/gate"].nodes["gate"]["odom_in_map"] == [0.0, 0.0, 0.0]
    assert set(example.hosts) == {"operator", "r0", "r1", "r2", "r3"}
    # the table of docs/field-guide.md: a base that is slower than the policy is refused
    slow = example.types["kobuki"].model_copy(update={"max_speed": 0.22})
    with pytest.raises(EirError, match="train and export a team for it"):
        make_plan(example.model_copy(update={"types": {"kobuki": slow}}), manifest, options)


def test_the_token_is_shown_or_written_to_a_file(roster: Roster, manifest: Manifest) -> None:
    options = replace(OPTIONS, token="s3cret")
    plan = make_plan(roster, manifest, options)
    holders = {p.name: p.secrets for p in plan if p.secrets}
    assert holders == {"monitor": {"EIR_TOKEN": "s3cret"}}
    shown = describe(plan, Path("/run"))
    assert "EIR_TOKEN=*** " in shown
    assert "s3cret" not in shown + repr(plan) + repr(options)
    assert "s3cret" not in "".join(process.parameter_text() for process in plan)


def test_a_command_line_hides_whose_it_is(roster: Roster, manifest: Manifest) -> None:
    agent = by_name(make_plan(roster, manifest, OPTIONS))["r2/agent"]
    command = " ".join(agent.command("p.yaml"))
    assert "eir_ros.nodes.agent" in command
    assert "__ns:=/r2" in command
    assert "__node:=agent" in command


def test_parameters_reach_the_wrong_node(roster: Roster, manifest: Manifest) -> None:
    gate = by_name(make_plan(roster, manifest, faults("r2:mute@5", "r1:stop@1-2")))["r2/gate"]
    sections = yaml.safe_load(gate.parameter_text())
    assert set(sections) == {"/r2/gate", "/r2/fault"}
    assert sections["/r2/gate"]["ros__parameters"]["with_fault"] is True
    fault = sections["/r2/fault"]["ros__parameters"]
    assert fault["schedule"] == ["r2:mute@5"]
    assert fault["seed"] == 7


def test_an_empty_list_is_written_to_a_parameter_file(roster: Roster, manifest: Manifest) -> None:
    """The parameter parser of rcl has no type for it."""
    for process in make_plan(roster, manifest, OPTIONS):
        assert "[]" not in process.parameter_text()


def test_without_fault_nodes_the_gate_hears_nobody(roster: Roster, manifest: Manifest) -> None:
    gate = by_name(make_plan(roster, manifest, replace(OPTIONS, fault_nodes=False)))["r0/gate"]
    assert list(gate.nodes) == ["gate"]
    assert gate.remappings == {"cmd_vel_faulty": "cmd_vel_policy"}
    assert "cmd_vel_faulty:=cmd_vel_policy" in gate.command("p.yaml")


def test_a_real_robot_can_be_broken_unasked(roster: Roster, manifest: Manifest) -> None:
    field = replace(OPTIONS, simulation=False)
    assert list(by_name(make_plan(roster, manifest, field))["r0/gate"].nodes) == ["gate"]
    asked = by_name(make_plan(roster, manifest, replace(field, fault_nodes=True)))["r0/gate"]
    assert list(asked.nodes) == ["gate", "fault"]
    with pytest.raises(EirError, match="with --fault-nodes"):
        make_plan(roster, manifest, replace(field, faults=read_faults(["r2:stop@1"])))


def test_a_gate_that_starts_again_breaks_a_real_robot_again(
    roster: Roster, manifest: Manifest
) -> None:
    """The operator may have cleared the fault since; a world's clock goes on, a mission's not."""
    faulty = faults("r2:stop@1")
    field = replace(faulty, simulation=False, fault_nodes=True)
    gate = by_name(make_plan(roster, manifest, field))["r2/gate"]
    assert "r2:stop@1" in gate.parameter_text()
    assert "r2:stop@1" not in gate.parameter_text(again=True)
    assert "schedule" not in gate.parameter_text(again=True)
    simulated = by_name(make_plan(roster, manifest, faulty))["r2/gate"]
    assert not simulated.once


def with_setting(text: str) -> Roster:
    """The default roster, with one more setting of its type."""
    given = yaml.safe_load((share() / "config" / "rosters" / "default.yaml").read_text())
    (kind,) = given["types"].values()
    kind.update(yaml.safe_load(text))
    return Roster.model_validate(given)


@pytest.mark.parametrize(("separation", "room"), [("null", 0.0), ("0.05", 0.05)])
def test_a_detector_is_forgotten_where_bodies_may_touch(
    manifest: Manifest, separation: str, room: float
) -> None:
    roster = with_setting(f"{{separation: {separation}, obstacles: true}}")
    gate = by_name(make_plan(roster, manifest, OPTIONS))["r0/gate"].nodes["gate"]
    assert gate["obstacle_m"] == pytest.approx(roster.team()[0].radius + room)
    assert ("separation_m" in gate) == bool(room)


def test_a_driver_without_a_deadline_cannot_be_heard(manifest: Manifest) -> None:
    plan = by_name(make_plan(with_setting("{deadlines: false}"), manifest, OPTIONS))
    for name, node, topics in (
        ("r1/agent", "agent", ("odom", "tracks", "sites")),
        ("r1/gate", "gate", ("odom", "tracks", "obstacles")),
        ("r1/gate", "fault", ("odom", "tracks", "sites")),
    ):
        for topic in topics:
            key = f"qos_overrides./r1/{topic}.subscription.deadline"
            assert plan[name].nodes[node][key] == 0
    usual = by_name(make_plan(with_setting("{}"), manifest, OPTIONS))
    assert "qos_overrides" not in usual["r1/gate"].parameter_text()


def test_a_gate_cannot_be_asked_to_listen_longer_for_a_stop(manifest: Manifest) -> None:
    plan = by_name(make_plan(with_setting("{estop_wait_s: 5}"), manifest, OPTIONS))
    assert plan["r3/gate"].nodes["gate"]["estop_wait_s"] == 5.0


def test_half_a_robot_leaves_the_fence(roster: Roster, manifest: Manifest) -> None:
    gate = by_name(make_plan(roster, manifest, OPTIONS))["r0/gate"].nodes["gate"]
    radius = roster.team()[0].radius
    expected = [radius - 2.5, radius - 2.5, 2.5 - radius, 2.5 - radius]
    assert gate["fence"] == pytest.approx(expected)


def test_a_slow_lockstep_counts_as_silence(roster: Roster, manifest: Manifest) -> None:
    plan = by_name(make_plan(roster, manifest, replace(OPTIONS, lockstep=True)))
    assert plan["world"].nodes["world"]["lockstep"] is True
    assert plan["r0/gate"].nodes["gate"]["lockstep"] is True
    assert plan["r0/agent"].nodes["agent"]["input_deadline_s"] >= 5.0


def test_real_robots_wait_for_a_simulated_clock(roster: Roster, manifest: Manifest) -> None:
    plan = by_name(make_plan(roster, manifest, replace(OPTIONS, simulation=False)))
    assert "world" not in plan
    for process in plan.values():
        for parameters in process.nodes.values():
            assert parameters["use_sim_time"] is False
    assert plan["r1/agent"].nodes["agent"]["odom_in_map"] == [0.9, -0.9, 2.4]
    assert plan["monitor"].nodes["monitor"]["odom_in_map"][3:6] == [0.9, -0.9, 2.4]
    assert plan["monitor"].nodes["monitor"]["arena"] == [-2.5, -2.5, 2.5, 2.5]


@pytest.mark.parametrize("duration_s", [math.inf, -math.inf, math.nan, -1.0, 1e7])
def test_a_mission_without_a_length_is_planned(
    roster: Roster, manifest: Manifest, duration_s: float
) -> None:
    with pytest.raises(EirError, match=r"the duration is .* s, expected 0 to 1e\+06"):
        make_plan(roster, manifest, replace(OPTIONS, duration_s=duration_s))


def test_real_robots_are_asked_to_wait_for_each_other(roster: Roster, manifest: Manifest) -> None:
    with pytest.raises(EirError, match="lockstep needs the simulated world"):
        make_plan(roster, manifest, replace(OPTIONS, lockstep=True, simulation=False))


def test_the_world_plays_another_task(roster: Roster, manifest: Manifest) -> None:
    world = by_name(make_plan(roster, manifest, OPTIONS))["world"].nodes["world"]
    assert CoverageTask.model_validate_json(world["task"]) == manifest.task
    assert world["initial_poses"][3:6] == [0.9, -0.9, 2.4]


@pytest.mark.parametrize("limit", ["max_speed", "max_yaw_rate"])
def test_a_robot_too_slow_for_the_policy_is_planned(
    roster: Roster, manifest: Manifest, limit: str
) -> None:
    robots = list(roster.robots)
    robots[2] = robots[2].model_copy(update={limit: 0.45})
    slow = roster.model_copy(update={"robots": tuple(robots)})
    with pytest.raises(EirError, match=f"robot 'r2' has {limit} 0.45 .* 'test' was trained"):
        make_plan(slow, manifest, OPTIONS)
    robots[2] = robots[2].model_copy(update={limit: 5.0})
    make_plan(roster.model_copy(update={"robots": tuple(robots)}), manifest, OPTIONS)


def test_a_gate_that_brakes_between_two_ticks_is_planned(manifest: Manifest) -> None:
    for silence_s in (0.05, 0.1):
        hasty = with_setting(f"{{command_timeout_s: {silence_s}}}")
        with pytest.raises(EirError, match=f"'r0' has command_timeout_s {silence_s} s, .* 0.1 s"):
            make_plan(hasty, manifest, OPTIONS)
    make_plan(with_setting("{command_timeout_s: 0.15}"), manifest, OPTIONS)


@pytest.mark.parametrize("word", ["r9:stop@1", "r22:mute"])
def test_a_fault_of_a_stranger_is_planned(roster: Roster, manifest: Manifest, word: str) -> None:
    with pytest.raises(EirError, match="the team is r0, r1, r2, r3"):
        make_plan(roster, manifest, faults(word))


def test_an_adversary_is_promised_that_the_bundle_has_not(
    roster: Roster, manifest: Manifest
) -> None:
    bare = manifest.model_copy(update={"files": {"policy.onnx": ""}})
    make_plan(roster, bare, faults("r2:stop@1"))
    with pytest.raises(EirError, match="has none"):
        make_plan(roster, bare, faults("r2:adversary@1"))


def test_faults_are_scheduled_for_nobody(roster: Roster, manifest: Manifest) -> None:
    with pytest.raises(EirError, match="left out"):
        make_plan(roster, manifest, replace(faults("r2:stop@1"), fault_nodes=False))


def test_the_shipped_schedule_is_wrong(roster: Roster, manifest: Manifest) -> None:
    demo = share() / "config" / "faults" / "demo.yaml"
    assert make_plan(roster, manifest, faults(str(demo), "r1:stop@1"))


def test_a_dry_run_hides_a_process(roster: Roster, manifest: Manifest) -> None:
    plan = make_plan(roster, manifest, OPTIONS)
    text = describe(plan, Path("/run"))
    for process in plan:
        assert process.name in text
        assert f"/run/{process.file_stem}.yaml" in text

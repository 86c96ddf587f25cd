"""A recording that is entered somewhere shows what was shown there when it was played."""

import json
import socket
from concurrent.futures import Future
from pathlib import Path

import pytest

pytest.importorskip("rosbags")
pytest.importorskip("fastapi")

from tiny_recording import ABOUT, DURATION_S, TEAM, write_tiny_recording
from typer.testing import CliRunner

from eir_ros.cli.main import app
from eir_ros.contract.errors import EirError
from eir_ros.monitor import orders
from eir_ros.monitor.bag import Bag
from eir_ros.monitor.playback import Playback
from eir_ros.monitor.player import Play, Player, Seek, Speed, read_order


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_recording(tmp_path_factory.mktemp("tiny") / "bag")


@pytest.mark.parametrize("t_s", [0.0, 4.95, 7.45, 12.75, 18.55, DURATION_S])
def test_entering_shows_another_picture_than_playing(bag: Path, t_s: float):
    played, entered = Playback(Bag(bag)), Playback(Bag(bag))
    for _ in range(round(t_s / 0.05)):
        played.advance(0.05)
    entered.seek(t_s)
    played.advance(max(0.0, t_s - played.position_s))
    one, two = played.picture(), entered.picture()
    assert json.dumps(one) == json.dumps(two)
    # going back and coming again changes nothing either
    entered.seek(1.0)
    entered.seek(t_s)
    assert json.dumps(entered.picture()) == json.dumps(one)
    assert entered.state.history()[-1][0] == pytest.approx(t_s, abs=0.01)


def test_what_is_still_to_come_is_shown(bag: Path):
    playback = Playback(Bag(bag))
    playback.seek(6.0)
    picture = playback.picture()
    robots = {robot["name"]: robot for robot in picture["robots"]}
    assert picture["alarms"] == []
    assert robots["r2"]["fault"] == "stop"
    assert robots["r0"]["pose"] == [-1.2, 0.0, 0.0]
    assert not picture["estop"]
    playback.seek(18.5)
    picture = playback.picture()
    assert [(a["observer"], a["suspect"], a["delay_s"]) for a in picture["alarms"]] == [
        ("r0", "r2", 2.4),
        ("r1", "r2", 3.4),
        ("r1", "r0", None),
    ]
    assert picture["estop"]


def test_a_robot_that_fell_silent_looks_alive(bag: Path):
    playback = Playback(Bag(bag))
    playback.seek(13.4)
    ages = {robot["name"]: robot["age_s"] for robot in playback.picture()["robots"]}
    assert ages == {"r0": 0.0, "r1": 1.4, "r2": 0.0}


def test_there_is_something_beyond_the_ends(bag: Path):
    playback = Playback(Bag(bag))
    playback.seek(-5.0)
    assert playback.position_s == 0.0
    playback.seek(1e9)
    assert playback.position_s == playback.duration_s == pytest.approx(DURATION_S)
    playback.advance(3.0)
    assert playback.at_end
    assert playback.position_s == pytest.approx(DURATION_S)


def test_the_arena_does_not_hold_the_robots(tmp_path: Path):
    assert Playback(Bag(write_tiny_recording(tmp_path / "bag"))).arena == (-2, -2, 2, 2)
    far = ABOUT.model_copy(update={"odom_in_map": {"r0": (7.3, 0.0, 0.0)}})
    assert Playback(Bag(write_tiny_recording(tmp_path / "far", about=far))).arena == (-2, -2, 8, 2)


@pytest.mark.parametrize("name", sorted(orders.NAMES))
def test_an_order_for_robots_is_taken(name: str):
    with pytest.raises(EirError, match="no orders can be sent to robots"):
        read_order({"do": name, "on": True}, TEAM)


@pytest.mark.parametrize(
    "message",
    [
        {"do": "fly"},
        {"do": "seek"},
        {"do": "seek", "t_s": -1},
        {"do": "seek", "t_s": float("nan")},
        {"do": "speed", "factor": 0},
        {"do": "speed", "factor": 1e9},
        {"do": "play", "on": "perhaps"},
    ],
)
def test_nonsense_moves_the_recording(message: dict[str, object]):
    with pytest.raises(EirError):
        read_order(message, TEAM)
    assert read_order({"do": "seek", "t_s": 3, "id": 7}, TEAM) == Seek(t_s=3.0)


def test_playing_at_the_end_does_nothing(bag: Path):
    player = Player(Playback(Bag(bag)), port=0)

    def order(given: Play | Seek | Speed) -> str:
        future: Future[str] = player._carry_out(given)
        player._obey()
        return future.result(0)

    assert order(Seek(t_s=99.0)) == "At 20.0 s."
    order(Play(on=True))
    assert player.playing
    assert player.playback.position_s == 0.0
    assert order(Play(on=False)) == "Holds."
    order(Speed(factor=4.0))
    assert (player.playing, player.speed) == (False, 4.0)
    player._server.stop()


def test_a_taken_port_is_no_sentence_or_advises_what_a_replay_has_not(bag: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = CliRunner().invoke(app, ["replay", str(bag), "--port", str(port)])
    assert isinstance(result.exception, EirError)
    assert str(result.exception).endswith("uses the port or choose another with --port.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "there is no such recording"),
        (["BAG", "--start", "21"], "--start is 21 s, but the mission ends at 20 s"),
        (["BAG", "--threshold", "1"], "expected a probability"),
    ],
)
def test_a_mistake_ends_in_a_traceback(bag: Path, arguments: list[str], sentence: str):
    given = [str(bag) if argument == "BAG" else argument for argument in arguments]
    result = CliRunner().invoke(app, ["replay", *given])
    assert isinstance(result.exception, EirError)
    assert sentence in str(result.exception)

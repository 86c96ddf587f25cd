"""The page's server against real sockets: who may look, who may give orders, what is refused."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn.config
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from eir_ros.contract.errors import EirError
from eir_ros.monitor.access import Access
from eir_ros.monitor.orders import EStop, Inject, Order, Pause
from eir_ros.monitor.server import Server

TRUST = {"do": "trust", "robot": "r0", "teammate": "r1", "level": "hold", "reason": "smoke"}
HELLO = {"team": ["r0", "r1"], "kinds": ["stop"]}
#: What is awaited comes at once on an idle machine; this is for one that does much else [s].
PATIENCE_S = 30.0


class Operator:
    """Carries out orders by writing them down."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.refuse = ""

    def __call__(self, order: Order) -> "Future[str]":
        """Take an order like a monitor that answers at once."""
        future: Future[str] = Future()
        if self.refuse:
            future.set_exception(EirError(self.refuse))
        else:
            self.orders.append(order)
            future.set_result("Done.")
        return future


@contextmanager
def serving(token: str = "", pretend: str = "") -> Iterator[tuple[Server, Operator]]:
    """A server on a free port of this machine, which may pretend to be bound elsewhere."""
    operator = Operator()
    server = Server("127.0.0.1", 0, token, HELLO, operator)
    if pretend:
        server.access = Access(pretend, token)
    server.start()
    try:
        yield server, operator
    finally:
        server.stop()


@contextmanager
def page(server: Server, **options: Any) -> Iterator[ClientConnection]:
    """An open page that has been greeted."""
    options.setdefault("origin", f"http://127.0.0.1:{server.port}")
    with connect(f"ws://127.0.0.1:{server.port}/live", **options) as connection:
        assert json.loads(connection.recv(timeout=PATIENCE_S))["hello"]["team"] == HELLO["team"]
        yield connection


def ask(connection: ClientConnection, message: Any) -> dict[str, Any]:
    """Send something, skip pictures, return the answer."""
    connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
    while True:
        found = json.loads(connection.recv(timeout=PATIENCE_S))
        if "answer" in found:
            answer: dict[str, Any] = found["answer"]
            return answer


def test_orders_are_checked_carried_out_and_answered():
    with serving() as (server, operator), page(server) as connection:
        answer = ask(connection, {"do": "inject", "robot": "r1", "kind": "stop", "id": 7})
        assert answer == {"ok": True, "sentence": "Done.", "id": 7}
        ask(connection, {"do": "pause", "on": True})
        ask(connection, {"do": "estop", "on": False})
        assert operator.orders == [
            Inject(robot="r1", kind="stop"),
            Pause(on=True),
            EStop(on=False),
        ]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("{not json", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        ("[1, 2]", "a JSON list"),
        ("[" * 4000, "not valid JSON"),
        ({"do": "fly"}, "Unknown order 'fly'"),
        ({}, "Unknown order None"),
        ({"do": "inject", "robot": "r9", "kind": "stop"}, "Unknown robot 'r9'; the team is r0, r1"),
        ({"do": "inject", "robot": "r1", "kind": "sulk"}, "unknown fault kind 'sulk'"),
        ({"do": "inject", "robot": "r1"}, "key 'kind' is missing"),
        ({"do": "inject", "robot": "r1", "kind": "slow(gain=7)"}, "a number from 0 to 1"),
        ({**TRUST, "teammate": "r9"}, "Unknown robot 'r9'"),
        ({**TRUST, "level": "banish"}, "unknown level of trust 'banish'"),
        ({**TRUST, "reason": " "}, "needs a reason"),
        ({"do": "inject", "robot": 1, "kind": "stop"}, "'robot' is 1"),
        ({"do": "estop"}, "key 'on' is missing"),
        ({"do": "estop", "on": "perhaps"}, "'on' is 'perhaps'"),
        ({"do": "estop", "on": True, "of": 1}, "unknown key 'of'"),
    ],
)
def test_a_bad_order_gets_a_sentence_and_the_page_goes_on(message: Any, sentence: str):
    with serving() as (server, operator), page(server) as connection:
        answer = ask(connection, message)
        assert answer["ok"] is False
        assert sentence in answer["sentence"]
        assert operator.orders == []
        assert ask(connection, {"do": "pause", "on": False})["ok"] is True


def silent(order: Order) -> "Future[str]":
    """A monitor whose robot does not answer; only the e-stop needs no robot."""
    future: Future[str] = Future()
    if isinstance(order, EStop):
        future.set_result("Stopped.")
    return future


def test_the_stop_queues_behind_an_order_that_nobody_answers(monkeypatch: pytest.MonkeyPatch):
    # none is given up, however long this takes
    monkeypatch.setattr("eir_ros.monitor.server._ORDER_TIMEOUT_S", 2 * PATIENCE_S)
    server = Server("127.0.0.1", 0, "", HELLO, silent)
    server.start()
    try:
        with page(server) as connection:
            for number in range(40):
                order = {"do": "inject", "robot": "r1", "kind": "stop", "id": number}
                connection.send(json.dumps(order))
            connection.send(json.dumps({"do": "estop", "on": True, "id": "stop"}))
            answers = {}
            while "stop" not in answers:
                answer = json.loads(connection.recv(timeout=PATIENCE_S))["answer"]
                answers[answer["id"]] = answer
            assert answers["stop"]["sentence"] == "Stopped."
            # the stop waited for none of them; too many are refused
            assert {a["sentence"] for n, a in answers.items() if n != "stop"} == {
                "Refused: 16 earlier orders are still unanswered."
            }
            assert len(answers) == 1 + 40 - 16
    finally:
        server.stop()


def test_the_stop_queues_behind_a_wrong_token():
    with serving(token="s3cret") as (server, operator), page(server) as connection:
        ask(connection, {"do": "unlock", "token": "s3cret"})
        for number in range(3):
            connection.send(json.dumps({"do": "unlock", "token": "wrong", "id": number}))
        answer = ask(connection, {"do": "estop", "on": True, "id": "stop"})
        assert (answer["id"], answer["ok"]) == ("stop", True)
        assert operator.orders == [EStop(on=True)]


def test_tokens_are_tried_many_at_a_time():
    with serving(token="s3cret") as (server, _), page(server) as connection:
        start = time.monotonic()
        for number in range(3):
            connection.send(json.dumps({"do": "unlock", "token": "wrong", "id": number}))
        for number in range(3):
            assert json.loads(connection.recv(timeout=PATIENCE_S))["answer"]["id"] == number
        assert time.monotonic() - start > 2.5


def test_a_stop_is_taken_back_when_the_monitor_is_slow(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("eir_ros.monitor.server._ORDER_TIMEOUT_S", 0.1)
    kept: list[Future[str]] = []

    def slow(_: Order) -> "Future[str]":
        kept.append(Future())
        return kept[-1]

    server = Server("127.0.0.1", 0, "", HELLO, slow)
    server.start()
    try:
        with page(server) as connection:
            for message in ({"do": "pause", "on": True}, {"do": "estop", "on": True}):
                assert "No answer within" in ask(connection, message)["sentence"]
        pause, stop = kept
        assert not pause.set_running_or_notify_cancel()
        assert stop.set_running_or_notify_cancel()
    finally:
        server.stop()


def test_an_older_uvicorn_serves_no_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(uvicorn.config.WS_PROTOCOLS, "websockets-sansio")
    with serving() as (server, operator), page(server) as connection:
        assert ask(connection, {"do": "pause", "on": True})["ok"] is True
        assert operator.orders == [Pause(on=True)]


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [
        ("eir_ros.nowhere:Protocol", "import module .*eir_ros.nowhere"),
        (None, "no WebSocket library"),
    ],
)
def test_a_server_that_never_starts_looks_started(
    protocol: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(uvicorn.config.WS_PROTOCOLS, "websockets-sansio", protocol)
    server = Server("127.0.0.1", 0, "", HELLO, Operator())
    with pytest.raises(EirError, match=reason):
        server.start()
    with socket.create_server(("127.0.0.1", server.port)):
        pass


def test_why_an_order_failed_reaches_the_operator():
    with serving() as (server, operator), page(server) as connection:
        operator.refuse = "r1 has no fault node."
        answer = ask(connection, {"do": "inject", "robot": "r1", "kind": "stop"})
        assert (answer["ok"], answer["sentence"]) == (False, "r1 has no fault node.")


def test_a_picture_reaches_every_page():
    with serving() as (server, _), page(server) as one, page(server) as two:
        assert server.watched
        server.show('{"time_s": 3}')
        assert json.loads(one.recv(timeout=PATIENCE_S)) == {"picture": {"time_s": 3}}
        assert json.loads(two.recv(timeout=PATIENCE_S)) == {"picture": {"time_s": 3}}


def test_a_new_page_is_given_the_past():
    with serving() as (server, _):
        server.set_history("[[0.2, 0.1, 0.1]]")
        with connect(f"ws://127.0.0.1:{server.port}/live") as connection:
            assert json.loads(connection.recv(timeout=PATIENCE_S))["history"] == [[0.2, 0.1, 0.1]]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null", "file://"]
)
def test_a_page_of_another_site_cannot_connect(origin: str):
    with serving() as (server, operator):
        with pytest.raises(InvalidStatus) as refusal, page(server, origin=origin):
            pass
        assert refusal.value.response.status_code == 403
        assert operator.orders == []


def test_a_foreign_name_for_this_machine_is_refused():
    with serving() as (server, _):
        request = urllib.request.Request(server.url, headers={"Host": "rebound.example"})
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request, timeout=PATIENCE_S)
        assert refusal.value.code == 403
        assert "rebound.example" in refusal.value.read().decode()
        for name in ("localhost", "127.0.0.1"):
            with urllib.request.urlopen(
                f"http://{name}:{server.port}/", timeout=PATIENCE_S
            ) as found:
                assert found.status == 200


def test_beyond_loopback_orders_need_the_token():
    with serving(token="s3cret", pretend="0.0.0.0") as (server, operator):
        with page(server) as connection:
            refused = ask(connection, {"do": "estop", "on": False})
            assert refused["ok"] is False
            assert "need the monitor's token" in refused["sentence"]
            assert ask(connection, {"do": "unlock", "token": "wrong"})["ok"] is False
            assert ask(connection, {"do": "unlock", "token": "\ud800"})["ok"] is False
            assert ask(connection, {"do": "estop", "on": False})["ok"] is False
            assert operator.orders == []
            assert ask(connection, {"do": "unlock", "token": "s3cret"})["ok"] is True
            assert ask(connection, {"do": "estop", "on": True})["ok"] is True
        with page(server) as another:
            assert ask(another, {"do": "estop", "on": False})["ok"] is False
        assert operator.orders == [EStop(on=True)]


def test_beyond_loopback_without_a_token_everybody_may_only_look():
    with serving(pretend="0.0.0.0") as (server, operator), page(server) as connection:
        server.show("{}")
        assert json.loads(connection.recv(timeout=PATIENCE_S)) == {"picture": {}}
        for message in ({"do": "estop", "on": True}, {"do": "unlock", "token": ""}):
            answer = ask(connection, message)
            assert answer["ok"] is False
            assert "no token was set" in answer["sentence"]
        assert operator.orders == []


@pytest.mark.parametrize(
    ("host", "token", "needed"),
    [
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("127.0.0.1", "x", True),
        ("0.0.0.0", "", True),
        ("192.168.1.5", "x", True),
        ("robot.local", "", True),
    ],
)
def test_only_this_machine_is_trusted_without_a_token(host: str, token: str, needed: bool):
    assert Access(host, token).needs_token is needed


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EirError, match=f"port {port} .*already in use"):
            Server("127.0.0.1", port, "", HELLO, Operator())


def test_the_page_may_load_nothing_from_elsewhere():
    with serving() as (server, _):
        for path in ("/", "/static/page.js", "/static/page.css", "/static/icon.svg"):
            with urllib.request.urlopen(server.url + path, timeout=PATIENCE_S) as found:
                assert found.headers["Content-Security-Policy"].startswith("default-src 'self'")
                text = found.read().decode().replace("http://www.w3.org/2000/svg", "")
                assert "http://" not in text
                assert "https://" not in text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/static/../server.py", "/nowhere"])
def test_nothing_else_is_served(path: str):
    with serving() as (server, _), pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(server.url + path, timeout=PATIENCE_S)
    assert refusal.value.code == 404


def test_stopping_with_a_page_open_ends_the_thread_and_frees_the_port():
    with serving() as (server, _):
        port = server.port
        with page(server) as connection:
            server.stop()
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=PATIENCE_S)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_an_oversized_message_closes_only_its_own_page():
    with serving() as (server, _), page(server) as good:
        with page(server) as bad, pytest.raises(ConnectionClosed):
            ask(bad, "x" * 100_000)
        assert ask(good, {"do": "pause", "on": True})["ok"] is True

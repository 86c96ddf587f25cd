"""Plays a recording through the operator page: the page's server, a clock, and who may move it."""

import json
import queue
import threading
import time
import uuid
from collections.abc import Collection
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.errors import EirError
from eir_ros.monitor import orders
from eir_ros.monitor.playback import Playback
from eir_ros.monitor.server import Server

#: Between two pictures [s].
_PERIOD_S: Final = 0.1
#: Between two renewals of what a page that is opened learns of the past [s].
_NOTE_S: Final = 1.0

LEAST_SPEED, MOST_SPEED = 0.1, 100.0


class Play(Schema):
    """Let the recording run, or hold it; from its end it begins again."""

    on: bool


class Seek(Schema):
    """Go to a mission time [s]."""

    t_s: float = Setting(ge=0, allow_inf_nan=False)


class Speed(Schema):
    """Recorded seconds per second."""

    factor: float = Setting(ge=LEAST_SPEED, le=MOST_SPEED)


Order = Play | Seek | Speed

_ORDERS: Final[dict[str, type[Schema]]] = {"play": Play, "seek": Seek, "speed": Speed}


def read_order(message: dict[str, Any], team: Collection[str]) -> Order:
    """Check what a page asks of a replay; `EirError` for everything that is meant for robots."""
    if str(message.get("do")) in orders.NAMES:
        raise EirError("This is a replay of a recording: no orders can be sent to robots.")
    return orders.validated(message, _ORDERS)  # type: ignore[return-value]


class Player:
    """Serves the page on 127.0.0.1 and moves the recording on while it plays.

    Raises
    ------
    EirError
        The port cannot be used, or the web server does not start.
    """

    def __init__(self, playback: Playback, port: int, speed: float = 1.0) -> None:
        self.playback, self.speed = playback, speed
        self.playing = True
        self._orders: queue.SimpleQueue[tuple[Order, Future[str]]] = queue.SimpleQueue()
        self._server = Server(
            "127.0.0.1", port, "", self._hello(), self._carry_out, read_order, otherwise=""
        )
        self._note_past()

    @property
    def url(self) -> str:
        """Where the page is."""
        return self._server.url

    def run(self, ended: threading.Event) -> None:
        """Play until `ended` is set."""
        self._server.start()
        try:
            last, noted = time.monotonic(), 0.0
            while not ended.wait(_PERIOD_S):
                now = time.monotonic()
                self._obey()
                if self.playing:
                    self.playback.advance((now - last) * self.speed)
                    self.playing = not self.playback.at_end
                last = now
                if now - noted >= _NOTE_S:
                    noted = now
                    self._note_past()
                if self._server.watched:
                    self._server.show(json.dumps(self._picture()))
        finally:
            self._server.stop()

    def _carry_out(self, order: Order) -> "Future[str]":
        """Called by the server's thread; the recording is only touched by the player's."""
        future: Future[str] = Future()
        self._orders.put((order, future))
        return future

    def _obey(self) -> None:
        while not self._orders.empty():
            order, future = self._orders.get()
            if future.set_running_or_notify_cancel():
                future.set_result(self._do(order))

    def _do(self, order: Order) -> str:
        if isinstance(order, Speed):
            self.speed = order.factor
            return f"Plays at {order.factor:g} times the speed."
        if isinstance(order, Seek):
            self._seek(order.t_s)
            return f"At {self.playback.position_s:.1f} s."
        if order.on and self.playback.at_end:
            self._seek(0.0)
        self.playing = order.on
        return "Plays." if order.on else "Holds."

    def _seek(self, t_s: float) -> None:
        self.playback.seek(t_s)
        self._server.rewind(json.dumps(self.playback.state.history()))

    def _note_past(self) -> None:
        self._server.set_history(json.dumps(self.playback.state.history()))

    def _picture(self) -> dict[str, Any]:
        replay = {"playing": self.playing, "speed": self.speed}
        return self.playback.picture() | {"replay": replay}

    def _hello(self) -> dict[str, Any]:
        playback = self.playback
        started_ns = playback.started_ns
        started = started_ns and datetime.fromtimestamp(started_ns / 1e9, UTC)
        return {
            "run": uuid.uuid4().hex,
            "team": playback.team,
            "kinds": [],
            "bundle": playback.about.bundle or "unknown",
            "threshold": playback.threshold,
            "serve_radius": playback.about.serve_radius,
            "arena": playback.arena,
            "replay": {
                "name": playback.bag.path.name,
                "started": f"{started:%Y-%m-%d %H:%M} UTC" if started else "",
                "duration_s": round(playback.duration_s, 1),
            },
        }

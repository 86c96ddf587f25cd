"""The operator page's web server: static files, and a WebSocket for pictures and orders.

It runs in a thread of its own with its own event loop, beside whatever else the process does.
No lock is shared with that: pictures arrive as finished text, orders leave as futures.
"""

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import uvicorn
import uvicorn.config
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from eir_ros.contract.errors import EirError
from eir_ros.monitor import orders
from eir_ros.monitor.access import Access

_log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"

_SANSIO = "websockets-sansio"

#: Longest message of a page that is read [bytes].
_MAX_MESSAGE = 4096
#: An order that takes longer than this is reported as unanswered [s].
_ORDER_TIMEOUT_S = 3.0
#: Pause after a wrong token, so that tokens cannot be tried fast [s].
_WRONG_TOKEN_S = 1.0
#: Orders of one page that may be unanswered at the same time; the e-stop does not count.
_MAX_OPEN = 16
#: Longest start of the web server [s].
_START_S = 20.0

#: Nothing but this server: no request of the page may leave the machine it came from.
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

#: Starts carrying out an order; the future holds a sentence, or an EirError.
Carry = Callable[[Any], "Future[str]"]

#: Checks a page's message against the team and makes an order of it, or raises an EirError.
ReadOrder = Callable[[dict[str, Any], Collection[str]], Any]


class Server:
    """Serves the page on `host:port` between `start` and `stop`.

    Parameters
    ----------
    hello
        What a page needs to know once, JSON-ready; `team` must be in it.
    carry_out
        Called in the server's thread with every order that was allowed.
    read_order
        What an order is: of the robots' operator, or of somebody who watches a recording.
    otherwise
        What can be done without the page, for the refusals.

    Raises
    ------
    EirError
        The address cannot be used, for example because the port is taken.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        hello: dict[str, Any],
        carry_out: Carry,
        read_order: ReadOrder = orders.read_order,
        otherwise: str = ", or run headless",
    ) -> None:
        self.access = Access(host, token)
        self._otherwise = otherwise
        self._socket = self._bind(host, port)
        #: The port that is served; another than was asked for when that was 0.
        self.port: int = self._socket.getsockname()[1]
        self._team: Sequence[str] = hello["team"]
        self._hello = hello
        self._history = "[]"
        self._carry_out = carry_out
        self._read_order = read_order
        self._viewers: set[_Viewer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        config = uvicorn.Config(
            self._app(),
            log_level="error",
            access_log=False,
            lifespan="off",
            # the newer one; "auto" means the older one where there is no other
            ws=_SANSIO if _SANSIO in uvicorn.config.WS_PROTOCOLS else "auto",
            ws_max_size=_MAX_MESSAGE,
            timeout_graceful_shutdown=1,
            proxy_headers=False,
            server_header=False,
        )
        self._server = _WebServer(config)
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)

    def _bind(self, host: str, port: int) -> socket.socket:
        """Listen already here, so that a taken port is found before anything else is started."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        # a port that was closed a moment ago may be taken again; one that is in use may not
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(64)
        except OSError as error:
            listener.close()
            raise EirError(
                f"the operator page cannot be served on {host} port {port} ({error.strerror}); "
                f"stop what uses the port or choose another with --port{self._otherwise}."
            ) from error
        return listener

    def start(self) -> None:
        """Answer requests from now on.

        Raises
        ------
        EirError
            The web server did not come up; nothing of it is left.
        """
        self._thread.start()
        try:
            self._server.ready.result(_START_S)
        except (Exception, SystemExit) as error:
            self.stop()
            reason = error if isinstance(error, EirError) else repr(error)
            raise EirError(
                f"the operator page could not be started ({reason}); "
                f"install the extra [monitor] anew{self._otherwise}."
            ) from error

    def stop(self) -> None:
        """Close every connection and end the thread."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        self._socket.close()

    @property
    def url(self) -> str:
        """Where the page is."""
        host = f"[{self.access.host}]" if ":" in self.access.host else self.access.host
        return f"http://{host}:{self.port}"

    @property
    def watched(self) -> bool:
        """Whether a page is open."""
        return bool(self._viewers)

    def show(self, picture: str) -> None:
        """Send a picture, JSON text, to every page; may be called from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._broadcast, picture)

    def set_history(self, history: str) -> None:
        """What a page that is opened from now on is given of the past, JSON text."""
        self._history = history

    def rewind(self, history: str) -> None:
        """Give every page another past, JSON text, with the next picture: time has jumped."""
        self.set_history(history)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._broadcast_past, history)

    def _serve(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._socket])
            self._loop = None

        try:
            asyncio.run(serve())
        except BaseException as error:  # uvicorn gives up with SystemExit
            if self._server.ready.done():
                raise
            self._server.ready.set_exception(error)

    def _broadcast(self, picture: str) -> None:
        for viewer in self._viewers:
            viewer.show(picture)

    def _broadcast_past(self, history: str) -> None:
        for viewer in self._viewers:
            viewer.history = history

    def _app(self) -> FastAPI:
        # without the generated API pages, whose scripts would come from elsewhere
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.middleware("http")(self._guard)
        app.add_api_route("/", self._index, methods=["GET"])
        app.add_api_websocket_route("/live", self._live)
        app.mount("/static", StaticFiles(directory=STATIC))
        return app

    async def _guard(self, request: Request, call_next: Any) -> Response:
        reason = self.access.refused_request(request.headers.get("host", ""), None)
        if reason:
            return PlainTextResponse(f"Refused: {reason}.\n", status_code=403)
        response: Response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    async def _index(self) -> FileResponse:
        return FileResponse(STATIC / "index.html")

    async def _live(self, websocket: WebSocket) -> None:
        headers = websocket.headers
        reason = self.access.refused_request(headers.get("host", ""), headers.get("origin"))
        if reason:
            _log.warning("a connection was refused: %s", reason)
            await websocket.close()
            return
        await websocket.accept()
        viewer = _Viewer(websocket)
        sender = asyncio.create_task(viewer.send_pictures())
        try:
            hello = self._hello | {"needs_token": self.access.needs_token}
            await viewer.send(f'{{"hello": {json.dumps(hello)}, "history": {self._history}}}')
            self._viewers.add(viewer)
            await self._take_orders(viewer)
        except (WebSocketDisconnect, RuntimeError, asyncio.CancelledError):
            pass  # the page went away while it was being answered, or the server ends
        finally:
            self._viewers.discard(viewer)
            sender.cancel()

    async def _take_orders(self, viewer: "_Viewer") -> None:
        """Answer every message of a page until it goes away.

        Each in a task of its own, so that none, and least of all the e-stop, waits for the answer
        to another. Tasks begin in the order in which they are made, and so do the orders.
        """
        async with asyncio.TaskGroup() as answers:
            while (text := await viewer.receive()) is not None:
                answers.create_task(self._answer(viewer, text))

    async def _answer(self, viewer: "_Viewer", text: str | bytes) -> None:
        number = None
        try:
            message = orders.parse(text)
            number = message.get("id")
            answer = {"ok": True, "sentence": await self._obey(viewer, message)}
        except EirError as error:
            answer = {"ok": False, "sentence": str(error)}
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the page went away
            await viewer.send(json.dumps({"answer": answer | {"id": number}}))

    async def _obey(self, viewer: "_Viewer", message: dict[str, Any]) -> str:
        if message.get("do") == "estop":
            return await self._order(viewer, message)
        with viewer.one_more():
            if message.get("do") == "unlock":
                return await self._unlock(viewer, str(message.get("token", "")))
            return await self._order(viewer, message)

    async def _order(self, viewer: "_Viewer", message: dict[str, Any]) -> str:
        if self.access.needs_token and not viewer.unlocked:
            raise self.access.refusal()
        order = self._read_order(message, self._team)
        waiting = asyncio.wrap_future(self._carry_out(order))
        if order == orders.EStop(on=True):
            # other orders are taken back when nobody took them in time; a stop is better late
            waiting = asyncio.shield(waiting)
        try:
            return await asyncio.wait_for(waiting, _ORDER_TIMEOUT_S)
        except TimeoutError:
            raise EirError(
                f"No answer within {_ORDER_TIMEOUT_S:g} s; the order may not have arrived."
            ) from None

    async def _unlock(self, viewer: "_Viewer", token: str) -> str:
        async with viewer.unlocking:
            try:
                self.access.check_token(token)
            except EirError:
                await asyncio.sleep(_WRONG_TOKEN_S)
                raise
        viewer.unlocked = True
        return "Controls are unlocked."


class _WebServer(uvicorn.Server):
    """Says when it answers, or why it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready: Future[None] = Future()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.config.ws_protocol_class is None:
            raise EirError("no WebSocket library: 'websockets' cannot be imported")
        if self.started:
            self.ready.set_result(None)
        else:
            raise EirError("uvicorn ended while it was starting")


class _Viewer:
    """One open page. A page that is slow to read gets the newest picture, not all of them."""

    def __init__(self, websocket: WebSocket) -> None:
        self.unlocked = False
        #: Held while a token is tried: one at a time.
        self.unlocking = asyncio.Lock()
        #: Another past, which it is given with the next picture; None: the one that it has.
        self.history: str | None = None
        self._open = 0
        self._websocket = websocket
        self._newest: str | None = None
        self._fresh = asyncio.Event()
        self._sending = asyncio.Lock()

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Count an order while it is open; `EirError` when there are too many."""
        if self._open >= _MAX_OPEN:
            raise EirError(f"Refused: {_MAX_OPEN} earlier orders are still unanswered.")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    def show(self, picture: str) -> None:
        self._newest = picture
        self._fresh.set()

    async def send(self, text: str) -> None:
        async with self._sending:
            await self._websocket.send_text(text)

    async def send_pictures(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the page went away
            while True:
                await self._fresh.wait()
                self._fresh.clear()
                past, self.history = self.history, None
                with_past = "" if past is None else f'"history": {past}, '
                await self.send(f'{{{with_past}"picture": {self._newest}}}')

    async def receive(self) -> str | bytes | None:
        """The next message; None when the page has gone."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | bytes = message.get("text") or message.get("bytes") or ""
        return text

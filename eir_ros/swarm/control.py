"""Orders to a run from another terminal of the same user: a Unix socket in the run's folder.

One JSON line there, one JSON line back. Who may write into the folder (mode 0700) may give orders.
"""

import contextlib
import json
import os
import selectors
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.errors import EirError

_SOCKET: Final = "control.sock"
#: Longest wait for an order that is on its way, and for its answer [s].
_PATIENCE_S: Final = 5.0
_MAX_BYTES: Final = 4096


class Order(Schema):
    """What may be asked of a run."""

    do: Literal["add", "remove", "list"]
    robot: str = ""


class ControlServer:
    """Takes orders inside the supervisor's loop.

    Parameters
    ----------
    run_dir
        Folder of the run.
    selector
        Watches for callers; the data of each key is called.
    obey
        Carries out one order and returns the answer; `EirError` is a refusal.
    """

    def __init__(
        self, run_dir: Path, selector: selectors.BaseSelector, obey: Callable[[Order], str]
    ) -> None:
        self._path = run_dir / _SOCKET
        self._selector = selector
        self._obey = obey
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(run_dir) as folder:
            self._socket.bind(f"{folder}/{_SOCKET}")
        self._socket.listen()
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Take no more orders."""
        self._selector.unregister(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        caller, _ = self._socket.accept()
        with caller, contextlib.suppress(OSError):
            # our own command has written its line before it is accepted: nobody keeps us waiting
            caller.settimeout(0.2)
            caller.sendall(json.dumps(self._answer(caller.recv(_MAX_BYTES))).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, "text": self._obey(validate(json.loads(line), Order, "order"))}
        except ValueError as error:
            return {"ok": False, "text": f"not an order: {error}"}
        except EirError as error:
            return {"ok": False, "text": str(error)}


def give(run_dir: Path, order: Order) -> str:
    """Give one order to the run in `run_dir`, and return its answer.

    Raises
    ------
    EirError
        Nothing runs there, or the order is refused.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_PATIENCE_S)
        try:
            with _short(run_dir) as folder:
                caller.connect(f"{folder}/{_SOCKET}")
            caller.sendall(order.model_dump_json().encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n") and (more := caller.recv(65536)):
                answer += more
            found = json.loads(answer)
        except (OSError, ValueError) as error:
            raise EirError(
                f"no swarm runs in {run_dir} ({error}); give its --run-dir, which `eir swarm` "
                "prints as the place of its logs."
            ) from error
    if not found["ok"]:
        raise EirError(found["text"])
    return str(found["text"])


def newest_run(runs: Path) -> Path:
    """Folder of the run that was started last and still runs, of those in `runs`.

    Raises
    ------
    EirError
        None of them runs.
    """
    found = [path.parent for path in runs.glob(f"*/{_SOCKET}")]
    for folder in sorted(found, key=lambda path: path.name, reverse=True):
        with contextlib.suppress(EirError):
            give(folder, Order(do="list"))
            return folder
    raise EirError(f"no swarm runs in {runs}; start one with `eir swarm`, or give its --run-dir.")


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Another path of `folder`: the address of a socket may have 107 bytes only."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)

"""What an operator may order from the page, read from the page's JSON and checked."""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from eir_ros.contract.config import Schema, validate
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import parse_by_hand
from eir_ros.contract.trust import parse_order


class Inject(Schema):
    """Break a robot, or mend it with the kind `none`."""

    robot: str
    #: KIND[(NAME=VALUE,...)][ for SECONDS]
    kind: str


class Pause(Schema):
    """Hold the simulated world, or let it go on."""

    on: bool


class EStop(Schema):
    """Stop every robot, or release them."""

    on: bool


class Trust(Schema):
    """Tell a robot how far to trust a teammate, or, with `auto`, to go by its rules again."""

    robot: str
    teammate: str
    level: str
    reason: str

    @property
    def text(self) -> str:
        """As the robot's agent takes it."""
        return f"{self.teammate}={self.level}: {self.reason}"


Order = Inject | Pause | EStop | Trust

_ORDERS: Final[dict[str, type[Schema]]] = {
    "inject": Inject,
    "pause": Pause,
    "estop": EStop,
    "trust": Trust,
}

#: What robots, and nobody else, can be ordered to do.
NAMES: Final = frozenset(_ORDERS)


def parse(text: str | bytes) -> dict[str, Any]:
    """Read one message of a page; `EirError` when it is not a JSON object."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EirError("The message is not valid JSON; reload the page.") from error
    if not isinstance(message, dict):
        raise EirError(
            f"The message is a JSON {type(message).__name__}, expected an object; reload the page."
        )
    return message


def read_order(message: dict[str, Any], team: Collection[str]) -> Order:
    """Check an order: `{"do": "inject", "robot": "r2", "kind": "stop"}` and the like.

    Raises
    ------
    EirError
        The order, the robot or the kind of fault is unknown, or a value is missing or malformed.
    """
    order = validated(message, _ORDERS)
    for name in [getattr(order, key) for key in ("robot", "teammate") if hasattr(order, key)]:
        if name not in team:
            raise EirError(f"Unknown robot '{name}'; the team is {', '.join(team)}.")
    if isinstance(order, Inject):
        parse_by_hand(order.kind)
    if isinstance(order, Trust):
        parse_order(order.text)
    return order  # type: ignore[return-value]


def validated(message: dict[str, Any], known: Mapping[str, type[Schema]]) -> Schema:
    """The order that `do` names, with the message's other values; `EirError` if it is none."""
    values = {key: value for key, value in message.items() if key not in ("do", "id")}
    schema = known.get(str(message.get("do")))
    if schema is None:
        raise EirError(f"Unknown order {message.get('do')!r}; expected one of {', '.join(known)}.")
    return validate(values, schema, where=f"order '{message['do']}'")

"""Orders to the nodes of robots on other hosts: taken where they are given, and obeyed there.

Whoever gives one, the operator page or `eir trust`, sets a parameter of a robot's node. On the
operator's host `Desk` has the service of that name in the node's place; on the robot's `Hand` calls
the node itself. What crosses between them is an order and its answer, see `eir_ros.link.mail`.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future as Answered
from functools import partial
from typing import Any, Final

from rcl_interfaces.msg import ParameterType, SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from eir_ros.contract.errors import EirError
from eir_ros.link.envelope import Entry
from eir_ros.link.mail import MAX_SENTENCE, Answer, Order
from eir_ros.link.streams import ORDERS
from eir_ros.nodes.remote import Remote

#: How long an answer is waited for [s].
_PATIENCE_S: Final = 3.0


class Desk:
    """On the operator's host: gives orders on, and answers with what becomes of them.

    Parameters
    ----------
    node
        Has the services.
    robots
        By the host that carries them.
    send
        Sends an entry to a host.
    """

    def __init__(
        self,
        node: Node,
        robots: Mapping[str, tuple[str, ...]],
        send: Callable[[str, Entry], None],
    ) -> None:
        self._send = send
        # an answer to an earlier process is to none of these
        self._numbers = itertools.count(time.time_ns())
        #: What is not answered yet, by host and number, and since when [s; steady clock].
        self._open: dict[tuple[str, int], tuple[Future, float]] = {}
        # who waits for an answer holds up nothing else
        group = ReentrantCallbackGroup()
        for host, its_robots in robots.items():
            for robot, part in itertools.product(its_robots, ORDERS):
                name = f"{robot}/{part}"
                take = partial(self._take, host, name)
                service = f"/{name}/set_parameters"
                node.create_service(SetParameters, service, take, callback_group=group)

    async def _take(
        self, host: str, name: str, request: SetParameters.Request, found: SetParameters.Response
    ) -> SetParameters.Response:
        for parameter in request.parameters:
            refusal = await self._give(host, name, parameter)
            found.results.append(SetParametersResult(successful=not refusal, reason=refusal))
        return found

    async def _give(self, host: str, name: str, parameter: Any) -> str:
        """Why the order was not obeyed; empty when it was."""
        known = ORDERS[name.rpartition("/")[2]]
        if (parameter.name, parameter.value.type) != (known, ParameterType.PARAMETER_STRING):
            return f"only the text '{known}' is set from another host; set it on {host} itself."
        order = Order(number=next(self._numbers), node=name, text=parameter.value.string_value)
        waiting = self._open[host, order.number] = (Future(), time.monotonic())
        self._send(host, order.entry())
        return str(await waiting[0])

    def hear(self, host: str, data: bytes) -> None:
        """Take an answer of `host`; `ValueError` when it is none."""
        answer = Answer.read(data)
        waiting = self._open.pop((host, answer.number), None)
        if waiting is not None:
            waiting[0].set_result(answer.refusal)

    def look(self) -> None:
        """Wait no longer for who does not answer."""
        for key, (future, since_s) in list(self._open.items()):
            if time.monotonic() - since_s > _PATIENCE_S:
                del self._open[key]
                future.set_result(f"{key[0]} does not answer; it may have heard.")


class Hand:
    """On a robot's host: carries out what the operator orders.

    Parameters
    ----------
    node
        Has the clients.
    robots
        Those of this host; no other is ordered about.
    send
        Sends an entry to the operator.
    """

    def __init__(self, node: Node, robots: tuple[str, ...], send: Callable[[Entry], None]) -> None:
        self._remote = Remote(node, robots)
        self._send = send
        self._parameters = {
            f"{robot}/{part}": name for robot in robots for part, name in ORDERS.items()
        }

    def obey(self, data: bytes) -> None:
        """Take an order of the operator; `ValueError` when it is none that may cross."""
        order = Order.read(data)
        parameter = self._parameters.get(order.node)
        if parameter is None:
            raise ValueError(f"{order.node} takes no orders")
        future: Answered[str] = Answered()
        future.add_done_callback(partial(self._answer, order.number))
        try:
            self._remote.set(order.node, parameter, order.text, "", future)
        except EirError as error:
            future.set_exception(error)

    def _answer(self, number: int, future: "Answered[str]") -> None:
        refused = future.exception()
        sentence = str(refused)[:MAX_SENTENCE] if refused else ""
        self._send(Answer(number=number, refusal=sentence).entry())

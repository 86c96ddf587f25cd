"""What an operator's order asks of other nodes, and what becomes of it."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from eir_ros.contract.errors import EirError


class Remote:
    """Calls the services of the world, of fault nodes and of agents.

    Parameters
    ----------
    node
        Has the clients.
    team
        The robots.
    """

    def __init__(self, node: Node, team: Iterable[str]) -> None:
        self._pause_client = node.create_client(SetBool, "/world/pause")
        self._clients = {
            name: node.create_client(SetParameters, f"/{name}/set_parameters")
            for robot in team
            for name in (f"{robot}/fault", f"{robot}/agent")
        }

    def pause(self, on: bool, future: "Future[str]") -> None:
        """Hold the simulated world, or let it go on; `EirError` where there is none."""
        if not self._pause_client.service_is_ready():
            raise EirError("There is no simulated world to pause; robots are held by the e-stop.")
        said = "The simulated world is paused." if on else "The simulated world goes on."
        request = SetBool.Request(data=on)
        _settle(
            self._pause_client.call_async(request), future, said, lambda r: (r.success, r.message)
        )

    def set(self, node: str, name: str, value: str, said: str, future: "Future[str]") -> None:
        """Set a parameter of a robot's `fault` or `agent`; `EirError` where there is none.

        Parameters
        ----------
        said
            The answer to the order, once the node has accepted it.
        """
        client = self._clients[node]
        if not client.service_is_ready():
            robot, _, part = node.partition("/")
            raise EirError(
                f"{robot} has no fault node, so it cannot be broken from here; start it with one."
                if part == "fault"
                else f"The agent of {robot} is not there."
            )
        parameter = Parameter(name, Parameter.Type.STRING, value).to_parameter_msg()
        _settle(
            client.call_async(SetParameters.Request(parameters=[parameter])),
            future,
            said,
            lambda r: (r.results[0].successful, r.results[0].reason),
        )


def _settle(
    call: Any, future: "Future[str]", said: str, verdict: Callable[[Any], tuple[bool, str]]
) -> None:
    """Answer an order once the service that was called has answered."""

    def done(finished: Any) -> None:
        accepted, reason = verdict(finished.result())
        if accepted:
            future.set_result(said)
        else:
            future.set_exception(EirError(f"Refused: {reason or 'no reason was given'}"))

    call.add_done_callback(done)

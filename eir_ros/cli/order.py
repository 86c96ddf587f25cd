"""Orders to a running swarm, given by a process that has ROS so that this one need not."""

import re
import subprocess
import sys

from eir_ros.cli.ros_domain import domain
from eir_ros.contract.errors import EirError
from eir_ros.contract.names import ROBOT_NAME

#: Longest that an order may take [s].
_PATIENCE_S = 30.0


def give(robot: str, node: str, parameter: str, value: str, absent: str) -> None:
    """Set a parameter of a node of a robot.

    Parameters
    ----------
    absent
        What to do when there is no such node, for the sentence about it.

    Raises
    ------
    EirError
        No robot can have that name, or the node is not there, does not answer, or refuses.
    """
    if not re.fullmatch(ROBOT_NAME, robot):
        raise EirError(f"'{robot}' is no name of a robot; expected one of the roster, such as r2.")
    ask("order", f"/{robot}/{node}", parameter, value, absent=absent)


def ask(program: str, *arguments: str, absent: str) -> str:
    """What `eir_ros.nodes.PROGRAM` says; otherwise as `give`."""
    domain()
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"eir_ros.nodes.{program}", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EirError(
            f"the ROS graph gave no answer within {_PATIENCE_S:g} s; see whether ROS 2 works here "
            "with `eir doctor`."
        ) from error
    if done.returncode == 0:
        return done.stdout.strip()
    if done.returncode != 2:
        said = done.stderr.strip().splitlines() or ["no reason was given"]
        raise EirError(
            f"the order could not be given ({said[-1]}); see whether ROS 2 works here with "
            "`eir doctor`."
        )
    reason = done.stdout.strip()
    raise EirError(f"{reason}; {absent}" if reason.startswith("there is no ") else reason)

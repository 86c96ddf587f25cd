"""`eir estop`: stop every robot of a running swarm, or release them."""

from typing import Annotated

import typer


def estop(
    release: Annotated[
        bool, typer.Option("--release", help="Let them drive again, whoever stopped them.")
    ] = False,
) -> None:
    """Stop every robot of the swarm that is running in this ROS_DOMAIN_ID.

    They stand until the e-stop is released here, on the operator page or by anybody else. It is a
    message: a robot that the network does not reach does not hear it.
    """
    from eir_ros.cli.order import ask

    gates = ask(
        "estop_order",
        "release" if release else "stop",
        absent="a swarm must run; the order was given all the same, and nobody is known to have "
        "heard it.",
    )
    robots = ", ".join(gate.split("/")[1] for gate in gates.split())
    typer.echo(f"released: {robots}" if release else f"stopped: {robots}")

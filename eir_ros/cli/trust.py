"""`eir trust OBSERVER TEAMMATE LEVEL`: tell a robot how far to trust another one."""

from typing import Annotated

import typer


def trust(
    robot: Annotated[str, typer.Argument(help="Who shall trust, or not, for example r0.")],
    teammate: Annotated[str, typer.Argument(help="Whom, for example r2.")],
    level: Annotated[
        str,
        typer.Argument(help="cooperate, discount, quarantine, hold, or auto: by the rules again."),
    ],
    reason: Annotated[str, typer.Option(help="Why; it goes on record.")],
) -> None:
    """Override the ladder of trust of one robot, in the swarm of this ROS_DOMAIN_ID.

    The order holds until it is taken back by `auto` or the robot's agent ends. A majority is never
    quarantined, whoever asks.
    """
    from eir_ros.cli.order import give
    from eir_ros.contract.trust import parse_order

    text = f"{teammate}={level}: {reason}"
    # a typing mistake needs no swarm to be found
    parse_order(text)
    absent = "a swarm must run, with an agent of that robot."
    give(robot, "agent", "trust_order", text, absent=absent)
    typer.echo(f"{robot} on {teammate}: {level}")

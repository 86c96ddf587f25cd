"""`eir fault ROBOT KIND`: break a robot of a running swarm on purpose, or mend it."""

from typing import Annotated

import typer


def fault(
    robot: Annotated[str, typer.Argument(help="Name of the robot, for example r2.")],
    kind: Annotated[str, typer.Argument(help="Kind of fault, or `clear`; `list` shows all kinds.")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="How strong it is, for example gain=0.2."),
    ] = None,
    for_s: Annotated[
        float | None,
        typer.Option("--for", min=0.01, help="Seconds after which it is over. Default: never."),
    ] = None,
) -> None:
    """Break a robot of a swarm that is running in this ROS_DOMAIN_ID, or mend it.

    The robot keeps its gate: limits, fence, distance, e-stop. `eir fault all list` shows the
    kinds with their parameters.
    """
    from eir_ros.cli.order import give
    from eir_ros.contract.errors import EirError
    from eir_ros.contract.faults import parse_by_hand

    if kind == "list":
        for line in kinds():
            typer.echo(line)
        return
    text = "none" if kind in ("clear", "none") else kind
    if text == "none" and (parameters or for_s is not None):
        raise EirError("to mend a robot takes neither settings nor --for: `eir fault ROBOT clear`.")
    if parameters:
        text += f"({','.join(parameters)})"
    if for_s is not None:
        text += f" for {for_s:.10g}"
    # a typing mistake needs no swarm to be found
    parse_by_hand(text)
    give(
        robot,
        "fault",
        "kind",
        text,
        absent="a swarm must run, with a robot of that name that has a fault node (`eir swarm` in "
        "simulation, or with --fault-nodes).",
    )
    # whether it had one is not known here
    done = "has no fault now" if text == "none" else f"is broken: {text}"
    done += " s" if for_s is not None else ""
    typer.echo(f"{robot} {done}")


def kinds() -> list[str]:
    """A line for each kind of fault: its parameters and what they are unless given."""
    from eir_ros.contract.fault_parameters import PARAMETERS
    from eir_ros.contract.faults import FaultKind

    lines = []
    for word in (kind.word for kind in FaultKind if kind):
        known = PARAMETERS.get(word, ())
        lines.append(word)
        lines += [f"    {p.name}={p.default}  {p.meaning}" for p in known]
    return lines

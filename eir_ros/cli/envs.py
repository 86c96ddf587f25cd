"""`eir envs`: the worlds that policies can be trained in."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer


@dataclass(frozen=True)
class Listed:
    """What a user may know of a world before making it."""

    name: str
    summary: str
    agents: int
    #: Shapes without the batch
    observation: list[int]
    state: list[int]
    #: Number of discrete actions, or -numbers of a continuous one
    actions: str
    #: Option -> default
    options: dict[str, Any]
    #: Why it cannot be made here; the shapes are empty then
    missing: str = ""


def envs(
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the environments: names, shapes without the batch, options with their defaults.

    Shapes are those of the default options. Patterns (lbf-*, smac-*) are shown by examples.
    """
    from rich.console import Console

    import sim

    with Console(stderr=True).status("compiling worlds that are new here", spinner="line"):
        found = [_look_at(name) for name in sim.names()]
    if as_json:
        typer.echo(json.dumps([asdict(listed) for listed in found], indent=2))
    else:
        _print(found)


def _look_at(name: str) -> Listed:
    from eir_ros.cli.extras import install_command, extra_of
    from eir_ros.contract.errors import EirError

    import sim

    summary = sim.summary_of(name)
    try:
        options = {
            option: default if isinstance(default, bool | int | float | str | None) else str(default)
            for option, default in sim.options_of(name).items()
        }
        env = sim.make(name)
    except ModuleNotFoundError as error:
        package = error.name or ""
        missing = f"needs '{package}': {install_command(extra_of(package))}"
        return Listed(name, summary, 0, [], [], "", {}, missing)
    except EirError as error:
        return Listed(name, summary, 0, [], [], "", {}, str(error))
    seen, actions = env.reset(), env.available_actions.shape[-1]
    listed = Listed(
        name,
        summary,
        env.num_agents,
        list(seen.shape[1:]),
        list(env.state.shape[1:]),
        f"{actions} discrete" if actions else f"{env.action_size} continuous",
        options,
    )
    env.close()
    return listed


def _print(found: list[Listed]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("name", "observation", "state", "actions", "about"):
        table.add_column(column)
    for listed in found:
        shapes = (_shape(listed.observation), _shape(listed.state), listed.actions)
        table.add_row(f"[bold]{listed.name}[/bold]", *shapes, escape(_about(listed)))
    Console().print(table)


def _about(listed: Listed) -> str:
    if listed.missing:
        return f"{listed.summary}; {listed.missing}"
    return f"{listed.summary} ({', '.join(f'{k}={v}' for k, v in listed.options.items())})"


def _shape(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes)) or "-"

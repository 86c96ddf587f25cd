"""`eir envs`: the worlds that policies can be trained in."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

#: What JSON can say as it is.
_SIMPLE = (bool, int, float, str)


@dataclass(frozen=True)
class Listed:
    """What a user may know of a world before making it."""

    name: str
    summary: str
    agents: int
    #: Shapes without the batch
    observation: list[int]
    state: list[int]
    #: How many, and of which sort
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
    import sim
    from eir_ros.cli.extras import EXTRAS, install_command
    from eir_ros.contract.errors import EirError

    summary = sim.summary_of(name)
    try:
        options = {
            option: default if default is None or isinstance(default, _SIMPLE) else str(default)
            for option, default in sim.options_of(name).items()
        }
        env = sim.make(name)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        missing = f"needs '{error.name}': {install_command(EXTRAS[error.name])}"
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
    for column in ("name", "observation", "state", "actions", "options", "about"):
        table.add_column(column, no_wrap=column not in ("options", "about"))
    for listed in found:
        shapes = (_shape(listed.observation), _shape(listed.state), listed.actions)
        options = listed.missing or " ".join(f"{k}={v}" for k, v in listed.options.items())
        table.add_row(listed.name, *shapes, escape(options), escape(listed.summary))
    # one line each where nobody's screen is in the way
    Console(width=None if Console().is_terminal else 400).print(table)


def _shape(sizes: list[int]) -> str:
    return " x ".join(map(str, sizes)) or "-"

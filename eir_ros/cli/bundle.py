"""`eir bundle`: look at, check and sign team bundles."""

import typer

app = typer.Typer(help="Inspect, verify and sign team bundles.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass

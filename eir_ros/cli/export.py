"""`eir export`: turn a training checkpoint into a signed bundle."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint written by `eir train`.")],
    out: Annotated[Path, typer.Option(help="Directory of the bundle to write.")],
) -> None:
    """Turn a training checkpoint into a signed bundle for robots."""

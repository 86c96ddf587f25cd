"""`eir recover`: make a recording whole whose recorder was killed."""

from pathlib import Path
from typing import Annotated

import typer


def recover(
    folder: Annotated[Path, typer.Argument(help="Folder that the recorder left.", metavar="DIR")],
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for the complete recording. Default: DIR-whole beside DIR."),
    ] = None,
) -> None:
    """Make a recording whole whose recorder was killed.

    A recorder that was ended in any other way has done it itself. Where ROS 2 is installed,
    `ros2 bag reindex` does the same.
    """
    from eir_ros.monitor import recording

    folder = folder.absolute()
    target = out or folder.with_name(f"{folder.name}-whole")
    # what is lost is said beside what was found
    count = recording.recover(folder, target, lambda sentence: typer.echo(sentence, err=True))
    typer.echo(f"{target}: {count} messages.")

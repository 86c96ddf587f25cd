"""`eir recover`: make a recording whole whose recorder was killed."""

from pathlib import Path
from typing import Annotated

import typer


def recover(
    folder: Annotated[Path, typer.Argument(help="Folder that the recorder left.", metavar="DIR")],
    out: Annotated[Path, typer.Option(help="Folder for the complete recording; must not exist.")],
) -> None:
    """Make a recording whole whose recorder was killed.

    A recorder that was ended in any other way has done it itself. Where ROS 2 is installed,
    `ros2 bag reindex` does the same.
    """
    from eir_ros.monitor import recording

    count = recording.recover(folder, out)
    typer.echo(f"{out}: {count} messages.")

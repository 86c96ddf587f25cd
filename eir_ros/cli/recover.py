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
    """Make a recording whole whose recorder was killed; one that is whole is left alone.

    A recorder that was ended in any other way has done it itself. Where ROS 2 is installed,
    `ros2 bag reindex` does the same.
    """
    from eir_ros.contract.errors import EirError
    from eir_ros.monitor import recording
    from eir_ros.monitor.bag import Bag

    folder = folder.absolute()
    if folder.is_dir() and not any(folder.glob("*.mcap*")) and not any(folder.glob("*.db3*")):
        raise EirError(f"{folder}: no recording, expected a folder with .mcap files.")
    bag = Bag(folder)
    found = sum(1 for _ in bag.messages())
    if bag.complete and not bag.notes:
        typer.echo(f"{folder} is whole ({found} messages): there is nothing to recover.")
        return
    target = out or folder.with_name(f"{folder.name}-whole")
    # what is lost is said beside what was found
    count = recording.recover(folder, target, lambda sentence: typer.echo(sentence, err=True))
    typer.echo(f"{target}: {count} messages.")

"""`eir replay`: a recording on the operator page."""

from pathlib import Path
from typing import Annotated

import typer


def replay(
    bag: Annotated[Path, typer.Argument(help="Folder or .mcap file of the recording.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0: any.")] = 8080,
    speed: Annotated[
        float, typer.Option(min=0.1, max=100, help="Recorded seconds per second.")
    ] = 1.0,
    start: Annotated[float, typer.Option(min=0, help="Begin at this mission time, seconds.")] = 0.0,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="p(adversary) that counts as an alarm, in (0, 1). Default: as the recording says."
        ),
    ] = None,
) -> None:
    """Play a recording through the operator page, until Ctrl-C.

    Needs no ROS, and sends nothing to any robot. The page has play, pause, speed and a slider.
    """
    import signal
    import threading

    from eir_ros.contract.errors import EirError
    from eir_ros.monitor.bag import Bag
    from eir_ros.monitor.playback import Playback
    from eir_ros.monitor.player import Player

    if threshold is not None and not 0 < threshold < 1:
        raise EirError(f"--threshold is {threshold:g}, expected a probability between 0 and 1.")
    recording = Bag(bag)
    playback = Playback(recording, threshold)
    for sentence in recording.notes:
        typer.echo(f"note: {sentence}", err=True)
    if start > playback.duration_s:
        raise EirError(
            f"--start is {start:g} s, but the mission ends at {playback.duration_s:g} s."
        )
    playback.seek(start)
    player = Player(playback, port, speed)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    typer.echo(f"replay of {playback.duration_s:.1f} s: {player.url}; Ctrl-C ends it")
    player.run(ended)

"""Keeping an episode: as GIF, as MP4, or as one PNG of its moments."""

import contextlib
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from eir_ros.contract.errors import EirError
from sim.drawing import (
    FROM_ABOVE,
    Frame,
    Look,
    beside_height,
    draw,
    draw_sheet,
    sorted_roles,
)

SUFFIXES = (".gif", ".mp4", ".png")
#: Moments on a PNG.
_MOMENTS = 6
#: Colours of a GIF: few are needed, and each costs bytes.
_COLOURS = 64


def check_output(path: Path) -> None:
    """Refuse, with an `EirError`, what `save` could not write, before an episode is played."""
    if path.suffix not in SUFFIXES:
        raise EirError(
            f"'{path.name}' ends in '{path.suffix}'; expected one of {', '.join(SUFFIXES)}."
        )
    if not path.parent.is_dir():
        raise EirError(f"there is no folder {path.parent}; make it, or choose another.")
    if path.suffix == ".mp4":
        _ffmpeg()


def save(frames: list[Frame], path: Path, fps: float = 5.0, look: Look = FROM_ABOVE) -> str:
    """Write an episode; the file appears when it is complete.

    Returns how much of it is in the file: `6 moments of 101`, or `101 frames`.

    Parameters
    ----------
    path
        `.gif` and `.mp4` move; `.png` shows six moments, evenly spaced from first to last.
    fps
        Frames per second.
    look
        From where the world is seen.

    Raises
    ------
    EirError
        The suffix is unknown, the folder is missing, or there is no ffmpeg for MP4.
    """
    check_output(path)
    count = min(_MOMENTS, len(frames))
    with _complete(path) as scratch:
        if path.suffix == ".png":
            moments = np.linspace(0, len(frames) - 1, count).round().astype(int)
            draw_sheet([frames[k] for k in moments], look=look).save(scratch, optimize=True)
        elif path.suffix == ".gif":
            _save_gif(list(_images(frames, look)), scratch, fps)
        else:
            _save_mp4(_images(frames, look), scratch, fps)
    if path.suffix == ".png" and count < len(frames):
        return f"{count} moments of {len(frames)}"
    return f"{len(frames)} {'frame' if len(frames) == 1 else 'frames'}"


def _images(frames: list[Frame], look: Look) -> Iterator[Image.Image]:
    """Pictures of one size with one legend."""
    roles = sorted_roles(item for frame in frames for item in frame.scene.items)
    least = max(300.0, *(beside_height(f.scene, f.beliefs, roles) for f in frames))
    for frame in frames:
        yield draw(frame.scene, frame.beliefs, roles=roles, look=look, least=least)


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` if nothing fails, and vanishes otherwise."""
    scratch = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _save_gif(images: list[Image.Image], path: Path, fps: float) -> None:
    # one palette for all frames: nothing flickers, and equal parts of frames cost nothing
    samples = images[:: max(1, len(images) // 4)]
    width, height = images[0].size
    together = Image.new("RGB", (width, height * len(samples)))
    for k, image in enumerate(samples):
        together.paste(image, (0, k * height))
    palette = together.quantize(_COLOURS)
    first, *rest = (i.quantize(palette=palette, dither=Image.Dither.NONE) for i in images)
    hold = round(1000 / fps)
    # the end stays for a moment before it starts again
    durations = [hold] * (len(images) - 1) + [max(hold, 1500)]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)


def _save_mp4(images: Iterator[Image.Image], path: Path, fps: float) -> None:
    first = next(images)
    size = f"{first.width}x{first.height}"
    command = [_ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", size, "-r", str(fps), "-i", "-", "-an", "-pix_fmt", "yuv420p"]
    # players want even sizes
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    # one that gives up says why on its way out
    with contextlib.suppress(BrokenPipeError):
        for image in itertools.chain([first], images):
            process.stdin.write(image.tobytes())
    _, said = process.communicate()
    if process.returncode:
        words = said.decode(errors="replace").strip()
        raise EirError(f"ffmpeg could not write {path.suffix[1:]}: {words}")


def _ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ImportError:
        raise EirError(
            "MP4 needs ffmpeg: `apt-get install ffmpeg` or `pip install imageio-ffmpeg`; "
            "GIF and PNG need neither."
        ) from None
    path: str = imageio_ffmpeg.get_ffmpeg_exe()
    return path

"""`eir discovery`: the discovery server of Fast DDS, wherever it comes from."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer


def discovery(
    address: Annotated[str, typer.Option(help="Address to be asked at.")] = "0.0.0.0",
    port: Annotated[int, typer.Option(min=1, max=65535, help="UDP port to be asked at.")] = 11811,
) -> None:
    """Run a discovery server until Ctrl-C: hosts find each other by asking it, without multicast.

    Every host then needs ROS_DISCOVERY_SERVER=ADDRESS:PORT.
    """
    from eir_ros.contract.errors import EirError

    prefix = Path(sys.prefix)
    found = shutil.which("fast-discovery-server") or shutil.which(
        "fast-discovery-server", path=str(prefix / "bin")
    )
    if found is None:
        raise EirError(
            "there is no 'fast-discovery-server' here; it comes with Fast DDS: install the extra "
            "[ros], or source the ROS 2 of your distribution."
        )
    libraries = [str(prefix / "lib"), *os.environ.get("LD_LIBRARY_PATH", "").split(":")]
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))
    typer.echo(f"every host needs ROS_DISCOVERY_SERVER={address}:{port}")
    sys.stdout.flush()
    os.execv(found, [found, "-i", "0", "-l", address, "-p", str(port)])

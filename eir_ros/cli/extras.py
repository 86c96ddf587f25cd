"""How to install what a command lacks."""

import shlex
import sys

#: The extra that brings a package which a command may find missing.
EXTRAS = {
    "torch": "train",
    "onnx": "train",
    "ray": "ray",
    "pybullet": "sim",
    "pettingzoo": "sim",
    "gymnasium": "sim",
    "numba": "sim",
    "PIL": "sim",
    "mpe2": "mpe",
    "rclpy": "ros",
    "rosbags": "bags",
    "mcap": "bags",
    "fastapi": "monitor",
}


def install_command(extra: str = "") -> str:
    """Return the command for the checkout; eir_ros is on no index, and its name is anybody's."""
    target = f"'.[{extra}]'" if extra else "."
    return f"{pip_install()} -c constraints.txt -e {target} in the checkout"


def pip_install() -> str:
    """Return the beginning of a command that installs for this interpreter, and for no other."""
    return f"{shlex.quote(sys.executable)} -m pip install"

"""Build the ament_python package `eir_ros`, with pip as well as with colcon."""

import re
from pathlib import Path

from setuptools import find_packages, setup

#: colcon runs a link to this file from its build folder.
HERE = Path(__file__).resolve().parent
NAME = "eir_ros"
NODES = ("agent", "gate", "fault", "world", "monitor", "recorder", "link")

#: Real ROS 2 Jazzy from wheels, for machines without a ROS installation. The two versions are
#: part of one distribution: they move together or not at all.
ROS_CORE = "7.1.6"
ROS_MESSAGES = "5.3.6"
MESSAGES = (
    "std-msgs",
    "std-srvs",
    "geometry-msgs",
    "sensor-msgs",
    "nav-msgs",
    "visualization-msgs",
    "diagnostic-msgs",
)


def version() -> str:
    """The one version, read without importing the package."""
    text = (HERE / NAME / "__init__.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0]


def shared(*folders: str) -> list[tuple[str, list[str]]]:
    """Every file below `folders`, to be installed into share/eir_ros under the same path."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for path in sorted((HERE / folder).rglob("*")):
            relative = path.relative_to(HERE)
            hidden = any(part.startswith((".", "__pycache__")) for part in relative.parts)
            if path.is_file() and not hidden:
                found.setdefault(f"share/{NAME}/{relative.parent}", []).append(str(relative))
    return sorted(found.items())


#: To write recordings, and to read them where there is no ROS.
BAGS = ["rosbags>=0.11", "mcap>=1.6"]

EXTRAS = {
    "bags": BAGS,
    "ros": [
        f"ros-rclpy[fastrtps]=={ROS_CORE}",
        *(f"ros-{name}=={ROS_MESSAGES}" for name in MESSAGES),
        *BAGS,
    ],
    # no wheels beyond Python 3.11: there scripts/setup_venv.py provides it
    "sim": [
        "pybullet>=3.2.5; python_version < '3.12'",
        "pettingzoo>=1.24",
        "gymnasium>=1.0",
        "numba>=0.60",
        "pillow>=10.1",
        "cloudpickle>=2.0",
        # films in MP4, where the machine has no ffmpeg
        "imageio-ffmpeg>=0.5",
    ],
    "mpe": ["mpe2>=1.1"],
    "monitor": ["fastapi>=0.110", "uvicorn>=0.29", "websockets>=12"],
    "train": [
        "torch>=2.4",
        "onnx>=1.16",
        "onnxscript>=0.2",
        "scipy>=1.11",
        "matplotlib>=3.8",
        "tensorboard>=2.16",
    ],
    "ray": ["ray>=2.40"],
    "dev": [
        "hypothesis>=6.100",
        # the peer that our foraging is compared with, step by step
        "lbforaging>=2.0",
        "mcap-ros2-support>=0.5",
        "mypy>=1.10",
        "playwright>=1.44",
        "psutil>=5.9",
        "pytest>=8",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "ruff>=0.5",
        "setuptools>=68",
        "types-PyYAML",
        "wheel",
    ],
}

setup(
    name=NAME,
    version=version(),
    description="Policies for robot swarms that expect a traitor, on ROS 2",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    maintainer="eir_ros maintainers",
    maintainer_email="maintainers@eir-ros.invalid",
    python_requires=">=3.11",
    packages=find_packages(include=["eir_ros*", "sim*", "training*"]),
    package_data={"eir_ros.monitor": ["static/*", "static/**/*"], "sim.swarm": ["assets/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *shared("launch", "config", "policies"),
    ],
    zip_safe=False,
    install_requires=[
        "cryptography>=38",
        "numpy>=1.24",
        "onnxruntime>=1.16",
        "pydantic>=2.0",
        "PyYAML>=6.0",
        "rich>=12",
        "typer>=0.9",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "eir = eir_ros.cli.main:main",
            *(f"{node} = eir_ros.nodes.{node}:main" for node in NODES),
        ]
    },
)

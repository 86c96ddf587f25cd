"""The rooms keep their arrows, modules stay small, and what is declared is what is used."""

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from eir_ros import __version__
from eir_ros.contract.paths import share

ROOT = Path(__file__).resolve().parents[1]
OURS = ("eir_ros", "sim", "training")
SOURCES = sorted(path for room in (*OURS, "launch") for path in (ROOT / room).rglob("*.py"))
ROS_ROOMS = ("contract", "policy", "safety", "faults", "swarm", "link", "monitor", "nodes")

#: What a module may import of ours, by the longest name that fits; its own room always.
ALLOWED: dict[str, set[str]] = {
    "eir_ros.contract": set(),
    **{f"eir_ros.{room}": {"eir_ros.contract"} for room in ROS_ROOMS[1:-1]},
    "eir_ros.nodes": {f"eir_ros.{room}" for room in ROS_ROOMS},
    "eir_ros.nodes.world": {*(f"eir_ros.{room}" for room in ROS_ROOMS), "sim"},
    "eir_ros.cli": {"eir_ros"},
    "sim": {"eir_ros.contract", "eir_ros.faults"},
    "training": {"eir_ros.contract", "eir_ros.faults", "sim"},
    "launch": {"eir_ros.contract", "eir_ros.swarm", "eir_ros.cli"},
}
#: Never under eir_ros: a robot has none of them.
NOT_ON_A_ROBOT = {"torch", "onnx", "pybullet", "training", "gymnasium", "pettingzoo"}
#: Rooms of plain rules and maths, to be tested and read without ROS.
WITHOUT_ROS = tuple(f"eir_ros.{room}" for room in ROS_ROOMS if room != "nodes")

#: rosdep key (or ROS package) of each import that robots need; None: rosdep knows none, and
#: docs/install.md tells how to get it.
ROSDEP: dict[str, str | None] = {
    "cryptography": "python3-cryptography",
    "fastapi": "python3-fastapi",
    "mcap": None,
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "pydantic": "python3-pydantic",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "starlette": "python3-fastapi",
    "typer": "python3-typer",
    "uvicorn": "python3-uvicorn",
    "yaml": "python3-yaml",
}
#: Needed without being imported: uvicorn speaks WebSocket through it.
INDIRECT = {"python3-websockets"}


class Import(NamedTuple):
    """One imported module, and whether importing the file imports it."""

    name: str
    eager: bool
    line: int


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Every import statement of a file."""
    return tuple(_walk(ast.parse(path.read_text(encoding="utf-8")), eager=True))


def _walk(node: ast.AST, eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, eager, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"relative import in line {child.lineno}"
            # `from eir_ros import safety` imports eir_ros.safety
            names = [f"{child.module}.{a.name}" for a in child.names if child.module in OURS]
            for name in names or [child.module or ""]:
                yield Import(name, eager, child.lineno)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, eager and not inside)


def module_name(path: Path) -> str:
    """Dotted name of a file of the repository."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def within(name: str, rooms: set[str] | tuple[str, ...]) -> bool:
    """Whether a dotted name lies in one of the rooms."""
    return any(name == room or name.startswith(room + ".") for room in rooms)


def forbidden(path: Path) -> list[str]:
    """Sentences about the imports of a file that go against the arrows."""
    here = module_name(path)
    rooms = [room for room in ALLOWED if within(here, (room,))]
    allowed = {*rooms, *ALLOWED[max(rooms, key=len)]} if rooms else set()
    found = []
    for name, eager, line in imports(path):
        lazy_cli = within(here, ("eir_ros.cli",)) and not eager
        package = name.partition(".")[0]
        # `from eir_ros import __version__` names no room
        ours = package in OURS and name.count(".") + (package != "eir_ros") > 0
        ours &= not name.startswith("eir_ros.__")
        heavy = within(here, ("eir_ros",)) and package in NOT_ON_A_ROBOT
        ros = within(here, WITHOUT_ROS) and package == "rclpy"
        if not lazy_cli and (heavy or ros or (ours and not within(name, allowed))):
            found.append(f"{path.relative_to(ROOT)}:{line}: {here} may not import {name}")
    return found


def test_rooms_import_only_along_their_arrows():
    assert [sentence for path in SOURCES for sentence in forbidden(path)] == []


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("eir_ros/policy/x.py", "import torch"),
        ("eir_ros/policy/x.py", "def f():\n    import torch"),
        ("eir_ros/policy/x.py", "from eir_ros.safety import gate"),
        ("eir_ros/policy/x.py", "from eir_ros import safety"),
        ("eir_ros/safety/x.py", "import rclpy"),
        ("eir_ros/nodes/agent.py", "from sim.swarm.coverage import CoverageSim"),
        ("eir_ros/nodes/agent.py", "import sim"),
        ("eir_ros/nodes/world.py", "import pybullet"),
        ("eir_ros/cli/x.py", "import torch"),
        ("eir_ros/contract/x.py", "from eir_ros.faults import schedule"),
        ("sim/x.py", "from eir_ros.swarm import roster"),
    ],
)
def test_an_arrow_broken_is_found(place, code, monkeypatch):
    monkeypatch.setitem(globals(), "imports", lambda _: tuple(_walk(ast.parse(code), eager=True)))
    assert forbidden(ROOT / place)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("eir_ros/cli/x.py", "def f():\n    import torch\n    import training"),
        ("eir_ros/cli/x.py", "from eir_ros import __version__"),
        ("eir_ros/nodes/world.py", "from sim.swarm.coverage import CoverageSim"),
        ("eir_ros/policy/x.py", "import onnxruntime\nfrom eir_ros.contract import types"),
    ],
)
def test_an_arrow_kept_is_not_blamed(place, code, monkeypatch):
    monkeypatch.setitem(globals(), "imports", lambda _: tuple(_walk(ast.parse(code), eager=True)))
    assert forbidden(ROOT / place) == []


def test_modules_stay_one_idea():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > 400} == {}


def used_on_robots() -> set[str]:
    """Third-party packages that the code of a robot imports."""
    robot = [path for path in SOURCES if within(module_name(path), ("eir_ros", "launch"))]
    known = {*sys.stdlib_module_names, *OURS, *NOT_ON_A_ROBOT}
    names = {name.partition(".")[0] for path in robot for name, *_ in imports(path)}
    return names - known


def test_package_xml_names_what_robots_import():
    manifest = ElementTree.parse(ROOT / "package.xml")
    declared = {element.text for element in manifest.iter("exec_depend")}
    needed = {ROSDEP.get(name, name) for name in used_on_robots()} - {None}
    assert declared == needed | INDIRECT


def test_what_rosdep_does_not_know_is_documented():
    guide = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    unknown = [name for name in used_on_robots() if ROSDEP.get(name, "") is None]
    assert [name for name in unknown if name.replace("_", "-") not in guide] == []


def test_there_is_one_version():
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == __version__
    released = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released is not None
    assert released[1] == __version__


def test_every_requirement_is_pinned():
    def canonical(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    strings = [
        node.value
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    wanted = {
        canonical(match[1])
        for text in strings
        if (match := re.fullmatch(r"([\w-]+)(\[\w+\])?[><=]=[\d.]+(;.*)?", text))
    }
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert len(wanted) > 15
    assert wanted - {canonical(name) for name in pins} == set()


def test_an_older_python_is_promised_than_the_code_is_checked_for():
    promised = re.search(r'python_requires=">=(3)\.(\d+)"', (ROOT / "setup.py").read_text())
    checked = re.search(r'target-version = "py(3)(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert promised is not None
    assert checked is not None
    assert promised.groups() == checked.groups()


def test_nobody_is_sent_to_an_index_for_eir_ros():
    places = [*SOURCES, *(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    asks = re.compile(r"pip3? install[^\n]*?['\"\s]eir[-_]ros\b(?! itself)")
    guilty = [str(path) for path in places if asks.search(path.read_text(encoding="utf-8"))]
    assert guilty == []


def test_no_machine_is_named_in_what_is_pinned():
    for name in ("constraints.txt", "setup.py", "Makefile", ".ci/run", "pyproject.toml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|file://|/root/|/home/|/work/|\+cpu", text), name


def test_the_checkout_holds_its_own_files():
    assert share() == ROOT

"""Whatever is in a file, a user's or a thief's: a sentence, or what it says. Never a crash."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_bundle import make_keys, write_tiny_bundle

from eir_ros.contract.config import load_yaml
from eir_ros.contract.errors import EirError
from eir_ros.contract.faults import Fault, parse_fault
from eir_ros.contract.paths import share
from eir_ros.policy.bundle import load_bundle
from eir_ros.swarm.roster import Roster, load_roster
from eir_ros.swarm.schedule import read_faults
from training.recipe import read_recipe

CONFIG = share() / "config"
FEW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

#: Every way in which a file of settings may be wrong.
NUMBERS = st.floats() | st.integers(-(10**20), 10**20)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.dates()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in nested data."""
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in inner:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


def spoiled(source: Path, draw: st.DataObject, target: Path) -> Path:
    """Write `source` with something else at one or two places."""
    data = yaml.safe_load(source.read_text(encoding="utf-8"))
    for _ in range(draw.draw(st.integers(1, 2))):
        *way, last = draw.draw(st.sampled_from(places(data)))
        place = data
        try:
            for key in way:
                place = place[key]
            place[last] = draw.draw(VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # what stood there was replaced before
    target.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return target


def survives(read: Callable[[], Any], kinds: type | tuple[type, ...]) -> None:
    """Either what was asked for, whole, or a sentence."""
    sentence = ""
    try:
        found = read()
    except EirError as error:
        sentence = str(error)
    assert len(sentence) > 10 if sentence else isinstance(found, kinds)


@FEW
@given(st.data())
def test_a_spoiled_roster_is_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    source = CONFIG / "rosters" / "turtlebot.yaml"
    file = spoiled(source, data, tmp_path / "roster.yaml")
    survives(lambda: load_roster(file), Roster)


@FEW
@given(st.data())
def test_a_spoiled_schedule_is_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    file = spoiled(CONFIG / "faults" / "demo.yaml", data, tmp_path / "faults.yaml")
    survives(lambda: read_faults([str(file)]), tuple)


@FEW
@given(st.data())
def test_a_spoiled_recipe_is_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    file = spoiled(CONFIG / "recipes" / "coverage.yaml", data, tmp_path / "recipe.yaml")
    survives(lambda: read_recipe(file), object)


@FEW
@given(st.binary(max_size=60))
def test_a_file_of_bytes_is_a_crash(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    survives(lambda: load_yaml(file, Roster), Roster)
    survives(lambda: read_faults([str(file)]), tuple)
    survives(lambda: read_recipe(file), object)


@FEW
@given(st.text(max_size=12) | st.from_regex(r"r\d:[a-z]{3,5}(@\d{1,400}(-\d+)?)?", fullmatch=True))
def test_a_word_for_a_fault_is_a_crash(word: str) -> None:
    survives(lambda: parse_fault(word), Fault)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle that is accepted, and the folder of its key."""
    folder = tmp_path_factory.mktemp("signed")
    (folder / "keys").mkdir()
    write_tiny_bundle(folder / "bundle", make_keys(folder / "keys"))
    load_bundle(folder / "bundle", trusted_keys=folder / "keys")
    return folder / "bundle", folder / "keys"


@FEW
@given(data=st.data())
def test_a_bundle_with_other_bytes_is_accepted_or_a_crash(
    signed: tuple[Path, Path], data: st.DataObject
) -> None:
    bundle, keys = signed
    file = data.draw(st.sampled_from(sorted(path for path in bundle.iterdir())))
    before = file.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    length = data.draw(st.integers(0, 40))
    after = before[:at] + data.draw(st.binary(max_size=40)) + before[at + length :]
    file.write_bytes(after)
    try:
        if after == before:
            load_bundle(bundle, trusted_keys=keys)
        else:
            with pytest.raises(EirError):
                load_bundle(bundle, trusted_keys=keys)
    finally:
        file.write_bytes(before)

"""A mistake in a file is named: which file, which key, what was found, what is valid."""

from pathlib import Path

import pytest
from pydantic import Field as Setting

from eir_ros.contract.config import Schema, load_yaml, validate
from eir_ros.contract.errors import EirError


class Wheel(Schema):
    """A nested schema."""

    radius: float = Setting(0.03, gt=0)


class Base(Schema):
    """A schema with every way to be wrong."""

    name: str
    max_speed: float = Setting(0.5, gt=0)
    wheel: Wheel = Wheel()
    wheels: tuple[Wheel, ...] = ()
    spare: Wheel | None = None


def test_a_good_file_is_read(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text("name: r0\nwheel: {radius: 0.04}  # a comment\n")
    assert load_yaml(path, Base) == Base(name="r0", wheel=Wheel(radius=0.04))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"name": "r0", "max_sped": 1}, r"unknown key 'max_sped', did you mean 'max_speed'\?"),
        ({"name": "r0", "zzz": 1}, "unknown key 'zzz', valid keys: max_speed, name"),
        ({"max_speed": 1}, "key 'name' is missing"),
        ({"name": "r0", "max_speed": -1}, "'max_speed' is -1: .*greater than 0"),
        ({"name": "r0", "max_speed": "fast"}, "'max_speed' is 'fast'"),
        ({"name": "r0", "wheel": {"radus": 1}}, r"'wheel\.radus', did you mean 'radius'\?"),
        ({"name": "r0", "spare": {"radus": 1}}, r"'spare\.radus', did you mean 'radius'\?"),
        ({"name": "r0", "wheels": [{"radus": 1}]}, r"'wheels\.0\.radus', did you mean 'radius'\?"),
        (None, "expected a mapping of settings, found nothing"),
        ([1], "expected a mapping of settings, found list"),
    ],
)
def test_a_mistake_is_named(data: object, expected: str):
    with pytest.raises(EirError, match=expected) as refused:
        validate(data, Base, where="base.yaml")
    assert str(refused.value).startswith("base.yaml: ")


def test_two_mistakes_are_both_named():
    with pytest.raises(EirError, match=r"'nam'.*'name' is missing|'name' is missing.*'nam'"):
        validate({"nam": "r0"}, Base, where="base.yaml")


@pytest.mark.parametrize("text", ["a: [1", "\tname: r0", "name: r0\n  max: 1"])
def test_what_is_not_yaml_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "base.yaml"
    path.write_text(text)
    with pytest.raises(EirError, match=r"base\.yaml:\d+:\d+: not valid YAML: .*\.$"):
        load_yaml(path, Base)


def test_a_yaml_error_of_several_lines(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text("name: r0\nwheel: {radius: 0.04\n")
    with pytest.raises(EirError) as refused:
        load_yaml(path, Base)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"{path}:3:1: not valid YAML: while parsing a flow")


def test_a_question_with_a_full_stop_behind_it():
    with pytest.raises(EirError, match=r"\?$"):
        validate({"name": "r0", "max_sped": 1}, Base, where="base.yaml")
    with pytest.raises(EirError, match=r"did you mean 'name'\? Key 'name' is missing|missing; unk"):
        validate({"nam": "r0"}, Base, where="base.yaml")


class Fleet(Schema):
    """A schema with a name."""

    called = "a fleet"

    robots: tuple[str, ...] = ()
    fence: float = 1.0


def test_another_kind_of_file_gets_silly_suggestions():
    with pytest.raises(EirError, match=r"this is not a fleet: it has seed, .*expected robots, fen"):
        validate({"seed": 1, "method": "x", "reboot": 3}, Fleet, where="recipe.yaml")
    # one misspelt key is a mistake in a fleet, not another kind of file
    with pytest.raises(EirError, match="did you mean 'robots'"):
        validate({"robts": ["r0"]}, Fleet, where="fleet.yaml")
    with pytest.raises(EirError, match="unknown key 'seed'"):
        validate({"robots": ["r0"], "seed": 1}, Fleet, where="fleet.yaml")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(EirError, match="not valid YAML"):
        load_yaml(path, Base)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(EirError, match=r"gone\.yaml: cannot be read \(No such file"):
        load_yaml(tmp_path / "gone.yaml", Base)


def test_yaml_cannot_run_code(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(EirError, match="not valid YAML"):
        load_yaml(path, Base)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: r0\nmax_speed: 0.5\nmax_speed: 2.0\n", r"base\.yaml:3:1: .*'max_speed' is given"),
        ("name: r0\nwheel: {radius: 0.03, radius: 0.3}\n", r":2:23: .*'radius' is given twice"),
    ],
)
def test_of_a_key_that_is_given_twice_the_last_one_counts(tmp_path: Path, text: str, place: str):
    path = tmp_path / "base.yaml"
    path.write_text(text)
    with pytest.raises(EirError, match=place):
        load_yaml(path, Base)


def test_what_is_merged_cannot_be_given_again(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text("name: r0\nspare: &spare {radius: 0.1}\nwheel: {<<: *spare, radius: 0.2}\n")
    found = load_yaml(path, Base)
    assert (found.spare, found.wheel) == (Wheel(radius=0.1), Wheel(radius=0.2))


def test_a_file_that_is_nested_without_end_is_a_crash(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text("[" * 20_000)
    with pytest.raises(EirError, match="nested too deeply"):
        load_yaml(path, Base)


class Sorts(Schema):
    """A value of every kind."""

    few: tuple[int, ...] = ()
    more: dict[str, float] = Setting(default_factory=dict)
    base: Base | None = None
    sure: bool = False


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"few": "r2:stop"}, "'few' is 'r2:stop': input should be a list"),
        ({"few": ["x"]}, "'few.0' is 'x': input should be a whole number"),
        ({"more": 3}, "'more' is 3: input should be a mapping"),
        ({"base": 3}, "'base' is 3: input should be a mapping of settings"),
        ({"base": {"name": 3}}, "'base.name' is 3: input should be text; quote it if it is"),
        ({"sure": "x"}, "'sure' is 'x': input should be true or false"),
        ({"sure": None}, "'sure' is null: input should be true or false"),
        ({"few": {str(k): k for k in range(99)}}, "'few': input should be a list"),
    ],
)
def test_words_of_python_reach_the_user(data: object, expected: str):
    with pytest.raises(EirError) as refused:
        validate(data, Sorts, where="base.yaml")
    assert str(refused.value) == f"base.yaml: {expected}."


def test_a_mistake_has_no_line(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text(
        "name: r0\n\nwheels:\n  - radius: 1\n  - radius: 2\n    radus: 3\nmax_sped: 1\n"
    )
    with pytest.raises(EirError) as refused:
        load_yaml(path, Base)
    assert str(refused.value) == (
        f"{path}:6: unknown key 'wheels.1.radus', did you mean 'radius'? "
        f"{path}:7: unknown key 'max_sped', did you mean 'max_speed'?"
    )
    # what is missing stands nowhere, but in a place
    path.write_text("max_speed: 1\n")
    with pytest.raises(EirError, match=f"^{path}: key 'name' is missing"):
        load_yaml(path, Base)


def test_a_file_that_contains_itself_is_gone_through_without_end(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text("name: r0\nwheels: &a [*a, *a]\n")
    with pytest.raises(EirError, match=f"^{path}:2: "):
        load_yaml(path, Base)

"""`eir` itself and `eir bundle`: exit codes, sentences on stderr, never a traceback."""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny_bundle import make_keys, write_tiny_bundle

from eir_ros import __version__
from eir_ros.cli import main as cli
from eir_ros.cli.bundle import inspect
from eir_ros.cli.card_words import MEANINGS, meanings
from eir_ros.contract.errors import EirError
from eir_ros.contract.paths import share
from eir_ros.policy.bundle import load_bundle
from eir_ros.policy.store import read_manifest


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


class Eir:
    """Runs `eir` in this process as the console script does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> Said:
        self._monkeypatch.setattr(sys, "argv", ["eir", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = self._capsys.readouterr()
        # rich breaks lines at the width of the terminal
        return Said(int(end.value.code or 0), " ".join(out.split()), " ".join(err.split()))


@pytest.fixture
def eir(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Eir:
    return Eir(monkeypatch, capsys)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def folder(tmp_path: Path, keys: Path) -> Path:
    write_tiny_bundle(tmp_path / "bundle", keys / "lab.key", scorecard={"return": {"none": 98.25}})
    return tmp_path / "bundle"


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from eir_ros.cli.main import app; app(['--help'], standalone_mode=False);"
        "heavy = {'numpy', 'torch', 'rclpy', 'onnxruntime', 'pybullet', 'pydantic', 'fastapi'};"
        "sys.exit(str(heavy & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert "bundle" in done.stdout
    assert "export" in done.stdout


def test_the_version_is_printed(eir: Eir) -> None:
    assert eir("--version") == Said(0, f"eir {__version__}", "")


def test_an_unknown_command_or_option_is_refused(eir: Eir) -> None:
    assert "No such command 'bundel'" in eir("bundel").err
    said = eir("bundle", "verify", "--no-such-option")
    assert said.code == 2
    assert "No such option" in said.err


@pytest.mark.parametrize(
    ("failure", "code", "sentence"),
    [
        (EirError("3 found, 4 expected."), 2, "error: 3 found, 4 expected."),
        (KeyboardInterrupt(), 130, ""),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            2,
            "error: this command needs the Python package 'torch', which is not installed: "
            f"{sys.executable} -m pip install -c constraints.txt -e '.[train]' in the checkout.",
        ),
    ],
)
def test_a_failure_becomes_an_exit_code_and_a_sentence(
    eir: Eir, monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: int, sentence: str
) -> None:
    def fail(prog_name: str) -> None:
        raise failure

    monkeypatch.setattr(cli, "app", fail)
    assert eir() == Said(code, "", sentence)


def test_a_bug_keeps_its_traceback(eir: Eir, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(prog_name: str) -> None:
        raise ModuleNotFoundError("No module named 'eir_ros.typo'", name="eir_ros.typo")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ModuleNotFoundError):
        eir()


def test_verify_accepts_an_intact_bundle(eir: Eir, folder: Path, keys: Path) -> None:
    said = eir("bundle", "verify", folder, "--trusted-keys", keys, "--robots", 4)
    assert said.code == 0, said.err
    assert "'tiny' version 1 is intact, signed by 'lab'" in said.out


def test_verify_refuses_with_the_sentence_and_2(eir: Eir, folder: Path, keys: Path) -> None:
    said = eir("bundle", "verify", folder, "--trusted-keys", keys, "--robots", 5)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: a team of 5 robots was asked for")

    assert "unknown key" in eir("bundle", "verify", folder).err

    (folder / "policy.onnx").write_bytes(b"something else")
    said = eir("bundle", "verify", folder, "--trusted-keys", keys)
    assert said.code == 2
    assert re.fullmatch(r"error: \S+/policy\.onnx: changed after it was signed .*", said.err)

    said = eir("bundle", "verify", folder / "nowhere")
    assert said.code == 2
    assert "there is no bundle here" in said.err


def test_inspect_shows_what_matters_and_whom_to_trust(eir: Eir, folder: Path, keys: Path) -> None:
    said = eir("bundle", "inspect", folder, "--trusted-keys", keys)
    assert said.code == 0
    for part in (
        "tiny, version 1",
        "4 robots",
        "5 decisions/s",
        "position [m; map]",
        "go_to_nearest_site_3",
        "above 0.9 counts",
        "return: none 98.25",
        "signed by 'lab'",
    ):
        assert part in said.out
    (folder / "bundle.sig").unlink()
    said = eir("bundle", "inspect", folder, "--trusted-keys", keys)
    assert said.code == 2
    assert said.out.startswith("trust NOT TRUSTED: ")
    assert "bundle.sig is missing" in said.out
    assert "tiny, version 1" in said.out


def test_inspect_calls_an_edited_manifest_changed_not_misspelt(
    eir: Eir, folder: Path, keys: Path
) -> None:
    manifest = folder / "bundle.json"
    manifest.write_text(manifest.read_text().replace('"version"', '"versoin"'))
    for command in ("inspect", "verify"):
        said = eir("bundle", command, folder, "--trusted-keys", keys)
        assert said.code == 2
        first = said.out if command == "inspect" else said.err
        assert re.match(r"(trust NOT TRUSTED|error): \S+: the signature is not valid: ", first)


def test_an_untrusted_bundle_cannot_write_over_the_first_line(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture
) -> None:
    card = {"\x1b[2J": {"a\nb": 1}}
    write_tiny_bundle(tmp_path / "b", keys / "lab.key", name="\x1b[H", scorecard=card)
    inspect(tmp_path / "b", trusted_keys=keys)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "?[2J: a?b 1" in out


def test_numbers_of_a_card_stand_unexplained(tmp_path: Path, keys: Path, capsys) -> None:
    card = {"return_per_episode": {"worst": {"mean": 70.2, "robot": 0}}, "blamed": 0.07}
    write_tiny_bundle(tmp_path / "b", keys / "lab.key", scorecard=card)
    inspect(tmp_path / "b", trusted_keys=keys)
    out = capsys.readouterr().out
    assert "worst: what the strongest attack leaves at the weakest robot" in out
    assert "blamed: share of robots that somebody gives" in out
    assert "brier: " not in out


def test_every_number_of_the_shipped_card_is_explained() -> None:
    card = read_manifest(share() / "policies" / "coverage").scorecard
    told = {line.partition(":")[0] for line in meanings(card)}
    assert told == set(MEANINGS)


def test_inspect_leaves_no_trailing_blanks(
    folder: Path, keys: Path, capsys: pytest.CaptureFixture
) -> None:
    inspect(folder, trusted_keys=keys)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("trust ")
    assert [line for line in lines if line != line.rstrip()] == []
    assert "  return: none 98.25" in lines


def test_a_new_key_signs_and_is_then_trusted(eir: Eir, folder: Path, tmp_path: Path) -> None:
    said = eir("bundle", "keygen", "mine", "--out", tmp_path / "mine")
    assert said.code == 0
    assert "keep this secret" in said.out
    assert eir("bundle", "sign", folder, "--key", tmp_path / "mine" / "mine.key").code == 0
    assert load_bundle(folder, trusted_keys=tmp_path / "mine").signed_by == "mine"
    assert "exists already" in eir("bundle", "keygen", "mine", "--out", tmp_path / "mine").err


def test_install_goes_forward_only(eir: Eir, folder: Path, keys: Path, tmp_path: Path) -> None:
    robot = tmp_path / "robot"
    assert eir("bundle", "install", folder, robot, "--trusted-keys", keys).code == 0
    said = eir("bundle", "install", folder, robot, "--trusted-keys", keys)
    assert said.code == 2
    assert "versions only grow" in said.err

"""Bundles are written whole or not at all, and never go back."""

from pathlib import Path

import pytest
from tiny_bundle import make_keys, tiny_files, tiny_manifest, write_tiny_bundle

from eir_ros.contract.errors import EirError
from eir_ros.policy.bundle import load_bundle
from eir_ros.policy.signing import load_private_key
from eir_ros.policy.store import (
    install_bundle,
    next_version,
    read_manifest,
    sign_bundle,
    write_bundle,
)


def test_a_newer_version_replaces_an_older_one_whole(tmp_path: Path, keys: Path) -> None:
    out = tmp_path / "bundle"
    write_tiny_bundle(out, keys / "lab.key")
    files = tiny_files(seed=1)
    del files["adversary.onnx"]
    assert next_version(out) == 2
    write_bundle(out, tiny_manifest(version=2), files, load_private_key(keys / "lab.key"))
    bundle = load_bundle(out, trusted_keys=keys)
    assert bundle.manifest.version == 2
    assert bundle.adversary is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "keys"]


@pytest.mark.parametrize("version", [2, 3])
def test_an_older_or_equal_version_is_refused(tmp_path: Path, keys: Path, version: int) -> None:
    out = tmp_path / "bundle"
    write_tiny_bundle(out, keys / "lab.key", version=3)
    with pytest.raises(EirError, match=f"holds version 3 of 'tiny', so version {version} is refu"):
        write_tiny_bundle(out, keys / "lab.key", version=version)


def test_another_bundle_and_other_files_are_not_overwritten(tmp_path: Path, keys: Path) -> None:
    write_tiny_bundle(tmp_path / "bundle", keys / "lab.key")
    with pytest.raises(EirError, match="holds the bundle 'tiny', not 'other'"):
        write_tiny_bundle(tmp_path / "bundle", keys / "lab.key", name="other", version=2)
    for place in (keys, keys / "lab.pub"):
        with pytest.raises(EirError, match=f"{place} exists and is not a bundle; choose another"):
            write_tiny_bundle(place, keys / "lab.key")
    assert (keys / "lab.key").exists()


def test_a_write_that_fails_leaves_the_old_bundle(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    write_tiny_bundle(out, keys / "lab.key")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write_bytes = Path.write_bytes

    def full_disk(path: Path, content: bytes) -> int:
        if path.name == "bundle.sig":
            raise OSError(28, "No space left on device", str(path))
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(EirError, match="No space left on device"):
        write_tiny_bundle(out, keys / "lab.key", seed=1, version=2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "keys"]


def test_a_last_step_that_fails_leaves_the_old_bundle(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    write_tiny_bundle(out, keys / "lab.key")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    rename = Path.rename

    def refuse_fresh(path: Path, target: Path) -> Path:
        if path.name == "fresh":
            raise OSError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_fresh)
    with pytest.raises(EirError, match="Permission denied"):
        write_tiny_bundle(out, keys / "lab.key", seed=1, version=2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "keys"]


def test_a_file_that_changes_after_it_was_verified_is_not_installed(
    folder: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = (folder / "policy.onnx").read_bytes()

    def swap(_: object) -> None:
        (folder / "policy.onnx").write_bytes(b"something else")

    monkeypatch.setattr("eir_ros.policy.store.replay_golden", swap)
    install_bundle(folder, tmp_path / "robot", trusted_keys=keys)
    assert (tmp_path / "robot" / "policy.onnx").read_bytes() == policy


def test_signing_again_changes_who_is_trusted_and_nothing_else(
    folder: Path, keys: Path, tmp_path: Path
) -> None:
    mine = make_keys(tmp_path / "mine", "mine")
    before = load_bundle(folder, trusted_keys=keys)
    sign_bundle(folder, load_private_key(mine))
    after = load_bundle(folder, trusted_keys=tmp_path / "mine")
    assert after.signed_by == "mine"
    assert after.policy == before.policy
    assert after.manifest.model_copy(update={"key": before.manifest.key}) == before.manifest
    with pytest.raises(EirError, match="unknown key"):
        load_bundle(folder, trusted_keys=keys)


def test_signing_does_not_paper_over_a_changed_file(folder: Path, keys: Path) -> None:
    (folder / "policy.onnx").write_bytes(b"something else")
    signature = (folder / "bundle.sig").read_bytes()
    with pytest.raises(EirError, match=r"policy\.onnx: changed after it was signed"):
        sign_bundle(folder, load_private_key(keys / "lab.key"))
    assert (folder / "bundle.sig").read_bytes() == signature


def test_installing_goes_forward_only_and_only_with_a_verified_bundle(
    folder: Path, keys: Path, tmp_path: Path
) -> None:
    robot, newer = tmp_path / "robot", tmp_path / "newer"
    install_bundle(folder, robot, trusted_keys=keys)
    write_tiny_bundle(newer, keys / "lab.key", seed=1, version=2)
    install_bundle(newer, robot, trusted_keys=keys)
    assert load_bundle(robot, trusted_keys=keys).manifest.version == 2
    with pytest.raises(EirError, match="versions only grow"):
        install_bundle(folder, robot, trusted_keys=keys)
    write_tiny_bundle(newer, keys / "lab.key", version=3)
    (newer / "policy.onnx").write_bytes(b"something else")
    with pytest.raises(EirError, match=r"policy\.onnx: changed"):
        install_bundle(newer, robot, trusted_keys=keys)
    assert read_manifest(robot).version == 2

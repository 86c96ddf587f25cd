"""Keys are what they say they are, and secrets are kept."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from eir_ros.contract.errors import EirError
from eir_ros.policy.signing import (
    default_trusted_keys,
    generate_key,
    load_private_key,
    load_trusted_keys,
    verified_by,
)


def test_only_the_matching_key_verifies_only_the_signed_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        generate_key(tmp_path, name)
    trusted = load_trusted_keys(tmp_path)
    signature = load_private_key(tmp_path / "two.key").sign(b"text")
    assert verified_by(b"text", signature, trusted) == "two"
    assert verified_by(b"texts", signature, trusted) is None
    assert verified_by(b"text", signature, {"one": trusted["one"]}) is None


def test_the_private_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    private, _ = generate_key(tmp_path, "lab")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    private, _ = generate_key(tmp_path, "lab")
    before = private.read_bytes()
    with pytest.raises(EirError, match="exists already"):
        generate_key(tmp_path, "lab")
    assert private.read_bytes() == before


@pytest.mark.parametrize("name", ["", "a/b", "../lab", "my lab", "läb", "lab.key", "lab\n"])
def test_a_name_that_hides_or_strays_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EirError, match="is no name for a key; expected letters"):
        generate_key(tmp_path, name)
    assert list(tmp_path.iterdir()) == []
    generate_key(tmp_path, "lab_2-b")


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    key = generate_private_key(SECP256R1())
    pem = serialization.Encoding.PEM
    (tmp_path / "ec.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "ec.pub").write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(EirError, match="expected an Ed25519 private key"):
        load_private_key(tmp_path / "ec.key")
    with pytest.raises(EirError, match="expected an Ed25519 public key"):
        load_trusted_keys(tmp_path)


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.pub").write_text("nonsense")
    with pytest.raises(EirError, match=r"no\.pub: not a public key"):
        load_trusted_keys(tmp_path)
    with pytest.raises(EirError, match=r"no\.pub: not an unencrypted private key"):
        load_private_key(tmp_path / "no.pub")
    with pytest.raises(EirError, match=r"cannot be read \(No such file"):
        load_private_key(tmp_path / "none.key")


def test_the_demonstration_key_is_whole_and_says_what_it_is() -> None:
    folder = default_trusted_keys()
    signature = load_private_key(folder / "demo.key").sign(b"text")
    assert verified_by(b"text", signature, load_trusted_keys(folder)) == "demo"
    assert (folder / "demo.key").read_text().startswith("DEMONSTRATION ONLY")

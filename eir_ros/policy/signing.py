"""Ed25519 signatures (RFC 8032) and the folder of public keys that a robot trusts.

Keys are PEM files: NAME.key (PKCS #8, private, unencrypted) and NAME.pub (SubjectPublicKeyInfo).
Trusting a key is copying its .pub file into the folder of trusted keys.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eir_ros.contract.errors import EirError
from eir_ros.contract.paths import share

#: Length of an Ed25519 signature [bytes].
SIGNATURE_SIZE = 64

#: Fingerprint of the demonstration key, whose private half everybody has.
DEMONSTRATION_KEY = "e3914f3467035eec"


def default_trusted_keys() -> Path:
    """Return the folder of trusted public keys that comes with the package."""
    return share() / "config" / "keys"


def fingerprint(key: Ed25519PublicKey) -> str:
    """Short name of a public key: the first 16 hexadecimal digits of its SHA-256."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def is_demonstration(key: Ed25519PublicKey) -> bool:
    """Whether this is the key that ships with its private half, and so vouches for nothing."""
    return fingerprint(key) == DEMONSTRATION_KEY


def generate_key(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new key pair, `name`.key (readable by its owner only) and `name`.pub.

    Raises
    ------
    EirError
        The name is not made of letters, digits, `-` and `_`, one of the files exists already, or
        the folder cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise EirError(
            f"'{name}' is no name for a key; expected letters, digits, '-' and '_', for example "
            "your lab's. Another folder is chosen with --out."
        )
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    for path in (private, public):
        if path.exists():
            raise EirError(f"{path} exists already; choose another name or remove it first.")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    shown = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
        public.write_bytes(shown)
    except OSError as error:
        # half a pair would be in the way of the next try
        for path in (private, public):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise EirError(f"{private}: cannot be written ({error.strerror}).") from error
    return private, public


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key; `EirError` when there is none or it is of another kind."""
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EirError(
            f"{path}: not an unencrypted private key in PEM; make one with 'eir bundle keygen'."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EirError(f"{path}: {type(key).__name__}, expected an Ed25519 private key.")
    return key


def load_trusted_keys(folder: Path) -> dict[str, Ed25519PublicKey]:
    """Read every NAME.pub of `folder`.

    Raises
    ------
    EirError
        The folder is missing or holds no key, or a .pub file is no Ed25519 public key.
    """
    paths = sorted(folder.glob("*.pub"))
    if not paths:
        raise EirError(
            f"{folder}: no trusted public keys (*.pub) here; copy the .pub file of whoever signs "
            "your bundles into it."
        )
    return {path.stem: _load_public_key(path) for path in paths}


def verified_by(data: bytes, signature: bytes, keys: Mapping[str, Ed25519PublicKey]) -> str | None:
    """Name of the key whose signature over `data` this is; None when it is no key's."""
    for name, key in keys.items():
        try:
            key.verify(signature, data)
        except InvalidSignature:
            continue
        return name
    return None


def _load_public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EirError(f"{path}: not a public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise EirError(f"{path}: {type(key).__name__}, expected an Ed25519 public key.")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EirError(f"{path}: cannot be read ({error.strerror}).") from error

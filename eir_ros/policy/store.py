"""Writing bundles: hashed, signed, never half-written, never an older version over a newer."""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eir_ros.contract.errors import EirError
from eir_ros.contract.manifest import Manifest
from eir_ros.policy import signing
from eir_ros.policy.bundle import (
    MANIFEST,
    SIGNATURE,
    load_bundle,
    parse_manifest,
    read_files,
    replay_golden,
)


def write_bundle(
    out: Path, manifest: Manifest, files: Mapping[str, bytes], key: Ed25519PrivateKey
) -> Manifest:
    """Put a new bundle of `files` at folder `out`, hashed and signed with `key`.

    An older version of the same bundle that lies there is replaced as a whole.

    Returns
    -------
    The manifest as written, with its `files` and `key` filled in.

    Raises
    ------
    EirError
        `out` holds something else, or the same or a later version, or cannot be written.
    """
    check_newer(out, manifest.name, manifest.version)
    return _write_signed(out, manifest, files, key)


def sign_bundle(folder: Path, key: Ed25519PrivateKey) -> Manifest:
    """Replace the signature of the bundle at `folder`, for which `key` vouches from now on.

    Raises
    ------
    EirError
        The bundle is incomplete, or a file changed since it was exported.
    """
    manifest = read_manifest(folder)
    return _write_signed(folder, manifest, read_files(folder, manifest), key)


def install_bundle(source: Path, out: Path, *, trusted_keys: Path | None = None) -> Manifest:
    """Copy the bundle at `source` to `out` once it is verified and newer than what is there.

    Raises
    ------
    EirError
        See `load_bundle`, `replay_golden` and `check_newer`.
    """
    bundle = load_bundle(source, trusted_keys=trusted_keys)
    replay_golden(bundle)
    check_newer(out, bundle.manifest.name, bundle.manifest.version)
    # not read again: a file that changes meanwhile would come unverified
    _replace(out, bundle.files)
    # the copy is what robots will read, so the copy is what is verified last
    load_bundle(out, trusted_keys=trusted_keys)
    return bundle.manifest


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest at `folder` without trusting it: no signature is checked."""
    path = folder / MANIFEST
    if not path.is_file():
        raise EirError(f"{folder}: there is no bundle here; expected a folder with {MANIFEST}.")
    return parse_manifest(path.read_bytes(), path)


def next_version(out: Path) -> int:
    """One more than the version at `out`; 1 where there is none."""
    return read_manifest(out).version + 1 if (out / MANIFEST).exists() else 1


def check_bundle_or_nothing(out: Path) -> None:
    """Refuse, with an `EirError`, to put a bundle where something else is."""
    empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not empty and not (out / MANIFEST).is_file():
        raise EirError(f"{out} exists and is not a bundle; choose another folder for the bundle.")


def check_newer(out: Path, name: str, version: int) -> None:
    """Refuse, with an `EirError`, to put a bundle where it would not be a step forward."""
    check_bundle_or_nothing(out)
    if not (out / MANIFEST).exists():
        return
    present = read_manifest(out)
    if present.name != name:
        raise EirError(
            f"{out} holds the bundle '{present.name}', not '{name}'; choose another "
            "folder or remove it first."
        )
    if version <= present.version:
        raise EirError(
            f"{out} holds version {present.version} of '{name}', so version "
            f"{version} is refused: versions only grow. The next is {present.version + 1}."
        )


def _write_signed(
    out: Path, manifest: Manifest, files: Mapping[str, bytes], key: Ed25519PrivateKey
) -> Manifest:
    manifest = manifest.model_copy(
        update={
            "files": {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)},
            "key": signing.fingerprint(key.public_key()),
        }
    )
    text = (manifest.model_dump_json(indent=2) + "\n").encode()
    _replace(out, {**files, MANIFEST: text, SIGNATURE: key.sign(text)})
    return manifest


def _replace(out: Path, files: Mapping[str, bytes]) -> None:
    """Make `files` the whole contents of folder `out`; until then `out` is as it was."""
    out = out.absolute()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # on the same file system as `out`, or it could not be renamed to it
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            for name, content in files.items():
                (fresh / name).write_bytes(content)
            replaced = Path(scratch) / "replaced"
            if out.exists():
                out.rename(replaced)
            try:
                fresh.rename(out)
            except BaseException:
                if replaced.exists():
                    replaced.rename(out)
                raise
    except OSError as error:
        # names of the scratch folder would tell nobody anything
        raise EirError(f"{out}: cannot be written ({error.strerror}).") from error

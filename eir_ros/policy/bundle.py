"""A bundle: the signed directory that is the product of training and the input of a robot.

    policy.onnx      one step of actor and belief, normalisation inside
    adversary.onnx   the learned worst-case teammate, for field tests (optional)
    golden.npz       what the policies answered where they were exported
    bundle.json      `contract.manifest.Manifest`, with the SHA-256 of the files above
    bundle.sig       raw Ed25519 signature over the bytes of bundle.json

Everything is read once and checked before it is used; what is refused is refused with a sentence
that says what differs.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eir_ros.contract.config import validate
from eir_ros.contract.coverage import CONTRACT, CoverageTask
from eir_ros.contract.errors import EirError
from eir_ros.contract.manifest import ADVERSARY_FILE, GOLDEN_FILE, POLICY_FILE, Manifest
from eir_ros.policy import signing

MANIFEST = "bundle.json"
SIGNATURE = "bundle.sig"

#: Largest difference from the golden vectors that another machine's arithmetic may make.
GOLDEN_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Bundle:
    """The verified contents of a bundle; nothing is read from disk after this exists."""

    manifest: Manifest
    #: Every file by its name, manifest and signature included, as verified.
    files: Mapping[str, bytes]
    #: See `replay_golden`.
    golden: dict[str, NDArray[np.float32]]
    #: SHA-256 of bundle.json, which covers every other file [hex].
    digest: str
    #: Name of the trusted key that signed.
    signed_by: str

    @property
    def policy(self) -> bytes:
        """Serialised ONNX graph."""
        return self.files[POLICY_FILE]

    @property
    def adversary(self) -> bytes | None:
        """Serialised ONNX graph; None when the bundle ships no adversary."""
        return self.files.get(ADVERSARY_FILE)


def load_bundle(path: str | Path, *, trusted_keys: Path | None = None) -> Bundle:
    """Read the bundle in folder `path` and verify its signature and every file's hash.

    Parameters
    ----------
    trusted_keys
        Folder of the public keys (*.pub) that may sign; by default the package's config/keys.

    Raises
    ------
    EirError
        A file is missing, added or changed, the signature is missing, invalid or by an unknown
        key, or the manifest is of another schema or malformed. The sentence says which.
    """
    folder = Path(path)
    keys = signing.load_trusted_keys(trusted_keys or signing.default_trusted_keys())
    # which, unlike that of pathlib, takes any name
    if not os.path.isdir(folder):
        raise EirError(f"{folder}: there is no bundle here; expected a folder with {MANIFEST}.")
    text = _read(folder / MANIFEST)
    signature = _read(folder / SIGNATURE)
    signed_by = signing.verified_by(text, signature, keys)
    if signed_by is None:
        raise EirError(_why_unverified(folder, text, signature, keys))
    manifest = parse_manifest(text, folder / MANIFEST)
    files = read_files(folder, manifest)
    return Bundle(
        manifest=manifest,
        files={**files, MANIFEST: text, SIGNATURE: signature},
        golden=_parse_golden(files[GOLDEN_FILE], folder / GOLDEN_FILE),
        digest=hashlib.sha256(text).hexdigest(),
        signed_by=signed_by,
    )


def parse_manifest(text: bytes, where: Path) -> Manifest:
    """Read the bytes of a bundle.json; `EirError` on bad JSON, other schemas, bad fields."""
    try:
        data = json.loads(text)
    # UnicodeDecodeError is a ValueError too; RecursionError is what deep nesting makes
    except (ValueError, RecursionError) as error:
        raise EirError(f"{where}: not valid JSON ({error}); copy the bundle again.") from error
    schema = data.get("schema_version") if isinstance(data, dict) else None
    known = Manifest.model_fields["schema_version"].default
    if isinstance(data, dict) and schema != known:
        raise EirError(
            f"{where}: bundle schema {schema!r}, but this eir_ros reads schema {known}; "
            "install the eir_ros that the bundle was exported with."
        )
    return validate(data, Manifest, where=str(where))


def check_team(manifest: Manifest, num_robots: int) -> None:
    """Refuse, with an `EirError`, a team that the policy was not made for."""
    fewest, most = manifest.team.min_robots, manifest.team.max_robots
    if not fewest <= num_robots <= most:
        allowed = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        raise EirError(
            f"a team of {num_robots} {'robot' if num_robots == 1 else 'robots'} was asked for, but "
            f"bundle '{manifest.name}' is for teams of {allowed}; take as many robots, or another "
            "bundle."
        )


def check_contract(manifest: Manifest, task: CoverageTask) -> None:
    """Refuse, with an `EirError`, a bundle whose inputs or actions `task` would not match.

    The sentence names every number of the task, field of the observation (shape, unit, frame)
    and action that differs between the bundle and this installation. That the same numbers mean
    the same observation and command is what the contract's number says.
    """
    if manifest.contract != CONTRACT:
        raise EirError(
            f"bundle '{manifest.name}' keeps contract {manifest.contract} of observations and "
            f"commands, this eir_ros keeps {CONTRACT}; install the eir_ros that the bundle was "
            "exported with, or train and export the team again."
        )
    theirs, ours = manifest.task.model_dump(), task.model_dump()
    found = [
        f"task number '{name}' is {theirs[name]}, expected {ours[name]}"
        for name in ours
        if theirs[name] != ours[name]
    ]
    found += [
        f"observation {difference}" for difference in task.layout.differences(manifest.observation)
    ]
    if manifest.actions != task.actions:
        found.append(
            f"the actions are {', '.join(manifest.actions)}, expected {', '.join(task.actions)}"
        )
    if found:
        raise EirError(
            f"bundle '{manifest.name}' does not fit this task: {'; '.join(found)}. "
            "Export it again for this task or run it with the task that it was trained for."
        )


def replay_golden(bundle: Bundle) -> None:
    """Run the golden observations and compare with the answers recorded at export.

    The vectors are `observation` (T, D), `logits` (T, A) and `belief` (T, N-1, K+1), from a zero
    hidden state, and for the adversary `adversary_types` (T, N) and `adversary_logits` (T, A).

    Raises
    ------
    EirError
        A graph cannot be run, vectors are missing, or an answer differs by more than
        `GOLDEN_TOLERANCE`.
    """
    # onnxruntime takes a while to import, and reading a manifest should not
    from eir_ros.policy.runtime import AdversaryRuntime, PolicyRuntime, UnusableObservation

    golden = bundle.golden
    try:
        policy = PolicyRuntime(bundle)
        steps = [policy.step(observation) for observation in golden["observation"]]
        _compare(POLICY_FILE, "logits", [step.logits for step in steps], golden["logits"])
        _compare(POLICY_FILE, "belief", [step.belief for step in steps], golden["belief"])
        if bundle.adversary is not None:
            adversary = AdversaryRuntime(bundle, seed=0)
            pairs = zip(golden["observation"], golden["adversary_types"], strict=True)
            answers = [adversary.logits(observation, types) for observation, types in pairs]
            _compare(ADVERSARY_FILE, "logits", answers, golden["adversary_logits"])
    except KeyError as error:
        raise EirError(
            f"{GOLDEN_FILE}: array {error} is missing; export the bundle again."
        ) from error
    except (UnusableObservation, ValueError) as error:
        raise EirError(f"{GOLDEN_FILE}: cannot be replayed ({error}); export it again.") from error


def _compare(
    graph: str, name: str, answers: list[NDArray[np.float32]], golden: NDArray[np.float32]
) -> None:
    found = np.asarray(answers)
    if not len(golden) or found.shape != golden.shape:
        raise EirError(
            f"{graph}: its {name} over the golden observations have shape {found.shape}, the "
            f"golden ones {golden.shape}; export the bundle again."
        )
    worst = float(np.abs(found - golden).max())
    # written so that a NaN is refused
    if not worst <= GOLDEN_TOLERANCE:
        raise EirError(
            f"{graph}: its {name} differ from the golden vectors by {worst:.2g}, more than "
            f"{GOLDEN_TOLERANCE:g}: not the weights that were exported, or an onnxruntime that "
            "computes differently on this machine."
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise EirError(
            f"{path.parent}: {path.name} is missing; copy the whole bundle again."
        ) from error
    except OSError as error:
        raise EirError(f"{path}: cannot be read ({error.strerror}).") from error


def read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Read the files that `manifest` lists; `EirError` when one is missing, added or changed."""
    for name in (POLICY_FILE, GOLDEN_FILE):
        if name not in manifest.files:
            raise EirError(f"{folder / MANIFEST}: lists no {name}; export the bundle again.")
    for name in manifest.files:
        if Path(name).name != name:
            raise EirError(f"{folder / MANIFEST}: file '{name}' lies outside the bundle.")
    known = {*manifest.files, MANIFEST, SIGNATURE}
    for entry in sorted(folder.iterdir()):
        if entry.name not in known:
            raise EirError(f"{entry}: not covered by the bundle's signature; move it elsewhere.")
    files = {name: _read(folder / name) for name in manifest.files}
    for name, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        if digest != manifest.files[name]:
            raise EirError(
                f"{folder / name}: changed after it was signed (SHA-256 {digest[:12]}..., the "
                f"manifest says {manifest.files[name][:12]}...); copy the bundle again."
            )
    return files


def _parse_golden(content: bytes, where: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise EirError(f"{where}: not a file of numpy arrays; export it again.") from error


def _why_unverified(folder: Path, text: bytes, signature: bytes, keys: dict[str, Any]) -> str:
    """Explain a signature that no trusted key made; nothing read here is trusted or checked."""
    if len(signature) != signing.SIGNATURE_SIZE:
        return (
            f"{folder / SIGNATURE}: {len(signature)} bytes, an Ed25519 signature has "
            f"{signing.SIGNATURE_SIZE}; copy the bundle again."
        )
    trusted = {signing.fingerprint(key): name for name, key in keys.items()}
    listed = ", ".join(f"{name} ({digits})" for digits, name in trusted.items())
    claimed = _claimed_key(text)
    if claimed is None or claimed in trusted:
        signer = f"key '{trusted[claimed]}' signed" if claimed else "it was signed"
        return (
            f"{folder}: the signature is not valid: {MANIFEST} or {SIGNATURE} was changed after "
            f"{signer}; copy the bundle again."
        )
    return (
        f"{folder}: signed with the unknown key {claimed or '(none)'}; trusted here: {listed}. "
        "If you trust who signed it, copy their .pub file into the folder of trusted keys."
    )


def _claimed_key(text: bytes) -> str | None:
    """The key that an unverified manifest names; None where it is not even JSON."""
    try:
        data = json.loads(text)
    # UnicodeDecodeError is a ValueError too; RecursionError is what deep nesting makes
    except (ValueError, RecursionError):
        return None
    claimed = data.get("key") if isinstance(data, dict) else None
    return claimed if isinstance(claimed, str) else None

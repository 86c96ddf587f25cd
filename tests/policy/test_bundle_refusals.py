"""Every way in which a bundle can be wrong is refused with a sentence of its own."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import TASK, make_keys, npz, tiny_files, tiny_manifest, write_tiny_bundle

from eir_ros.contract.coverage import CONTRACT, CoverageTask
from eir_ros.contract.errors import EirError
from eir_ros.contract.layout import Layout
from eir_ros.contract.manifest import Team
from eir_ros.policy.bundle import check_contract, check_team, load_bundle, replay_golden
from eir_ros.policy.signing import load_private_key
from eir_ros.policy.store import write_bundle

FILES = ("policy.onnx", "adversary.onnx", "golden.npz", "bundle.json", "bundle.sig")


def sign_text(folder: Path, text: bytes, key: Path) -> None:
    """Put `text` in the place of bundle.json with a valid signature."""
    (folder / "bundle.json").write_bytes(text)
    (folder / "bundle.sig").write_bytes(load_private_key(key).sign(text))


def edit_manifest(folder: Path, key: Path, edit: Callable[[dict], None]) -> None:
    """Change bundle.json and sign it again."""
    data = json.loads((folder / "bundle.json").read_text())
    edit(data)
    sign_text(folder, json.dumps(data).encode(), key)


def test_an_intact_bundle_is_accepted(folder: Path, keys: Path) -> None:
    bundle = load_bundle(folder, trusted_keys=keys)
    assert bundle.signed_by == "lab"
    assert bundle.policy == (folder / "policy.onnx").read_bytes()
    assert bundle.adversary == (folder / "adversary.onnx").read_bytes()
    check_team(bundle.manifest, 4)
    check_contract(bundle.manifest, TASK)
    replay_golden(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused_and_its_file_named(folder: Path, keys: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / name).write_bytes(content)
    with pytest.raises(EirError, match=f"{name}.*changed after"):
        load_bundle(folder, trusted_keys=keys)


@pytest.mark.parametrize(
    "text",
    [b'{"schema_version": 7}', b"{", b"[]", b"\xff", b'{"key": 3}', b"[" * 100_000],
    ids=["schema", "json", "list", "bytes", "key", "deep"],
)
def test_a_changed_manifest_is_told_from_a_misspelt_one(
    folder: Path, keys: Path, text: bytes
) -> None:
    (folder / "bundle.json").write_bytes(text)
    with pytest.raises(EirError, match=r"signature is not valid: bundle\.json or .*changed after"):
        load_bundle(folder, trusted_keys=keys)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_and_named(folder: Path, keys: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EirError, match=f"{name} is missing"):
        load_bundle(folder, trusted_keys=keys)


def test_random_bit_flips_are_always_refused(folder: Path, keys: Path) -> None:
    rng = np.random.default_rng(20)
    for name in FILES:
        intact = (folder / name).read_bytes()
        for bit in rng.integers(0, 8 * len(intact), 12):
            damaged = bytearray(intact)
            damaged[bit // 8] ^= 1 << (bit % 8)
            (folder / name).write_bytes(damaged)
            with pytest.raises(EirError):
                load_bundle(folder, trusted_keys=keys)
        (folder / name).write_bytes(intact)
    load_bundle(folder, trusted_keys=keys)


def test_a_truncated_signature_is_refused(folder: Path, keys: Path) -> None:
    (folder / "bundle.sig").write_bytes(b"short")
    with pytest.raises(EirError, match=r"bundle\.sig: 5 bytes.*64"):
        load_bundle(folder, trusted_keys=keys)


def test_a_file_that_the_signature_does_not_cover_is_refused(folder: Path, keys: Path) -> None:
    (folder / "extra.onnx").write_bytes(b"")
    with pytest.raises(EirError, match=r"extra\.onnx: not covered"):
        load_bundle(folder, trusted_keys=keys)


def test_an_unknown_key_is_refused_and_the_trusted_ones_listed(
    folder: Path, tmp_path: Path
) -> None:
    make_keys(tmp_path / "others", "field")
    with pytest.raises(EirError, match=r"unknown key [0-9a-f]{16}; trusted here: field"):
        load_bundle(folder, trusted_keys=tmp_path / "others")


def test_a_key_that_only_claims_to_be_trusted_is_refused(
    folder: Path, keys: Path, tmp_path: Path
) -> None:
    thief = make_keys(tmp_path / "thief", "thief")
    sign_text(folder, (folder / "bundle.json").read_bytes(), thief)
    with pytest.raises(EirError, match="after key 'lab' signed"):
        load_bundle(folder, trusted_keys=keys)


def test_no_trusted_key_at_all_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EirError, match="no trusted public keys"):
        load_bundle(folder, trusted_keys=tmp_path / "nowhere")


def test_no_bundle_at_all_is_refused(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(EirError, match="no bundle here"):
        load_bundle(tmp_path / "nowhere", trusted_keys=keys)


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b""])
def test_unreadable_json_is_refused_though_it_is_signed(
    folder: Path, keys: Path, text: bytes
) -> None:
    sign_text(folder, text, keys / "lab.key")
    with pytest.raises(EirError, match=r"bundle\.json: not valid JSON"):
        load_bundle(folder, trusted_keys=keys)


def test_an_unknown_schema_is_refused(folder: Path, keys: Path) -> None:
    edit_manifest(folder, keys / "lab.key", lambda data: data.update(schema_version=2))
    with pytest.raises(EirError, match=r"bundle schema 2, but this eir_ros reads schema 1"):
        load_bundle(folder, trusted_keys=keys)


def test_an_unknown_key_of_the_manifest_is_refused(folder: Path, keys: Path) -> None:
    edit_manifest(folder, keys / "lab.key", lambda data: data.update(versoin=2))
    with pytest.raises(EirError, match="unknown key 'versoin', did you mean 'version'"):
        load_bundle(folder, trusted_keys=keys)


def test_a_path_out_of_the_bundle_is_refused(folder: Path, keys: Path) -> None:
    edit_manifest(
        folder, keys / "lab.key", lambda data: data["files"].update({"../secret": "00" * 32})
    )
    with pytest.raises(EirError, match=r"'\.\./secret' lies outside"):
        load_bundle(folder, trusted_keys=keys)


def test_a_manifest_without_golden_vectors_is_refused(folder: Path, keys: Path) -> None:
    edit_manifest(folder, keys / "lab.key", lambda data: data["files"].pop("golden.npz"))
    with pytest.raises(EirError, match=r"lists no golden\.npz"):
        load_bundle(folder, trusted_keys=keys)


@pytest.mark.parametrize(("robots", "team", "said"), [(3, (4, 4), "4"), (9, (4, 8), "4 to 8")])
def test_a_team_outside_the_range_is_refused(robots: int, team: tuple[int, int], said: str) -> None:
    manifest = tiny_manifest(team=Team(min_robots=team[0], max_robots=team[1]))
    check_team(manifest, 4)
    with pytest.raises(
        EirError, match=f"team of {robots} robots was asked for.*for teams of {said};"
    ):
        check_team(manifest, robots)


def test_an_observation_that_differs_in_one_unit_is_refused() -> None:
    fields = [
        field.model_copy(update={"unit": "mm"}) if field.name == "sites" else field
        for field in TASK.layout.fields
    ]
    manifest = tiny_manifest(observation=Layout(fields=tuple(fields)))
    with pytest.raises(EirError, match="observation field 'sites' has unit mm, expected m"):
        check_contract(manifest, TASK)


def test_another_set_of_actions_is_refused() -> None:
    manifest = tiny_manifest(actions=("halt", *TASK.actions[1:]))
    with pytest.raises(EirError, match=r"the actions are halt, east, .*, expected stop, east"):
        check_contract(manifest, TASK)


def test_every_task_number_that_differs_is_named() -> None:
    task = CoverageTask(decision_ticks=5, max_speed=1.0)
    with pytest.raises(EirError, match="'decision_ticks' is 2, expected 5") as refusal:
        check_contract(tiny_manifest(), task)
    assert "'max_speed' is 0.5, expected 1.0" in str(refusal.value)


def test_commands_of_another_contract_are_refused_though_every_name_fits() -> None:
    check_contract(tiny_manifest(contract=CONTRACT), TASK)
    with pytest.raises(EirError, match=f"keeps contract {CONTRACT + 1} .* keeps {CONTRACT};"):
        check_contract(tiny_manifest(contract=CONTRACT + 1), TASK)


def test_golden_vectors_catch_changed_weights_under_a_trusted_signature(
    tmp_path: Path, keys: Path
) -> None:
    for graph in ("policy.onnx", "adversary.onnx"):
        files = tiny_files(seed=0) | {graph: tiny_files(seed=1)[graph]}
        out = tmp_path / graph
        write_bundle(out, tiny_manifest(), files, load_private_key(keys / "lab.key"))
        bundle = load_bundle(out, trusted_keys=keys)
        with pytest.raises(EirError, match=f"{graph}: its logits differ from the golden"):
            replay_golden(bundle)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda arrays: arrays.pop("belief"), "'belief' is missing"),
        (lambda arrays: arrays.update(logits=arrays["logits"][:0]), "have shape"),
        (lambda arrays: arrays.update(logits=arrays["logits"] * np.nan), "differ .* by nan"),
        (lambda arrays: arrays.update(observation=arrays["observation"] * np.inf), "not a finite"),
        (lambda arrays: arrays.update(adversary_types=arrays["adversary_types"][:3]), "replayed"),
    ],
)
def test_useless_golden_vectors_are_refused(
    tmp_path: Path, keys: Path, damage: Callable[[dict], None], said: str
) -> None:
    write_tiny_bundle(tmp_path / "bundle", keys / "lab.key")
    arrays = dict(load_bundle(tmp_path / "bundle", trusted_keys=keys).golden)
    damage(arrays)
    files = tiny_files() | {"golden.npz": npz(**arrays)}
    out = tmp_path / "useless"
    write_bundle(out, tiny_manifest(), files, load_private_key(keys / "lab.key"))
    with pytest.raises(EirError, match=said):
        replay_golden(load_bundle(out, trusted_keys=keys))


@pytest.mark.parametrize("golden", [b"", b"nonsense", b"PK\x03\x04"])
def test_golden_vectors_that_are_no_arrays_are_refused(
    tmp_path: Path, keys: Path, golden: bytes
) -> None:
    files = tiny_files() | {"golden.npz": golden}
    write_bundle(tmp_path / "b", tiny_manifest(), files, load_private_key(keys / "lab.key"))
    with pytest.raises(EirError, match=r"golden\.npz: not a file of numpy arrays"):
        load_bundle(tmp_path / "b", trusted_keys=keys)


def test_golden_vectors_cannot_carry_code(tmp_path: Path, keys: Path) -> None:
    files = tiny_files() | {"golden.npz": npz(observation=np.array([object()]))}
    write_bundle(tmp_path / "b", tiny_manifest(), files, load_private_key(keys / "lab.key"))
    with pytest.raises(EirError, match="not a file of numpy arrays"):
        load_bundle(tmp_path / "b", trusted_keys=keys)

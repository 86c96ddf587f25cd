"""The manifest of a bundle, `bundle.json`: what a robot must know before it trusts a policy."""

from typing import Any, Final, Literal

from pydantic import Field as Setting

from eir_ros.contract.config import Schema
from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.layout import Layout
from eir_ros.contract.types import BYZANTINE_TYPES

#: Names of the files of a bundle that `Manifest.files` lists.
POLICY_FILE: Final = "policy.onnx"
ADVERSARY_FILE: Final = "adversary.onnx"
GOLDEN_FILE: Final = "golden.npz"


class Tensor(Schema):
    """A named input or output of the ONNX graph; -1 stands for the batch dimension."""

    name: str
    shape: tuple[int, ...]


class Team(Schema):
    """How many robots the policy may be run with."""

    min_robots: int = Setting(ge=2)
    max_robots: int = Setting(ge=2)


class BeliefInfo(Schema):
    """How beliefs of this bundle are to be read."""

    #: The belief of a fresh observer about each teammate: p over types.
    prior: tuple[float, ...]
    #: p(adversary) above this for `contract.detection.CONSECUTIVE` decisions is a detection.
    threshold: float = Setting(gt=0, lt=1)


class Provenance(Schema):
    """What made the weights: enough to make them again."""

    recipe: dict[str, Any]
    seed: int
    commit: str
    command: str
    machine: str
    iterations: int
    decisions: int
    wall_s: float


class Manifest(Schema):
    """`bundle.json`, schema 1.

    `files` holds the SHA-256 of every other file of the bundle but the signature; the signature
    is made over the bytes of `bundle.json` itself, so it covers them all.
    """

    schema_version: Literal[1] = 1
    #: `contract.coverage.CONTRACT` of the eir_ros that the policy was trained with.
    contract: int = Setting(1, ge=1)
    name: str
    #: Grows with every release of the same name; `policy.store` never replaces one by an older.
    version: int = Setting(ge=1)
    created: str
    method: str
    task_name: Literal["coverage"] = "coverage"
    task: CoverageTask
    observation: Layout
    actions: tuple[str, ...]
    team: Team
    types: tuple[str, ...] = BYZANTINE_TYPES
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    belief: BeliefInfo
    #: Fault kinds that the team met in training.
    trained_faults: tuple[str, ...]
    training: Provenance
    #: Returns and belief quality measured on held-out seeds, with what measured them.
    scorecard: dict[str, Any]
    files: dict[str, str]
    #: Fingerprint of the key that signed: explains a refusal, and never decides one.
    key: str = ""

"""A bundle small enough to be made in a test: right names and shapes, random weights, no torch."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from eir_ros.contract.coverage import CoverageTask
from eir_ros.contract.manifest import BeliefInfo, Manifest, Provenance, Team, Tensor
from eir_ros.policy import signing
from eir_ros.policy.bundle import Bundle
from eir_ros.policy.runtime import AdversaryRuntime, PolicyRuntime
from eir_ros.policy.store import write_bundle

TASK = CoverageTask()
N, D, A, H = TASK.num_robots, TASK.layout.size, len(TASK.actions), 8
GOLDEN_STEPS = 12


def make_keys(folder: Path, name: str = "lab") -> Path:
    """A key pair in `folder`, which then is a folder of trusted keys; returns the private key."""
    return signing.generate_key(folder, name)[0]


def write_tiny_bundle(folder: Path, key: Path, seed: int = 0, **changes: Any) -> Manifest:
    """Write a bundle at `folder`; `changes` replace fields of its manifest."""
    return write_bundle(
        folder, tiny_manifest(**changes), tiny_files(seed), signing.load_private_key(key)
    )


def tiny_manifest(**changes: Any) -> Manifest:
    """The manifest of the tiny bundle before it is signed."""
    fields: dict[str, Any] = {
        "name": "tiny",
        "version": 1,
        "created": "2024-01-01T00:00:00+00:00",
        "method": "none",
        "task": TASK,
        "observation": TASK.layout,
        "actions": TASK.actions,
        "team": Team(min_robots=N, max_robots=N),
        "inputs": (
            Tensor(name="observation", shape=(-1, D)),
            Tensor(name="hidden", shape=(-1, N - 1, H)),
        ),
        "outputs": (
            Tensor(name="logits", shape=(-1, A)),
            Tensor(name="belief", shape=(-1, N - 1, 2)),
            Tensor(name="next_hidden", shape=(-1, N - 1, H)),
        ),
        "belief": BeliefInfo(prior=(0.5, 0.5), threshold=0.9),
        "trained_faults": ("stop",),
        "training": Provenance(
            recipe={}, seed=0, commit="", command="", machine="", iterations=0, decisions=0,
            wall_s=0.0,
        ),
        "scorecard": {},
        "files": {},
    }  # fmt: skip
    return Manifest(**(fields | changes))


def tiny_files(seed: int = 0) -> dict[str, bytes]:
    """Contents of policy.onnx, adversary.onnx and golden.npz."""
    rng = np.random.default_rng(seed)
    policy, adversary = tiny_policy(rng), tiny_adversary(rng)
    return {
        "policy.onnx": policy,
        "adversary.onnx": adversary,
        "golden.npz": tiny_golden(policy, adversary, rng),
    }


def tiny_policy(rng: np.random.Generator) -> bytes:
    """A graph with memory: next_hidden = tanh(hidden / 2 + centred(observation W))."""
    weights = {
        "halve": np.array(0.5),
        "last": np.array([-1], np.int64),
        "rows": np.array([-1, N - 1, H], np.int64),
        "flat": np.array([-1, (N - 1) * H], np.int64),
        "w_hidden": rng.normal(0, 0.3, (D, (N - 1) * H)),
        "w_belief": rng.normal(0, 1, (H, 2)),
        "w_logits": rng.normal(0, 1, ((N - 1) * H, A)),
    }
    node = helper.make_node
    nodes = [
        node("MatMul", ["observation", "w_hidden"], ["seen"]),
        node("ReduceMean", ["seen", "last"], ["mean"]),
        node("Sub", ["seen", "mean"], ["centred"]),
        node("Reshape", ["centred", "rows"], ["evidence"]),
        node("Mul", ["hidden", "halve"], ["remembered"]),
        node("Add", ["remembered", "evidence"], ["sum"]),
        node("Tanh", ["sum"], ["next_hidden"]),
        node("MatMul", ["next_hidden", "w_belief"], ["scores"]),
        node("Softmax", ["scores"], ["belief"], axis=-1),
        node("Reshape", ["next_hidden", "flat"], ["memory"]),
        node("MatMul", ["memory", "w_logits"], ["logits"]),
    ]
    inputs = {"observation": (D,), "hidden": (N - 1, H)}
    outputs = {"logits": (A,), "belief": (N - 1, 2), "next_hidden": (N - 1, H)}
    return _model(nodes, inputs, outputs, weights)


def tiny_adversary(rng: np.random.Generator) -> bytes:
    """A linear graph over observation and types."""
    nodes = [
        helper.make_node("Concat", ["observation", "types"], ["both"], axis=-1),
        helper.make_node("MatMul", ["both", "w"], ["logits"]),
    ]
    weights = {"w": rng.normal(0, 0.3, (D + N, A))}
    return _model(nodes, {"observation": (D,), "types": (N,)}, {"logits": (A,)}, weights)


def tiny_golden(policy: bytes, adversary: bytes, rng: np.random.Generator) -> bytes:
    """Golden vectors over random observations."""
    files = {"policy.onnx": policy, "adversary.onnx": adversary}
    bundle = Bundle(tiny_manifest(), files, {}, "", "")
    observations = rng.normal(0, 1, (GOLDEN_STEPS, D)).astype(np.float32)
    types = np.eye(N, dtype=np.float32)[np.arange(GOLDEN_STEPS) % N]
    runtime, corrupted = PolicyRuntime(bundle), AdversaryRuntime(bundle, seed=0)
    steps = [runtime.step(observation) for observation in observations]
    return npz(
        observation=observations,
        logits=np.stack([step.logits for step in steps]),
        belief=np.stack([step.belief for step in steps]),
        adversary_types=types,
        adversary_logits=np.stack(
            [corrupted.logits(o, t) for o, t in zip(observations, types, strict=True)]
        ),
    )


def npz(**arrays: NDArray[Any]) -> bytes:
    """The bytes of an npz file of `arrays`."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _model(
    nodes: list[Any],
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    weights: dict[str, NDArray[Any]],
) -> bytes:
    def values(tensors: dict[str, tuple[int, ...]]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
            for name, shape in tensors.items()
        ]

    constants = [
        numpy_helper.from_array(v if v.dtype == np.int64 else v.astype(np.float32), name)
        for name, v in weights.items()
    ]
    graph = helper.make_graph(nodes, "tiny", values(inputs), values(outputs), constants)
    opset = [helper.make_opsetid("", 18)]
    model: bytes = helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    return model

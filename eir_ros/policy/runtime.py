"""Running the policies of a bundle with onnxruntime, one robot and one decision at a time."""

from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from eir_ros.contract.errors import EirError
from eir_ros.contract.layout import Layout
from eir_ros.contract.manifest import ADVERSARY_FILE, POLICY_FILE
from eir_ros.contract.types import ADVERSARY, COOPERATIVE, p_adversary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eir_ros.contract.manifest import Tensor
    from eir_ros.policy.bundle import Bundle

Floats = NDArray[np.float32]


class UnusableObservation(Exception):  # noqa: N818 - it is the observation that is at fault
    """The observation is not finite, or made the policy's answer not finite.

    There is no action then, and the hidden states stay as they were: catch it, hold, and step
    again with the next observation.
    """


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """What the policy made of one observation."""

    #: Index of the action with the largest logit.
    action: int
    #: p over types of each teammate in the order of `contract.types.teammates`, (N-1, K+1)
    belief: Floats
    #: One per action, (A,)
    logits: Floats
    #: Time that onnxruntime took [us].
    inference_us: float


class PolicyRuntime:
    """The team's policy and its beliefs, with the recurrent state of one robot.

    Raises
    ------
    EirError
        policy.onnx cannot be loaded, or its inputs and outputs are not those of the manifest.
    """

    def __init__(self, bundle: "Bundle") -> None:
        manifest = bundle.manifest
        self.layout: Layout = manifest.observation
        self._session = make_session(bundle.policy, POLICY_FILE)
        _check_tensors(self._session, manifest.inputs, manifest.outputs, POLICY_FILE)
        hidden = next(tensor for tensor in manifest.inputs if tensor.name == "hidden")
        self._zeros = np.zeros((1, *hidden.shape[1:]), np.float32)
        #: Whether there is a hidden state for each teammate.
        self.pairwise = len(hidden.shape) == 3 and hidden.shape[1] == manifest.task.num_robots - 1
        self.reset()

    def reset(self) -> None:
        """Forget the episode: every belief starts from its prior again."""
        self._hidden = self._certain = self._zeros
        self._certain_p = np.zeros(self._zeros.shape[1])

    def step(
        self, observation: ArrayLike, distrusted: NDArray[np.bool_] | None = None
    ) -> PolicyStep:
        """Decide on one observation (D,) laid out as the manifest's `observation`.

        Teammates that are `distrusted`, (N-1,), are acted upon as when the belief was surest since
        they are: the actor is given the hidden state of that moment. Their beliefs, in the answer,
        go on undisturbed. A bundle without a hidden state for each teammate makes no difference.

        Raises
        ------
        UnusableObservation
            See there; the hidden state is unchanged.
        """
        batch = _usable(observation, self.layout)
        before = perf_counter_ns()
        logits, belief, hidden = self._session.run(
            ("logits", "belief", "next_hidden"), {"observation": batch, "hidden": self._hidden}
        )
        inference_us = (perf_counter_ns() - before) / 1e3
        # a number too large for float32 would otherwise stay in the hidden state for ever
        if not (np.isfinite(logits).all() and np.isfinite(hidden).all()):
            raise UnusableObservation("the policy's answer to this observation is not finite")
        if self.pairwise:
            out = np.zeros(len(self._certain_p), bool) if distrusted is None else distrusted
            if out.any():
                logits, more_us = self._acted_upon(batch, out)
                inference_us += more_us
            self._remember(belief[0], hidden, out)
        self._hidden = hidden
        return PolicyStep(int(logits[0].argmax()), belief[0], logits[0], inference_us)

    def _acted_upon(self, batch: Floats, distrusted: NDArray[np.bool_]) -> tuple[Floats, float]:
        """Logits of an actor that is certain about some teammates, and the time it took [us]."""
        hidden = np.where(distrusted[None, :, None], self._certain, self._hidden)
        before = perf_counter_ns()
        (logits,) = self._session.run(("logits",), {"observation": batch, "hidden": hidden})
        if not np.isfinite(logits).all():
            raise UnusableObservation("the policy's answer to this observation is not finite")
        return logits, (perf_counter_ns() - before) / 1e3

    def _remember(self, belief: Floats, hidden: Floats, distrusted: NDArray[np.bool_]) -> None:
        """Keep the hidden states of the moment at which each belief was surest."""
        p = p_adversary(belief)
        surer = ~distrusted | (p > self._certain_p)
        self._certain = np.where(surer[None, :, None], hidden, self._certain)
        self._certain_p = np.where(surer, p, self._certain_p)


class AdversaryRuntime:
    """The learned worst-case policy of the bundle, for fault injection.

    Parameters
    ----------
    bundle
        Must hold adversary.onnx.
    seed
        Seed of the generator that actions are drawn with.

    Raises
    ------
    EirError
        The bundle has no adversary, or adversary.onnx does not fit the manifest.
    """

    def __init__(self, bundle: "Bundle", seed: int | np.random.SeedSequence) -> None:
        manifest = bundle.manifest
        if bundle.adversary is None:
            raise EirError(
                f"bundle '{manifest.name}' holds no {ADVERSARY_FILE}; inject another kind of "
                "fault, or export a checkpoint that was trained against an adversary."
            )
        self.layout: Layout = manifest.observation
        self._num_robots = manifest.task.num_robots
        self._rng = np.random.default_rng(seed)
        self._session = make_session(bundle.adversary, ADVERSARY_FILE)
        _check_names(self._session, {"observation", "types"}, {"logits"}, ADVERSARY_FILE)

    def logits(self, observation: ArrayLike, types: ArrayLike) -> Floats:
        """Logits (A,) of one observation (D,) and the true types (N,), 1 = corrupted."""
        inputs = {
            "observation": _usable(observation, self.layout),
            "types": np.asarray(types, np.float32)[None],
        }
        logits: Floats = self._session.run(("logits",), inputs)[0][0]
        if not np.isfinite(logits).all():
            raise UnusableObservation("the adversary's answer to this observation is not finite")
        return logits

    def step(self, observation: ArrayLike, index: int) -> int:
        """Draw the action of corrupted robot `index` of the roster from softmax(logits).

        Raises
        ------
        UnusableObservation
            The observation (D,) or the answer to it is not finite; no number was drawn.
        """
        types = np.full(self._num_robots, COOPERATIVE)
        types[index] = ADVERSARY
        logits = self.logits(observation, types).astype(np.float64)
        cumulative = np.cumsum(np.exp(logits - logits.max()))
        # below the last entry also when the draw rounds up, so the index is always valid
        return int((cumulative[:-1] <= self._rng.random() * cumulative[-1]).sum())


def _usable(observation: ArrayLike, layout: Layout) -> Floats:
    """The observation as a float32 batch of one, (1, D)."""
    vector = np.asarray(observation, np.float32)
    finite = np.isfinite(vector)
    if not finite.all():
        wrong = (name for name, part in layout.slices().items() if not finite[part].all())
        raise UnusableObservation(f"not a finite number in {', '.join(wrong)}")
    return vector[None]


def make_session(model: bytes, name: str) -> onnxruntime.InferenceSession:
    """Load a graph to run in one thread; `EirError` names the file that cannot be loaded."""
    options = onnxruntime.SessionOptions()
    # one robot, one small graph: more threads cost more than they bring
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    # onnxruntime's own exceptions have no public common base
    except Exception as error:
        raise EirError(f"{name}: onnxruntime cannot load it: {error}") from error


def _check_tensors(
    session: onnxruntime.InferenceSession,
    inputs: "Sequence[Tensor]",
    outputs: "Sequence[Tensor]",
    name: str,
) -> None:
    _check_names(
        session, {tensor.name for tensor in inputs}, {tensor.name for tensor in outputs}, name
    )
    declared = {tensor.name: tensor.shape[1:] for tensor in (*inputs, *outputs)}
    for tensor in (*session.get_inputs(), *session.get_outputs()):
        # the first dimension is the batch, which is symbolic
        if tuple(tensor.shape[1:]) != declared[tensor.name]:
            raise EirError(
                f"{name}: '{tensor.name}' has shape {tuple(tensor.shape[1:])} per robot, "
                f"bundle.json says {declared[tensor.name]}."
            )


def _check_names(
    session: onnxruntime.InferenceSession, inputs: set[str], outputs: set[str], name: str
) -> None:
    for what, found, expected in (
        ("inputs", session.get_inputs(), inputs),
        ("outputs", session.get_outputs(), outputs),
    ):
        names: set[Any] = {tensor.name for tensor in found}
        if names != expected:
            raise EirError(
                f"{name}: its {what} are {', '.join(sorted(names))}, "
                f"expected {', '.join(sorted(expected))}."
            )

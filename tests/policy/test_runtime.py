"""What runs on the robot: recurrent state, defined answers to bad input, honest sampling."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_bundle import TASK, A, D, H, N, tiny_manifest

from eir_ros.contract.errors import EirError
from eir_ros.contract.manifest import Tensor
from eir_ros.contract.paths import share
from eir_ros.policy.bundle import Bundle, load_bundle
from eir_ros.policy.runtime import AdversaryRuntime, PolicyRuntime, UnusableObservation


@pytest.fixture
def bundle(folder: Path, keys: Path) -> Bundle:
    return load_bundle(folder, trusted_keys=keys)


def test_a_step_has_the_promised_shapes_and_the_action_is_the_largest_logit(
    bundle: Bundle,
) -> None:
    step = PolicyRuntime(bundle).step(np.ones(D))
    assert step.logits.shape == (A,)
    assert step.belief.shape == (N - 1, 2)
    assert step.logits.dtype == step.belief.dtype == np.float32
    np.testing.assert_allclose(step.belief.sum(-1), 1.0, atol=1e-6)
    assert step.action == step.logits.argmax()
    assert step.inference_us > 0


def test_beliefs_remember_until_they_are_reset(bundle: Bundle) -> None:
    runtime = PolicyRuntime(bundle)
    first = runtime.step(np.ones(D))
    assert not np.array_equal(runtime.step(np.ones(D)).belief, first.belief)
    runtime.reset()
    np.testing.assert_array_equal(runtime.step(np.ones(D)).belief, first.belief)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_observation_that_is_not_finite_gives_no_action_and_is_forgotten(
    bundle: Bundle, bad: float
) -> None:
    disturbed, calm = PolicyRuntime(bundle), PolicyRuntime(bundle)
    observation = np.ones(D)
    observation[TASK.layout.slices()["served"]] = bad
    disturbed.step(np.ones(D))
    calm.step(np.ones(D))
    with pytest.raises(UnusableObservation, match="not a finite number in served"):
        disturbed.step(observation)
    np.testing.assert_array_equal(disturbed.step(np.zeros(D)).logits, calm.step(np.zeros(D)).logits)


def test_numbers_too_large_for_the_network_do_not_stay_in_its_memory(bundle: Bundle) -> None:
    runtime = PolicyRuntime(bundle)
    with pytest.raises(UnusableObservation, match="answer to this observation is not finite"):
        runtime.step(np.full(D, 3e38))
    assert np.isfinite(runtime.step(np.ones(D)).logits).all()


def test_graphs_that_do_not_fit_the_manifest_are_refused(bundle: Bundle) -> None:
    with pytest.raises(EirError, match=r"policy\.onnx: onnxruntime cannot load it"):
        PolicyRuntime(replace(bundle, files={"policy.onnx": b"nonsense"}))
    assert bundle.adversary is not None
    with pytest.raises(EirError, match=r"policy\.onnx: its inputs are observation, types"):
        PolicyRuntime(replace(bundle, files={"policy.onnx": bundle.adversary}))
    wide = (Tensor(name="observation", shape=(-1, D)), Tensor(name="hidden", shape=(-1, N, H)))
    with pytest.raises(EirError, match=r"'hidden' has shape .* bundle\.json says \(4, 8\)"):
        PolicyRuntime(replace(bundle, manifest=tiny_manifest(inputs=wide)))
    with pytest.raises(EirError, match=r"adversary\.onnx: its inputs are hidden, observation"):
        AdversaryRuntime(replace(bundle, files={"adversary.onnx": bundle.policy}), seed=0)


def test_a_bundle_without_an_adversary_says_so(bundle: Bundle) -> None:
    with pytest.raises(EirError, match=r"'tiny' holds no adversary\.onnx"):
        AdversaryRuntime(replace(bundle, files={}), seed=0)


def test_the_adversary_samples_its_own_distribution_and_repeats_with_its_seed(
    bundle: Bundle,
) -> None:
    observation = np.linspace(-1, 1, D)
    one, two = AdversaryRuntime(bundle, seed=3), AdversaryRuntime(bundle, seed=3)
    drawn = [one.step(observation, index=2) for _ in range(4000)]
    assert drawn == [two.step(observation, index=2) for _ in range(4000)]
    logits = one.logits(observation, [0, 0, 1, 0]).astype(np.float64)
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    share = np.bincount(drawn, minlength=A) / len(drawn)
    # four standard errors of a share of 4000 draws
    np.testing.assert_allclose(share, expected, atol=4 * 0.5 / np.sqrt(len(drawn)))


def test_the_adversary_holds_no_action_for_an_observation_that_is_not_finite(
    bundle: Bundle,
) -> None:
    with pytest.raises(UnusableObservation, match="position"):
        AdversaryRuntime(bundle, seed=0).step(np.full(D, np.nan), index=0)


def watched(bundle: Bundle, distrusted_from: int | None) -> tuple[list, list]:
    """Beliefs and logits of robot 0 of the shipped team: a teammate stands, then works again."""
    runtime, slices = PolicyRuntime(bundle), bundle.manifest.observation.slices()
    beliefs, logits = [], []
    rng = np.random.default_rng(0)
    for number in range(60):
        observation = np.zeros(bundle.manifest.observation.size, np.float32)
        observation[slices["teammate_visible"]] = 1.0
        observation[slices["teammate_position"]] = [1.5, 1.5, -1.5, 1.5, 1.5, -1.5]
        if number >= 30:
            # the suspect, the first of the three, is busy again
            observation[slices["teammate_velocity"]][:2] = rng.uniform(-0.5, 0.5, 2)
            observation[slices["sites"]][:2] = observation[slices["teammate_position"]][:2]
        observation[slices["identity"]][0] = 1.0
        out = np.array([True, False, False])
        distrusted = out if distrusted_from is not None and number >= distrusted_from else None
        step = runtime.step(observation, distrusted)
        beliefs.append(step.belief)
        logits.append(step.logits)
    return beliefs, logits


def test_who_is_distrusted_is_believed_otherwise_or_acted_upon_as_before() -> None:
    """Beliefs go on as if nothing were, or nobody could earn back trust; decisions do not."""
    bundle = load_bundle(share() / "policies" / "coverage")
    assert PolicyRuntime(bundle).pairwise
    beliefs, logits = watched(bundle, None)
    same, other = watched(bundle, 30)
    np.testing.assert_array_equal(np.array(same), np.array(beliefs))
    np.testing.assert_array_equal(np.array(other[:30]), np.array(logits[:30]))
    assert np.abs(np.array(other[31:]) - np.array(logits[31:])).max() > 1e-3


def test_a_distrust_outlives_its_mission(bundle: Bundle) -> None:
    runtime, fresh = PolicyRuntime(bundle), PolicyRuntime(bundle)
    out = np.array([True, False, False])
    for _ in range(5):
        runtime.step(np.ones(D), out)
    runtime.reset()
    np.testing.assert_array_equal(
        runtime.step(np.ones(D), out).logits, fresh.step(np.ones(D), out).logits
    )

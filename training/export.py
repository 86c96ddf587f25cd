"""From a training run to a bundle: two ONNX graphs, their golden vectors and the manifest.

A graph is exported only if onnxruntime and torch agree on it over a closed-loop episode, hidden
states included: a policy that flies differently from the one that was trained is refused here.
"""

import io
import logging
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
import onnxruntime
import onnxscript
import torch
from numpy.typing import NDArray
from onnxscript import opset18
from onnxscript.rewriter.rules.common import materialize_reshape_shape_rule
from torch import Tensor, nn

from eir_ros.contract.coverage import CONTRACT, CoverageTask
from eir_ros.contract.errors import EirError
from eir_ros.contract.manifest import (
    ADVERSARY_FILE,
    GOLDEN_FILE,
    POLICY_FILE,
    BeliefInfo,
    Manifest,
    Provenance,
)
from eir_ros.contract.manifest import Team as TeamSize
from eir_ros.contract.manifest import Tensor as TensorInfo
from sim.swarm.env import CoverageEnv
from training.attack import load_attack
from training.checkpoint import Run
from training.game import make_game
from training.methods import METHODS
from training.team import Adversary, BeliefSource, Team

#: LayerNormalization is an operator of its own from 17 on; 17 comes out invalid with dynamo.
OPSET = 18
#: Largest difference between torch and onnxruntime, in float32 logits and probabilities.
TOLERANCE = 1e-5
#: Decisions of the episode that the golden vectors are taken from.
GOLDEN_STEPS = 200


def task_of(run: Run) -> CoverageTask:
    """The task of the robots that a run was trained for.

    Raises
    ------
    EirError
        It was trained in a world that no robot lives in.
    """
    game = make_game(run.recipe, 1)
    task = getattr(game.env, "task", None)
    game.close()
    if not isinstance(task, CoverageTask):
        raise EirError(
            f"a team trained in '{run.recipe.environment}' cannot be exported: robots know the "
            "task of 'swarm-coverage' only."
        )
    return task


def trained_adversary(run: Run) -> Adversary | None:
    """The run's adversary, if its method trains one."""
    return run.adversary if METHODS[run.recipe.method].attacked else None


def attack_on(run: Run, path: Path) -> Adversary:
    """The adversary that `eir attack` wrote to `path`, to go with the team of `run`.

    Raises
    ------
    EirError
        It is no attack, or one on another team: it observes or acts otherwise.
    """
    adversary = load_attack(path)
    theirs, ours = adversary.view.shape, run.team.view.shape
    if theirs != ours:
        raise EirError(
            f"{path} attacks a team of {theirs.num_agents} with {theirs.observation} numbers per "
            f"observation and {theirs.num_actions} actions; expected {ours.num_agents}, "
            f"{ours.observation} and {ours.num_actions}, as in this checkpoint. Train one against "
            "this team: eir attack CHECKPOINT."
        )
    return adversary


def export_files(team: Team, adversary: Adversary | None, task: CoverageTask) -> dict[str, bytes]:
    """Contents of policy.onnx, golden.npz and, with an `adversary`, adversary.onnx.

    Raises
    ------
    EirError
        The team reads true types, which no robot can, or the graphs disagree with the networks.
    """
    if team.source is BeliefSource.TRUE:
        raise EirError(
            "a True Type team reads the true types of its teammates, which a robot cannot know; "
            "export a checkpoint of another method."
        )
    files = {POLICY_FILE: policy_graph(team, task)}
    if adversary is not None:
        files[ADVERSARY_FILE] = adversary_graph(adversary, task)
    vectors = golden_vectors(team, adversary, task, files)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **vectors)
    return {**files, GOLDEN_FILE: buffer.getvalue()}


def policy_tensors(
    team: Team, task: CoverageTask
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Inputs and outputs of policy.onnx as the manifest lists them, -1 for the batch."""
    hidden = (-1, team.belief.memories, team.belief.hidden)
    inputs = (
        TensorInfo(name="observation", shape=(-1, task.layout.size)),
        TensorInfo(name="hidden", shape=hidden),
    )
    outputs = (
        TensorInfo(name="logits", shape=(-1, len(task.actions))),
        TensorInfo(name="belief", shape=(-1, task.num_robots - 1, team.num_types)),
        TensorInfo(name="next_hidden", shape=hidden),
    )
    return inputs, outputs


def describe(
    run: Run, name: str, version: int, threshold: float, scorecard: dict[str, Any]
) -> Manifest:
    """Everything of the manifest but the hashes of the files and the key."""
    recipe, task = run.recipe, task_of(run)
    inputs, outputs = policy_tensors(run.team, task)
    attacked = METHODS[recipe.method].attacked
    return Manifest(
        contract=CONTRACT,
        name=name,
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        method=recipe.method,
        task=task,
        observation=task.layout,
        actions=task.actions,
        team=TeamSize(min_robots=task.num_robots, max_robots=task.num_robots),
        inputs=inputs,
        outputs=outputs,
        belief=BeliefInfo(prior=_prior(run.team, task), threshold=threshold),
        trained_faults=tuple(k for k, w in recipe.faults.kinds.items() if attacked and w > 0),
        training=Provenance(
            recipe=recipe.model_dump(mode="json"),
            seed=recipe.seed,
            commit=run.commit,
            command="eir train RECIPE, with the recipe recorded here",
            machine=run.machine,
            iterations=run.iteration,
            decisions=run.iteration * recipe.batch * recipe.steps,
            wall_s=round(run.wall_s, 1),
        ),
        scorecard=scorecard,
        files={},
    )


def policy_graph(team: Team, task: CoverageTask) -> bytes:
    """ONNX graph of `Team.forward`: observation, hidden -> logits, belief, next_hidden."""
    example = (torch.zeros(2, task.layout.size), team.initial_state(2))
    return _graph(team, example, ["observation", "hidden"], ["logits", "belief", "next_hidden"])


def adversary_graph(adversary: Adversary, task: CoverageTask) -> bytes:
    """ONNX graph of `Adversary.forward`: observation, types -> logits."""
    example = (torch.zeros(2, task.layout.size), torch.zeros(2, task.num_robots))
    return _graph(adversary, example, ["observation", "types"], ["logits"])


@torch.no_grad()
def golden_vectors(
    team: Team,
    adversary: Adversary | None,
    task: CoverageTask,
    files: dict[str, bytes],
    steps: int = GOLDEN_STEPS,
    seed: int = 0,
) -> dict[str, NDArray[np.float32]]:
    """Fly the exported policy for one episode and record what the first robot saw and answered.

    From half-way on the last robot stops, so that beliefs have something to say. The networks
    run beside the graphs with hidden states of their own.

    Returns
    -------
    `observation` (T, D), `logits` (T, A) and `belief` (T, N-1, K+1) from a zero hidden state;
    with an adversary also `adversary_types` (T, N) and `adversary_logits` (T, A).

    Raises
    ------
    EirError
        A graph and its network differ by more than `TOLERANCE` or choose different actions.
    """
    team.eval()
    policy = _session(files[POLICY_FILE])
    env = CoverageEnv(batch=1, seed=seed, task=task, episode_decisions=steps + 1)
    observation = env.reset()[0]
    hidden = team.initial_state(task.num_robots)
    state = hidden.numpy()
    records: list[tuple[NDArray[np.float32], ...]] = []
    for step in range(steps):
        *answer, state = policy.run(None, {"observation": observation, "hidden": state})
        *expected, hidden = team(torch.from_numpy(observation), hidden)
        # an error of the hidden states that matters shows in the beliefs that follow
        _check_agreement(POLICY_FILE, step, answer, expected)
        records.append((observation[0].copy(), answer[0][0], answer[1][0]))
        actions = answer[0].argmax(-1)
        if step >= steps // 2:
            actions[-1] = task.actions.index("stop")
        observation = env.step(actions[None]).observation[0]
    env.close()
    observations, logits, belief = (np.stack(column) for column in zip(*records, strict=True))
    golden = {"observation": observations, "logits": logits, "belief": belief}
    if adversary is not None:
        adversary.eval()
        # each robot in turn is the corrupted one
        types = np.eye(task.num_robots, dtype=np.float32)[np.arange(steps) % task.num_robots]
        answer = _session(files[ADVERSARY_FILE]).run(
            None, {"observation": observations, "types": types}
        )
        expected = adversary(torch.from_numpy(observations), torch.from_numpy(types))
        _check_agreement(ADVERSARY_FILE, steps, answer, [expected])
        golden |= {"adversary_types": types, "adversary_logits": answer[0]}
    return golden


@torch.no_grad()
def _prior(team: Team, task: CoverageTask) -> tuple[float, ...]:
    """Mean belief after the first look at a fresh episode, p over types."""
    env = CoverageEnv(batch=256, seed=0, task=task)
    observation = torch.from_numpy(env.reset()).flatten(0, 1)
    env.close()
    _, belief, _ = team.eval()(observation, team.initial_state(len(observation)))
    return tuple(round(p, 4) for p in belief.mean((0, 1)).tolist())


def _check_agreement(
    graph: str, step: int, answer: list[NDArray[np.float32]], expected: list[Tensor]
) -> None:
    worst = max(float(np.abs(a - e.numpy()).max()) for a, e in zip(answer, expected, strict=True))
    same = np.array_equal(answer[0].argmax(-1), expected[0].numpy().argmax(-1))
    # written so that a NaN is refused
    if not (worst <= TOLERANCE and same):
        raise EirError(
            f"{graph} and the network that it was exported from differ by {worst:.2g} at decision "
            f"{step}{'' if same else ' and choose different actions'}; expected at most "
            f"{TOLERANCE:g}. Check that the training has not diverged, and the versions of torch "
            "and onnxruntime."
        )


def _graph(
    module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str]
) -> bytes:
    """Export `module` with a dynamic batch dimension, as one checked file."""
    batch = torch.export.Dim("batch", min=1)
    chatter = logging.getLogger("torch.onnx")
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # of torch about itself: deprecations, and the batch dimension's two uses
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                example,
                dynamo=True,
                optimize=False,
                opset_version=OPSET,
                external_data=False,
                input_names=inputs,
                output_names=outputs,
                custom_translation_table={torch.ops.aten.sigmoid.default: _sigmoid},
                dynamic_shapes=[{0: batch} for _ in example],
                verbose=False,
            )
    finally:
        chatter.setLevel(level)
    assert program is not None
    _simplify(program.model)
    model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _sigmoid(self: Any) -> Any:
    """1 / (1 + exp(-x)): onnxruntime's own Sigmoid is accurate to 1e-7 absolutely.

    Relatively that is nothing where the sigmoid is tiny, and a normaliser magnifies tiny inputs.
    """
    return opset18.Reciprocal(
        opset18.Add(opset18.Exp(opset18.Neg(self)), opset18.Constant(value_float=1.0))
    )


def _simplify(model: ir.Model) -> None:
    """Fold constants and the arithmetic of shapes, which is most of what torch writes down.

    torch's own optimiser would drop the epsilons as well: its rule x + 0 = x takes anything up
    to 1e-8 for zero, and next to a site that moves the logits by several 1e-5.
    """
    for _ in range(2):
        onnxscript.optimizer.fold_constants(model)
        onnxscript.rewriter.rewrite(model, [materialize_reshape_shape_rule])
    for tidy in (
        passes.RemoveUnusedNodesPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.DeduplicateInitializersPass(),
        passes.CommonSubexpressionEliminationPass(),
    ):
        tidy(model)


def _strip(model: onnx.ModelProto) -> None:
    """Drop what torch notes for debugging: paths of source files, and most of the size."""
    del model.graph.value_info[:]
    for described in (model, model.graph, *model.graph.node, *model.graph.input,
                      *model.graph.output, *model.graph.initializer):  # fmt: skip
        del described.metadata_props[:]
        described.doc_string = ""


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])

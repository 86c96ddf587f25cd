"""The recurrence by hand against torch's own cell, with resets and gaps."""

import pytest
import torch
from torch import Tensor, nn

from training.recurrence import scan

STEPS, ROWS, INPUTS, HIDDEN = 6, 4, 5, 7


def by_cell(gru: nn.GRU, inputs: Tensor, state: Tensor, fresh: Tensor, seen: Tensor) -> Tensor:
    outputs = []
    for t in range(len(inputs)):
        before = torch.where(fresh[t].unsqueeze(-1), 0.0, state)
        after = torch.gru_cell(inputs[t], before, *gru.parameters())
        state = torch.where(seen[t].unsqueeze(-1), after, before)
        outputs.append(state)
    return torch.stack(outputs)


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize(("resets", "gaps"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3), (0.3, 0.3)])
def test_values_and_gradients_are_those_of_single_steps(steps: int, resets: float, gaps: float):
    draw = torch.Generator().manual_seed(3)
    torch.manual_seed(0)
    gru = nn.GRU(INPUTS, HIDDEN).double()
    double = {"generator": draw, "dtype": torch.float64}
    inputs = torch.randn(steps, ROWS, INPUTS, **double).requires_grad_()
    state = torch.randn(ROWS, HIDDEN, **double).requires_grad_()
    weights = torch.randn(steps, ROWS, HIDDEN, **double)
    fresh = torch.rand(steps, ROWS, generator=draw) < resets
    seen = torch.rand(steps, ROWS, generator=draw) >= gaps
    leaves = [inputs, state, *gru.parameters()]

    expected = by_cell(gru, inputs, state, fresh, seen)
    found, last = scan(gru, inputs, state, fresh, seen)
    assert torch.allclose(found, expected, atol=1e-12)
    assert torch.equal(last, found[-1])
    before = weights.clone()
    ours = torch.autograd.grad(found, leaves, weights)
    assert torch.equal(weights, before)  # the gradient that comes in is not ours to change
    for mine, theirs in zip(ours, torch.autograd.grad(expected, leaves, weights), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-12)


def test_nothing_flows_past_a_reset():
    gru = nn.GRU(INPUTS, HIDDEN)
    inputs = torch.randn(STEPS, 1, INPUTS, generator=torch.Generator().manual_seed(0))
    inputs.requires_grad_()
    fresh = torch.zeros(STEPS, 1, dtype=torch.bool)
    fresh[3] = True
    outputs, _ = scan(gru, inputs, torch.zeros(1, HIDDEN), fresh, None)
    (gradient,) = torch.autograd.grad(outputs[-1].sum(), inputs)
    assert not gradient[:3].any()
    assert gradient[3:].any(-1).all()

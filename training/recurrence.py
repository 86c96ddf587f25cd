"""A GRU over sequences, with resets and gaps, as one node of the autograd graph.

`torch.nn.GRU` knows neither, so a sequence would be cut wherever an episode of any row begins, and
its graph has some forty nodes per step. Here a step is a dozen operations on arrays that stay in
the cache, rows last, (H, P), so that the gates are contiguous: on a CPU 0.8 of the time without
cuts, and half of it with some.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: (gradient, tanh(x)) -> gradient of x; (gradient, sigmoid(x), grad_input=where to write it).
_tanh_backward = torch.ops.aten.tanh_backward
_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


def scan(
    gru: nn.GRU, inputs: Tensor, state: Tensor, fresh: Tensor | None, seen: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Run `gru` over (T, P, F) from `state` (P, H).

    Parameters
    ----------
    fresh : (T, P) bool
        The state is zero before these steps. None: nowhere.
    seen : (T, P) bool
        Where False, there was nothing to see and the state stays as it was. None: all was seen.

    Returns
    -------
    outputs : (T, P, H)
        The state after each step.
    state : (P, H)
    """
    if len(inputs) == 1:  # the step of a robot, which is exported
        if fresh is not None:
            state = state * ~fresh[0].unsqueeze(-1)
        output, _ = gru(inputs, state.unsqueeze(0))
        if seen is not None:
            output = torch.where(seen.unsqueeze(-1), output, state)
        return output, output[0]
    keep = None if fresh is None or not fresh.any() else _factor(~fresh, inputs)
    stay = None if seen is None or seen.all() else _factor(~seen, inputs)
    weights = gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0
    outputs: Tensor = _Scan.apply(inputs, state, *weights, keep, stay)
    return outputs, outputs[-1]


def _factor(flags: Tensor, like: Tensor) -> Tensor:
    """(T, P) flags as numbers that multiply (T, H, P)."""
    return flags.to(like.dtype).unsqueeze(1)


class _Scan(torch.autograd.Function):
    """h' = n + z (h - n), where n = tanh(W_n x + b_n + r g) and g = U_n h + c_n.

    r = sigmoid(W_r x + b_r + U_r h + c_r), and z alike. `keep` multiplies h before a step, and
    `stay` is the share of it that the step leaves as it is.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, state: Tensor, weight: Tensor, own_weight: Tensor, bias: Tensor,
        own_bias: Tensor, keep: Tensor | None, stay: Tensor | None,
    ) -> Tensor:  # fmt: skip
        steps, (rows, size) = len(inputs), state.shape
        gates = slice(0, 2 * size), slice(2 * size, None)
        (w, w_new), (u, u_new) = ((m[gates[0]], m[gates[1]]) for m in (weight, own_weight))
        (b, b_new), (c, c_new) = ((v[gates[0], None], v[gates[1], None]) for v in (bias, own_bias))
        both = inputs.new_empty(steps, 2 * size, rows)
        own, new, before, after = inputs.new_empty(4, steps, size, rows)
        state = state.t()
        for t in range(steps):
            x = inputs[t].t()
            torch.mul(state, 1.0 if keep is None else keep[t], out=before[t])
            torch.addmm(b + c, w, x, out=both[t])
            reset, update = both[t].addmm_(u, before[t]).sigmoid_().chunk(2)
            torch.addmm(c_new, u_new, before[t], out=own[t])
            torch.addmm(b_new, w_new, x, out=new[t])
            new[t].addcmul_(reset, own[t]).tanh_()
            torch.lerp(new[t], before[t], update, out=after[t])
            if stay is not None:
                after[t].lerp_(before[t], stay[t])
            state = after[t]
        ctx.save_for_backward(inputs, both, own, new, before, weight, own_weight, keep, stay)
        return after.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, both, own, new, before, weight, own_weight, keep, stay = ctx.saved_tensors
        steps, size, rows = before.shape
        gradient = gradient.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        of_inputs = torch.empty_like(inputs)
        of_weight, of_own_weight = torch.zeros_like(weight), torch.zeros_like(own_weight)
        of_bias, of_own_bias = inputs.new_zeros(2, 3 * size)
        of_gates = inputs.new_empty(3 * size, rows)
        of_reset, of_update, of_new = of_gates.chunk(3)
        passed = inputs.new_zeros(size, rows)
        for t in reversed(range(steps)):
            reset, update = both[t].chunk(2)
            of_state = gradient[t].add_(passed)
            stays = None if stay is None else of_state * stay[t]
            if stays is not None:
                of_state.sub_(stays)
            torch.mul(of_state, update, out=passed)
            of_new.copy_(_tanh_backward(of_state - passed, new[t]))
            _sigmoid_backward(of_new * own[t], reset, grad_input=of_reset)
            _sigmoid_backward(of_state * (before[t] - new[t]), update, grad_input=of_update)
            torch.mm(of_gates.t(), weight, out=of_inputs[t])
            of_weight.addmm_(of_gates, inputs[t])
            of_bias.add_(of_gates.sum(1))
            of_new.mul_(reset)  # from here on it is that of g
            of_own_weight.addmm_(of_gates, before[t].t())
            of_own_bias.add_(of_gates.sum(1))
            passed.addmm_(own_weight.t(), of_gates)
            if stays is not None:
                passed.add_(stays)
            if keep is not None:
                passed.mul_(keep[t])
        found = of_inputs, passed.t(), of_weight, of_own_weight, of_bias, of_own_bias
        return *found, None, None

"""Data-parallel training: what several ranks have to agree on (`torchrun`, torch.distributed).

Every rank holds the same networks and some of the shards of the batch. Sums over entries are sums
over all ranks, so that an update is that of one rank with the whole batch, up to rounding. Without
torch.distributed there is one rank, and nothing here costs anything.
"""

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from eir_ros.contract.errors import EirError

#: How long a rank waits for the others before it gives up.
PATIENCE = timedelta(minutes=10)


def start() -> None:
    """Join the group that `torchrun` describes in the environment, if there is one."""
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)


def stop() -> None:
    """Leave the group."""
    if dist.is_initialized():
        dist.destroy_process_group()


def count() -> int:
    """Number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


def index() -> int:
    """Which one this is; rank 0 writes files and talks."""
    return dist.get_rank() if dist.is_initialized() else 0


def own_shards(shards: int) -> range:
    """The shards of the batch that this rank plays.

    Raises
    ------
    EirError
        They cannot be shared out evenly.
    """
    if shards % count():
        raise EirError(
            f"{shards} shards cannot be shared out evenly among {count()} ranks; set 'shards' to a "
            f"multiple of {count()}."
        )
    own = shards // count()
    return range(index() * own, (index() + 1) * own)


def total(value: Tensor) -> Tensor:
    """Sum of `value` over all ranks; no gradient passes through the other ranks' part."""
    if count() == 1:
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value


def any_of(wish: bool) -> bool:
    """Whether any rank wishes it: all get the same answer."""
    return wish if count() == 1 else bool(total(torch.tensor(float(wish))) > 0)


def moments(samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count (), mean (D,) and variance (D,) of samples (M, D) over all ranks."""
    if count() == 1:
        variance, mean = torch.var_mean(samples, dim=0, correction=0)
        return torch.tensor(float(len(samples))), mean, variance
    number = total(torch.tensor(float(len(samples))))
    mean = total(samples.sum(0)) / number
    return number, mean, total((samples - mean).square().sum(0)) / number


def add_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its sum over all ranks, in one message."""
    if count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))

"""Data-parallel training: what several ranks have to agree on (`torchrun`, torch.distributed).

Every rank holds the same networks and some of the shards of the batch. Sums over entries are sums
over all ranks, so that an update is that of one rank with the whole batch, up to rounding. Without
torch.distributed there is one rank, and nothing here costs anything.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from eir_ros.contract.errors import EirError

#: How long a rank waits for one that is there but does not answer: it may evaluate, or write. One
#: that has ended is noticed at once, by its closed connections.
PATIENCE = timedelta(minutes=10)


@contextmanager
def joined(device: str = "cpu") -> Iterator[None]:
    """Be one of the ranks that `torchrun` started, if it did; gloo joins CPUs, nccl GPUs.

    Raises
    ------
    EirError
        The ranks do not find each other, or another rank is lost meanwhile.
    """
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        yield
        return
    backend = "nccl" if device == "cuda" else "gloo"
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with _loss_explained():
        dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        # the group of a lost rank may not end in peace
        with suppress(RuntimeError):
            dist.destroy_process_group()


@contextmanager
def _loss_explained() -> Iterator[None]:
    """Say what it means when the others cannot be reached."""
    try:
        yield
    except RuntimeError as error:  # torch.distributed raises it, or a kind of it, for everything
        reason = str(error).strip().partition("\n")[0]
        raise EirError(
            f"rank {os.environ.get('RANK', '?')} has lost the other ranks ({reason}). The last "
            "checkpoint stays: the same command goes on from there."
        ) from error


def _add_up(value: Tensor) -> None:
    """Put the sum over all ranks into `value`."""
    # nccl knows GPUs only
    there = value.cuda() if dist.get_backend() == "nccl" else value
    with _loss_explained():
        dist.all_reduce(there)
    if there is not value:
        value.copy_(there)


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
    _add_up(value)
    return value


def any_of(wish: bool) -> bool:
    """Whether any rank wishes it: all get the same answer."""
    return wish if count() == 1 else bool(total(torch.tensor(float(wish))) > 0)


def moments(samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count (), mean (D,) and variance (D,) of samples (M, D) over all ranks."""
    number = total(samples.new_tensor(float(len(samples))))
    mean = total(samples.sum(0)) / number
    return number, mean, total((samples - mean).square_().sum(0)) / number


def add_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its sum over all ranks, in one message."""
    if count() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    _add_up(flat)
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))

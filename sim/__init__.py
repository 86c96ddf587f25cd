"""Batched environments: preallocated arrays `(B, N, ...)`, with PettingZoo views of batch one."""

from sim.catalogue import make, names, parallel_env

__all__ = ["make", "names", "parallel_env"]

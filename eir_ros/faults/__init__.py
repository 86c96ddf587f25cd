"""Fault models in plain Python: the same code drives training, simulation and robots."""

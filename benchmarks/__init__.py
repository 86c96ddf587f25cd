"""Measurements of the real thing, each runnable as `python -m benchmarks.<name>`."""

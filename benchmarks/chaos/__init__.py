"""A swarm under everything that may go wrong at once, judged by its recording alone.

`python -m benchmarks.chaos --minutes 10` (or `make chaos MINUTES=10`); `--help` tells the rest.
"""

"""Watching a swarm: the operator page, markers for RViz, and the report of a mission.

Plain Python; `eir_ros.nodes.monitor` feeds it with what it hears on the topics.
"""

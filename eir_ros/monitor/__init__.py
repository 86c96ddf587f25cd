"""Watching a swarm: the operator page, markers for RViz, and the report of a mission.

Without rclpy; `eir_ros.nodes.monitor` feeds it with what it hears on the topics. Only `markers`
makes ROS messages.
"""

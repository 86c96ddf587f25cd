"""Deploy learned swarm policies that expect a traitor, on ROS 2 robots."""

__version__ = "0.1.0"

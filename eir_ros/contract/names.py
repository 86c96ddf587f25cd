"""How a robot may be called."""

from typing import Final

#: As a namespace of ROS 2 (design.ros2.org/articles/topic_and_service_names.html): letters and
#: digits, and single underscores between them.
ROBOT_NAME: Final = r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*"

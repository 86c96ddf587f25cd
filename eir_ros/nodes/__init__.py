"""Thin rclpy shells around the plain Python of the other rooms."""

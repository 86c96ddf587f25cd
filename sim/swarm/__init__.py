"""A swarm of ground robots in PyBullet."""

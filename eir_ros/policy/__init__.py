"""Bundles: reading, verifying and running the policies that training hands to robots."""

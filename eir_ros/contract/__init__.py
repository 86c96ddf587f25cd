"""What training and robots must agree on: observations, actions, types, faults, the bundle.

Pure numpy and pydantic: every other room imports this one, and it imports none of them.
"""

"""What stands between any decision maker and the motors: rules that only take away."""

"""How to install what a command lacks."""


def install_command(extra: str = "") -> str:
    """Return the command for the checkout; eir_ros is on no index, and its name is anybody's."""
    target = f"'.[{extra}]'" if extra else "."
    return f"pip install -c constraints.txt {target} in the checkout"

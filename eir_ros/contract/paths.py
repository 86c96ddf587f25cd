"""Where the files that are not Python live: configurations, launch files, shipped bundles."""

from pathlib import Path

from eir_ros.contract.errors import EirError


def share() -> Path:
    """Folder that holds `config/`, `launch/` and `policies/`.

    In a checkout (also one installed with `pip install -e` or `colcon build --symlink-install`)
    it is the repository's root; for an installed package it is `<prefix>/share/eir_ros`, the same
    for pip and for colcon.

    Raises
    ------
    EirError
        The package was copied somewhere without its data.
    """
    here = Path(__file__).resolve()
    for folder in here.parents:
        for candidate in (folder, folder / "share" / "eir_ros"):
            if (candidate / "package.xml").is_file() and (candidate / "config").is_dir():
                return candidate
    raise EirError(
        f"no configurations and bundles belong to {here.parents[1]}: neither a checkout nor a "
        "prefix with share/eir_ros is above it. Install the package with pip or colcon."
    )

"""A signed tiny bundle and the key that signed it."""

from pathlib import Path

import pytest
from tiny_bundle import make_keys, write_tiny_bundle


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Folder of trusted keys; lab.key beside lab.pub signs."""
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def folder(tmp_path: Path, keys: Path) -> Path:
    """Folder of an intact bundle."""
    write_tiny_bundle(tmp_path / "bundle", keys / "lab.key")
    return tmp_path / "bundle"

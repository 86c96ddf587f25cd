"""The bundle that the tests of nodes run, who runs it, and the keys of hosts."""

import os
from pathlib import Path

import pytest

from eir_ros.contract.paths import share
from eir_ros.policy.bundle import Bundle, load_bundle
from eir_ros.policy.keyring import make_keyring
from eir_ros.swarm.roster import OPERATOR, Roster, load_roster


@pytest.fixture(scope="session")
def bundle_path() -> Path:
    """The shipped bundle, or the one that EIR_TEST_BUNDLE names."""
    return Path(os.environ.get("EIR_TEST_BUNDLE", share() / "policies" / "coverage"))


@pytest.fixture(scope="session")
def bundle(bundle_path: Path) -> Bundle:
    return load_bundle(bundle_path)


@pytest.fixture(scope="session")
def roster() -> Roster:
    return load_roster(share() / "config" / "rosters" / "default.yaml")


@pytest.fixture(scope="session")
def agent_settings(bundle_path: Path) -> dict[str, object]:
    """Parameters of the agent of robot r1."""
    return {
        "bundle": str(bundle_path),
        "robot": "r1",
        "team": ["r0", "r1", "r2", "r3"],
        "input_deadline_s": 0.5,
        "publish_observation": True,
    }


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of the operator's host and of each robot's, in a folder each."""
    folder = tmp_path_factory.mktemp("keys") / "keys"
    make_keyring(folder, [OPERATOR, "r0", "r1", "r2", "r3"])
    return folder

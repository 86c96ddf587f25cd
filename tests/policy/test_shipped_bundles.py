"""The bundles that ship are ones that robots accept."""

from pathlib import Path

import pytest

from eir_ros.contract.paths import share
from eir_ros.policy.bundle import check_contract, load_bundle, replay_golden

SHIPPED = sorted(path.parent for path in share().glob("policies/*/bundle.json"))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_bundle_is_accepted(folder: Path) -> None:
    bundle = load_bundle(folder)
    check_contract(bundle.manifest, bundle.manifest.task)
    replay_golden(bundle)
    assert bundle.adversary is not None


def test_the_bundle_that_swarms_run_by_default_ships() -> None:
    assert "coverage" in [folder.name for folder in SHIPPED]

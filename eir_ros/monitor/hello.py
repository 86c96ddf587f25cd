"""What a page is told first: what does not change while the monitor lives."""

import uuid
from typing import Any

from eir_ros.contract.faults import FaultKind
from eir_ros.contract.manifest import ADVERSARY_FILE, Manifest


def hello(team: tuple[str, ...], arena: tuple[float, ...], manifest: Manifest) -> dict[str, Any]:
    """Team, bundle and the kinds of fault that it can play; `arena` as the monitor's parameter."""
    kinds = [kind for kind in FaultKind if kind is not FaultKind.NONE]
    if ADVERSARY_FILE not in manifest.files:
        kinds.remove(FaultKind.ADVERSARY)
    return {
        # tells a page that has come back whether this is still the monitor that it knew
        "run": uuid.uuid4().hex,
        "team": team,
        "kinds": [kind.word for kind in kinds],
        "bundle": f"{manifest.name} v{manifest.version}",
        "threshold": manifest.belief.threshold,
        "serve_radius": manifest.task.serve_radius,
        "arena": arena,
    }

"""`eir export`: turn a training checkpoint into a signed bundle."""

from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(help="Checkpoint of `eir train`, or its run folder.", metavar="CHECKPOINT"),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    key: Annotated[
        Path | None,
        typer.Option(help="Private key that signs; default: the demonstration key."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the bundle; default: the recipe's.")
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Default: one more than the version at --out, or 1."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="p(adversary) that counts as a detection; default: calibrated on held-out "
            "episodes, which takes a minute."
        ),
    ] = None,
    scorecard: Annotated[
        Path | None,
        typer.Option(
            help="What the team is worth, to keep in the bundle: the folder of its cells from "
            "`eir evaluate` (results/NAME/WORLD/METHOD-SEED), or a JSON file.",
            metavar="CELLS",
        ),
    ] = None,
    adversary: Annotated[
        Path | None,
        typer.Option(
            help="Adversary written by `eir attack`, to break robots with; default: the one of "
            "training, where the method has one.",
            metavar="ATTACK",
        ),
    ] = None,
) -> None:
    """Turn a training checkpoint into a signed bundle for robots.

    Before anything is written, the graphs are checked against the networks over an episode.
    """
    from eir_ros.contract.errors import EirError
    from eir_ros.policy.signing import default_trusted_keys, load_private_key
    from eir_ros.policy.store import (
        check_bundle_or_nothing,
        check_newer,
        next_version,
        write_bundle,
    )

    if threshold is not None and not 0.0 < threshold < 1.0:
        raise EirError(f"--threshold is {threshold:g}; expected a probability between 0 and 1.")
    check_bundle_or_nothing(out)
    signing_key = load_private_key(key or default_trusted_keys() / "demo.key")
    results = _read_scorecard(scorecard) if scorecard and not scorecard.is_dir() else {}

    from training import checkpoint as checkpoints
    from training.calibration import calibrate
    from training.export import attack_on, describe, export_files, task_of, trained_adversary
    from training.provenance import digest
    from training.report.card import team_card

    source = checkpoints.find(checkpoint)
    run = checkpoints.load(source)
    if scorecard and scorecard.is_dir():
        results = team_card(scorecard, digest(source))
    task = task_of(run)
    corrupted = attack_on(run, adversary) if adversary else trained_adversary(run)
    if adversary:
        results["adversary"] = {"attack": adversary.name, "sha256": digest(adversary)}
    name = name or run.recipe.name
    version = version or next_version(out)
    # now, not after a minute of work
    check_newer(out, name, version)
    files = export_files(run.team, corrupted, task)
    if threshold is None:
        typer.echo("The graphs agree with the networks; calibrating the threshold ...")
        threshold, results["calibration"] = calibrate(run)
    manifest = describe(run, name, version, threshold, results)
    write_bundle(out, manifest, files, signing_key)
    typer.echo(f"{out}: '{name}' version {version}, detections above {threshold:.4g}.")
    if key is None:
        typer.echo(
            "Signed with the demonstration key, whose private half is public: nobody can tell "
            "that it was you. 'eir bundle keygen' makes a key of your own.",
            err=True,
        )


def _read_scorecard(path: Path) -> dict[str, Any]:
    import json

    from eir_ros.contract.errors import EirError

    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EirError(f"{path}: not a JSON file that can be read ({error}).") from error
    if not isinstance(data, dict):
        raise EirError(f"{path}: expected a JSON object, found {type(data).__name__}.")
    return data

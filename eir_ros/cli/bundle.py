"""`eir bundle`: look at, check, sign and install team bundles."""

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eir_ros.cli.card_words import meanings

if TYPE_CHECKING:
    from eir_ros.contract.manifest import Manifest
    from eir_ros.policy.bundle import Bundle

#: Width of the names that `inspect` prints.
_COLUMN = 16

app = typer.Typer(help="Inspect, verify, sign and install team bundles.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of the bundle.", metavar="DIR")]
TrustedKeys = Annotated[
    Path | None,
    typer.Option(help="Folder of trusted public keys (*.pub); default: the package's config/keys."),
]


@app.command()
def inspect(directory: Folder, trusted_keys: TrustedKeys = None) -> None:
    """Print whether a bundle can be trusted, and what it is.

    Exits with 0 when its signature and every hash hold, with 2 otherwise: what is then printed
    below the first line is only what the bundle says of itself.
    """
    from eir_ros.contract.errors import EirError
    from eir_ros.policy.bundle import load_bundle
    from eir_ros.policy.store import read_manifest

    try:
        bundle = load_bundle(directory, trusted_keys=trusted_keys)
    except EirError as error:
        if not directory.is_dir():
            raise
        _print_row("trust", f"NOT TRUSTED: {error}")
        _print_summary(read_manifest(directory))
        raise typer.Exit(2) from error
    _print_row("trust", f"signed by '{bundle.signed_by}', every file as signed")
    _print_summary(bundle.manifest)
    _print_row("digest", bundle.digest)


@app.command()
def verify(
    directory: Folder,
    trusted_keys: TrustedKeys = None,
    robots: Annotated[int | None, typer.Option(help="Also check for a team of this size.")] = None,
    scorecard: Annotated[
        bool,
        typer.Option(
            "--scorecard", help="Also play it in simulation, and compare with its own scorecard."
        ),
    ] = False,
    episodes: Annotated[
        int, typer.Option(min=16, help="Episodes per kind of fault, with --scorecard.")
    ] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of these episodes.")] = 0,
) -> None:
    """Check signature, hashes, contract and golden vectors, as a robot does before it moves.

    Exits with 0 when all of it holds, with 2 and a sentence about what differs otherwise.
    """
    from eir_ros.policy.bundle import check_contract, check_team, load_bundle, replay_golden

    bundle = load_bundle(directory, trusted_keys=trusted_keys)
    manifest = bundle.manifest
    check_contract(manifest, manifest.task)
    if robots is not None:
        check_team(manifest, robots)
    replay_golden(bundle)
    typer.echo(
        f"{directory}: '{manifest.name}' version {manifest.version} is intact, signed by "
        f"'{bundle.signed_by}', fits this eir_ros, and answers as it did when it was exported "
        f"({len(bundle.golden['observation'])} golden decisions)."
    )
    if scorecard:
        _compare_with_card(bundle, episodes, seed)


def _compare_with_card(bundle: "Bundle", episodes: int, seed: int) -> None:
    from eir_ros.cli.scorecard import replay_scorecard
    from eir_ros.contract.errors import EirError

    lines = replay_scorecard(bundle, episodes, seed)
    for line in lines:
        word = "holds" if line.holds else "BELOW"
        typer.echo(
            f"{line.kind:<{_COLUMN}} {line.played:8.2f}  card {line.written:8.2f}  "
            f"at least {line.at_least:8.2f}  {word}"
        )
    typer.echo(
        f"played in {episodes} other episodes than the card's; all faults share one set of "
        "episodes, so all numbers may lie to one side\n"
        "at least: the card less three standard errors of the difference; an adversary is not "
        "played"
    )
    if below := [line.kind for line in lines if not line.holds]:
        raise EirError(
            f"bundle '{bundle.manifest.name}' is worth less than its scorecard says under "
            f"{', '.join(below)} ({episodes} episodes, seed {seed}): the simulation or the runtime "
            "has changed since it was measured."
        )


@app.command()
def sign(
    directory: Folder,
    key: Annotated[Path, typer.Option(help="Private key that vouches for the bundle.")],
) -> None:
    """Replace the signature of a bundle, after you have looked at what you sign.

    Files that changed since the export are refused; bundle.json may have been edited.
    """
    from eir_ros.policy.signing import load_private_key
    from eir_ros.policy.store import sign_bundle

    manifest = sign_bundle(directory, load_private_key(key))
    typer.echo(
        f"{directory}: '{manifest.name}' version {manifest.version} is now signed with key "
        f"{manifest.key}."
    )


@app.command()
def keygen(
    name: Annotated[str, typer.Argument(help="Name of the key pair, for example your lab's.")],
    out: Annotated[Path, typer.Option(help="Folder to write NAME.key and NAME.pub to.")] = Path(),
) -> None:
    """Make a key pair: NAME.key signs, and robots that have NAME.pub trust it."""
    from eir_ros.policy.signing import generate_key

    private, public = generate_key(out, name)
    typer.echo(f"{private}: keep this secret, and out of version control.")
    typer.echo(f"{public}: copy this into the folder of trusted keys of your robots.")


@app.command()
def install(
    source: Annotated[Path, typer.Argument(help="Folder of the new bundle.", metavar="DIR")],
    target: Annotated[Path, typer.Argument(help="Folder that robots load.", metavar="TARGET")],
    trusted_keys: TrustedKeys = None,
) -> None:
    """Put a bundle in the place of an older version, once it has passed `verify`.

    The same or an older version than the one that lies at TARGET is refused.
    """
    from eir_ros.policy.store import install_bundle

    manifest = install_bundle(source, target, trusted_keys=trusted_keys)
    typer.echo(f"{target}: now '{manifest.name}' version {manifest.version}.")


def _summary(manifest: "Manifest") -> list[tuple[str, str]]:
    team, task, training = manifest.team, manifest.task, manifest.training
    machine = training.machine or "an unknown machine"
    sizes = str(team.min_robots)
    if team.max_robots != team.min_robots:
        sizes += f" to {team.max_robots}"
    prior = dict(zip(manifest.types, manifest.belief.prior, strict=False))
    return [
        ("bundle", f"{manifest.name}, version {manifest.version}, made {manifest.created}"),
        ("method", manifest.method),
        ("task", f"{manifest.task_name}, {task.num_sites} sites"),
        ("team", f"{sizes} robots"),
        ("rate", f"{1 / task.decision_s:g} decisions/s, {1 / task.tick_s:g} commands/s"),
        ("observation", f"{manifest.observation.size} numbers: " + ", ".join(
            f"{field.name} [{field.unit}; {field.frame}]" for field in manifest.observation.fields
        )),
        ("actions", f"{len(manifest.actions)}: {', '.join(manifest.actions)}"),
        ("belief", f"p(adversary) above {manifest.belief.threshold:g} counts; prior "
         + ", ".join(f"{name} {p:.3g}" for name, p in prior.items())),
        ("trained faults", ", ".join(manifest.trained_faults) or "none"),
        ("training", f"seed {training.seed}, {training.iterations} iterations, "
         f"{training.decisions:,} decisions, {training.wall_s / 60:.0f} min on {machine}"),
        ("made by", f"{training.command} at commit {training.commit or 'unknown'}"),
        ("files", ", ".join(f"{name} {digest[:12]}" for name, digest in manifest.files.items())),
    ]  # fmt: skip


def _print_summary(manifest: "Manifest") -> None:
    for name, value in _summary(manifest):
        _print_row(name, value)
    _print_row("scorecard", "" if manifest.scorecard else "empty")
    for line in _scorecard_lines(manifest.scorecard):
        typer.echo(f"  {_printable(line)}")
    if told := meanings(manifest.scorecard):
        _print_row("its numbers", "")
    for line in told:
        typer.echo(f"  {line}")


def _print_row(name: str, value: str) -> None:
    """A name and its value; on a terminal a long value is broken below its own beginning."""
    value = _printable(value)
    lines = [value]
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - _COLUMN
        lines = textwrap.wrap(value, max(width, 20), break_on_hyphens=False) or [""]
    text = f"\n{' ' * _COLUMN}".join(lines)
    typer.echo(f"{typer.style(name.ljust(_COLUMN), bold=True)}{text}" if text else name)


def _printable(text: str) -> str:
    """Without what could move a terminal's cursor: it may come from an untrusted bundle."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _scorecard_lines(scorecard: dict[str, Any]) -> list[str]:
    """A nested scorecard, indented; numbers that belong together share a line."""
    found = []
    flat = [f"{k} {_shown(v)}" for k, v in scorecard.items() if not isinstance(v, dict)]
    if flat:
        found.append(", ".join(flat))
    for name, value in scorecard.items():
        if not isinstance(value, dict):
            continue
        below = _scorecard_lines(value)
        if len(below) == 1:
            found.append(f"{name}: {below[0]}")
        else:
            found += [name, *(f"  {line}" for line in below)]
    return found


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"

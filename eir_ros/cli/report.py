"""`eir report`: what a recording or an evaluation proves, as a page and as JSON."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder or .mcap file of a recording, or folder of the cells of `eir evaluate`."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html and the rest. Default: SOURCE-report."),
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option(
            help="Of an evaluation: write this page for newcomers, for example docs/results.md, "
            "and its figures in images/ beside it, and nothing else."
        ),
    ] = None,
    json_only: Annotated[
        bool, typer.Option("--json", help="Print the JSON, and write no files unless --out.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="p(adversary) that counts as an alarm, in (0, 1). Default: as the recording says."
        ),
    ] = None,
) -> None:
    """Judge a recording (beliefs, latencies, gates) or an evaluation (methods under attack).

    Needs no ROS. What a recording lacks is said in the report; one that was not ended by its
    recorder is read as far as it goes.
    """
    from eir_ros.contract.errors import EirError

    folder = out or source.absolute().with_name(f"{source.absolute().stem}-report")
    # WORLD/METHOD-SEED/ATTACK.json
    if source.is_dir() and any(source.glob("*/*-[0-9]*/*.json")):
        _refuse_of_recordings(json_only, threshold)
        if docs is not None and out is not None:
            raise EirError("--docs writes its page and nothing else; leave out --out.")
        _of_matrix(source, folder, docs)
    elif (whole := _results_around(source)) is not None:
        raise EirError(
            f"{source} is a part of the results of `eir evaluate`; give the folder of all its "
            f"worlds: eir report {whole}"
        )
    elif docs is not None:
        raise EirError(
            f"{source} holds no cells of `eir evaluate` (WORLD/METHOD-SEED/ATTACK.json), of which "
            "--docs makes a page; give the folder that has them."
        )
    else:
        _of_recording(source, out, folder, json_only, threshold)


def _refuse_of_recordings(json_only: bool, threshold: float | None) -> None:
    """No option is given that a report of an evaluation would not look at."""
    from eir_ros.contract.errors import EirError

    if json_only:
        raise EirError(
            "--json is for a recording; the report of an evaluation has its numbers in "
            "scorecard.json."
        )
    if threshold is not None:
        raise EirError(
            "--threshold is for a recording; how beliefs are judged is written in their cells."
        )


def _results_around(source: Path) -> Path | None:
    """The folder of the results that `source`, of one world or one team, is a part of."""
    if any(source.glob("*-[0-9]*/none.json")):
        return source.absolute().parent
    if (source / "none.json").exists():
        return source.absolute().parent.parent
    return None


def _of_matrix(cells: Path, folder: Path, docs: Path | None) -> None:
    from training.report.newcomer import write_results
    from training.report.pages import write_report

    if docs is not None:
        page, *figures = write_results(cells, docs)
        beside = f", and {len(figures)} figures in {figures[0].parent}" if figures else ""
        typer.echo(f"{page}{beside}")
        return
    written = write_report(cells, folder)
    typer.echo(f"{folder / 'report.html'}, and {len(written) - 1} other files beside it")


def _of_recording(
    bag: Path, out: Path | None, folder: Path, json_only: bool, threshold: float | None
) -> None:
    from eir_ros.contract.errors import EirError
    from eir_ros.monitor.bag import Bag
    from eir_ros.monitor.recording_report import analyse
    from eir_ros.monitor.report import write_text
    from eir_ros.monitor.report_page import page

    if threshold is not None and not 0 < threshold < 1:
        raise EirError(f"--threshold is {threshold:g}, expected a probability between 0 and 1.")
    analysis = analyse(Bag(bag), threshold)
    text = analysis.report.model_dump_json(by_alias=True, indent=2) + "\n"
    if json_only:
        typer.echo(text, nl=False)
    if out is None and json_only:
        return
    write_text(text, folder / "report.json")
    write_text(page(analysis), folder / "report.html")
    if not json_only:
        for sentence in analysis.report.missing:
            typer.echo(f"note: {sentence}", err=True)
        typer.echo(f"{folder / 'report.html'}")

"""``grounded-ram report``: one page that shows what a run has found, and what to look at first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.evaluation.review import Review

FILE = "report.html"
"""Its name in the run's folder."""

ENDINGS = (".html", ".htm")


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of `grounded-ram label`.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The page to write.",
            show_default=f"RUN/{FILE}",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the page of an earlier report.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a review page of what a run has labelled so far: one HTML file to open and pass on.

    It shows classes, scores, examples, failures, duplicates, and where a mistake is most likely.
    """
    file = run / FILE if output is None else output
    _check_file(file, overwrite=overwrite)
    with terminal.clean_stdout():
        review = _collect(run)
        _write(review, file, title=f"Review of {run.resolve().name}")
    to_review = sum(len(section.exhibits) for section in review.queue)
    if as_json:
        terminal.show_json(
            {
                "report": str(file),
                "pictures": review.pictures,
                "objects": review.objects,
                "failed": review.failures,
                "duplicates": review.surplus,
                "to_review": to_review,
            }
        )
    else:
        terminal.show(
            f"pictures: {review.pictures}, objects: {review.objects}, to review: {to_review}, "
            f"failed: {review.failures}\nreport: {file}"
        )


def _check_file(file: Path, *, overwrite: bool) -> None:
    """Make sure, before minutes of work, that the page can be written and replaces nothing else."""
    if file.suffix.lower() not in ENDINGS or file.is_dir():
        raise InputError(f"-o must name a file that ends in {ENDINGS[0]}; got {str(file)!r}")
    if file.exists() and not overwrite:
        raise InputError(
            f"{str(file)!r} is there; choose another file with -o, or replace it with --overwrite"
        )


def _collect(folder: Path) -> Review:
    from grounded_ram.autolabel.run_folder import Run
    from grounded_ram.evaluation.review import collect

    run = Run(folder)
    dataset = run.dataset()
    read, count = dataset.read, len(dataset)
    dataset = replace(dataset, read=lambda: terminal.progress(read(), count, "reading"))
    return collect(
        dataset,
        failures=run.failures(),
        duplicates=run.duplicates(),
        facts=run.config["model"],
    )


def _write(review: Review, file: Path, *, title: str) -> None:
    from grounded_ram.evaluation.review_page import write_report

    write_report(review, file, title=title)

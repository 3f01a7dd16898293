"""``grounded-ram calibrate``: thresholds of boxes for a precision that is wanted."""

from __future__ import annotations

import math
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.evaluation.calibration import Calibrated, Calibration


SHORT = {"OWN": "own", "POOLED": "all", "UNREACHED": "best there is", "FEW": "-"}
"""Where a threshold comes from, for the table; the vocabulary file says it in full."""


def calibrate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run, or a COCO file of ours.")
    ],
    *,
    truth: Annotated[
        Path,
        typer.Option(metavar="FILE", help="What is true in a sample of its pictures: COCO."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The vocabulary file to write.")
    ] = Path("vocabulary.yaml"),
    precision: Annotated[
        float, typer.Option(min=0.01, max=1, help="The share of its objects that shall be right.")
    ] = 0.9,
    least: Annotated[
        int,
        typer.Option(
            min=2, help="Labels of fewer objects in the sample get the threshold of all together."
        ),
    ] = 35,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of an earlier run.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find each label's threshold for a precision, and write a vocabulary file to label with.

    What the run dropped cannot be judged: label the sample with a low --box-threshold.
    """
    if output.is_dir():
        raise InputError(f"-o must name a file, but {str(output)!r} is a folder")
    if output.exists() and not overwrite:
        raise InputError(
            f"{str(output)!r} is there, perhaps with edits of yours; choose another file with -o, "
            "or replace it with --overwrite"
        )
    if output.resolve() in (truth.resolve(), run.resolve()):
        raise InputError(f"-o: {str(output)!r} is what is read; choose another file")
    from grounded_ram.evaluation import calibration
    from grounded_ram.evaluation.calibrated_vocabulary import vocabulary_text
    from grounded_ram.evaluation.found import open_run
    from grounded_ram.evaluation.truth import read_truth
    from grounded_ram.export.files import plain, replacing

    true = read_truth(truth)
    with terminal.clean_stdout():
        done = calibration.calibrate(open_run(run), true, precision, least=least)
    with replacing(output) as file:
        file.write(vocabulary_text(done, sample=truth.name).encode())
    for note in (*done.coverage.notes(), *done.notes()):
        terminal.say(f"note: {note}")
    if as_json:
        terminal.show_json(plain(_record(done) | {"vocabulary": str(output)}))
        return
    headings = ("label", "objects", "precision", "recall", "threshold", "95 %")
    terminal.show_table(
        (*headings, "precision then", "95 %", "recall then", "by"),
        map(_line, [*done.labels, done.pooled]),
    )
    terminal.show(
        "by own: the label's own objects; by all: all labels together, where its own are too few"
    )
    terminal.show(
        f"vocabulary: {output}\nLabel with it: grounded-ram label ... --vocabulary "
        f"{shlex.quote(str(output))}"
    )


def _record(done: Calibration) -> dict[str, Any]:
    return {
        "precision": done.precision,
        "coverage": asdict(done.coverage),
        "labels": [_label_record(row) for row in done.labels],
        "all": _label_record(done.pooled),
    }


def _label_record(row: Calibrated) -> dict[str, Any]:
    low, high = row.after.precision_interval
    rates = {
        when: {
            "objects": kept.objects,
            "right": kept.right,
            "precision": kept.precision,
            "recall": kept.recall,
        }
        for when, kept in (("before", row.before), ("after", row.after))
    }
    return {
        "label": row.label or None,
        "threshold": row.threshold,
        "set": row.is_set,
        "from": row.source.name.lower(),
        "interval": row.interval,
        "precision_interval": (low, high),
        **rates,
    }


def _line(row: Calibrated) -> tuple[str, ...]:
    low, high = row.after.precision_interval
    return (
        row.label or "all together",
        str(row.before.objects),
        _number(row.before.precision),
        _number(row.before.recall),
        _number(row.threshold),
        "-" if math.isnan(row.interval[0]) else f"{row.interval[0]:.2f} to {row.interval[1]:.2f}",
        _number(row.after.precision),
        f"{low:.2f} to {high:.2f}",
        _number(row.after.recall),
        SHORT[row.source.name],
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"

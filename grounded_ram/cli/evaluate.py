"""``grounded-ram evaluate``: how good a preset is on drawn scenes, or a run against a truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.options import AsJson, Device, OwnWeights, own_weights
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.evaluation.dataset import ClassScore, Report
    from grounded_ram.evaluation.tag_truth import TagScore, TagSummary

MOST_LINES = 40
"""Rows of a table that are shown; ``--json`` has them all."""


def evaluate(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="The folder of a run, or a COCO file of ours; compared with --truth.",
            show_default=False,
        ),
    ] = None,
    *,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What is true: a COCO file (.json), or a list of pictures and their tags (.txt) "
            "as recognize-anything's ..._ram_annots.txt.",
            show_default=False,
        ),
    ] = None,
    tag_list: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The tags that a .txt truth looked for, one a line.",
            show_default="..._ram_taglist.txt beside it",
        ),
    ] = None,
    scenes: Annotated[
        int, typer.Option(min=1, max=100_000, help="Without RUN: how many scenes.")
    ] = 500,
    preset: Annotated[
        str,
        typer.Option(help="Without RUN: the preset; only the tiny one was trained on such scenes."),
    ] = "tiny",
    weights: OwnWeights = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Say how right a run is by a truth of yours; without RUN, a preset on fresh drawn scenes.

    Of a run: AP of boxes and masks as COCO has it; precision and recall of each class; what is
    taken for what; mAP, precision and recall of tags.

    Without RUN: tagging mAP, box and mask AP and the share of right labels. The scenes are always
    the same, so that two runs can be compared.
    """
    if (run is None) != (truth is None):
        raise InputError(
            "a run and its truth go together, as in: grounded-ram evaluate RUN --truth true.json"
        )
    if run is None or truth is None:
        _evaluate_scenes(preset, scenes, weights, device, as_json=as_json)
    elif truth.suffix == ".txt":
        _evaluate_tags(run, truth, tag_list, as_json=as_json)
    else:
        _evaluate_objects(run, truth, as_json=as_json)


def _evaluate_scenes(
    preset: str, scenes: int, weights: list[str] | None, device: str, *, as_json: bool
) -> None:
    with terminal.clean_stdout():
        from grounded_ram.evaluation.picture_book import FIRST_SEED, evaluate_picture_book
        from grounded_ram.pipeline import GroundedRAM

        seeds = range(FIRST_SEED, FIRST_SEED + scenes)
        watched = terminal.progress(seeds, len(seeds), "evaluating")
        model = GroundedRAM(preset, weights=own_weights(weights), device=device)
        with terminal.downloading() as on_progress:
            model.fetch_weights(on_progress=on_progress)
        rows = evaluate_picture_book(model, watched)
    if as_json:
        terminal.show_json({"preset": preset, "scenes": scenes, "rows": [asdict(r) for r in rows]})
        return
    terminal.show_table(
        (f"{preset}, on {scenes} unseen scenes", "value", "aim for tiny"),
        ((row.name, f"{row.value:.3f}", f"{row.least:.2f}") for row in rows),
    )


def _evaluate_tags(run: Path, truth: Path, tag_list: Path | None, *, as_json: bool) -> None:
    from grounded_ram.evaluation.dataset import evaluate_tags
    from grounded_ram.evaluation.found import open_run
    from grounded_ram.evaluation.tag_truth import read_tag_truth

    true = read_tag_truth(truth, tag_list)
    with terminal.clean_stdout():
        report = evaluate_tags(open_run(run), true)
    _tell(report.coverage.notes())
    if as_json:
        _show_json(
            {
                "coverage": asdict(report.coverage),
                "tagging": asdict(report.tag_summary),
                "tags": [_tag_record(row) for row in report.tags],
            }
        )
        return
    rows = sorted(report.tags, key=lambda row: -row.true)
    terminal.show_table(
        ("tag", "true", "seen", "precision", "recall", "AP"), map(_tag_line, rows[:MOST_LINES])
    )
    _show_rest(len(rows), "tags")
    _show_tagging(report.tag_summary, report.coverage.pictures)


def _evaluate_objects(run: Path, truth: Path, *, as_json: bool) -> None:
    from grounded_ram.evaluation.dataset import evaluate_dataset
    from grounded_ram.evaluation.found import open_run
    from grounded_ram.evaluation.truth import read_truth

    true = read_truth(truth)
    with terminal.clean_stdout():
        report = evaluate_dataset(open_run(run), true)
    _tell(report.coverage.notes())
    if not report.by_masks:
        terminal.say("note: not every true object has a mask: boxes were compared")
    if as_json:
        _show_json(_record(report))
        return
    terminal.show_table(("", "AP", "AP50", "AP75"), _ap_lines(report))
    rows = sorted(report.classes, key=lambda row: (-row.true, row.name))
    terminal.show_table(
        ("class", "true", "found", "precision", "recall", "F1", "box AP", "mask AP"),
        map(_class_line, [report.total, *rows[:MOST_LINES]]),
    )
    _show_rest(len(rows), "classes")
    wrong = [(pair, count) for pair, count in report.confusion.items() if len(set(pair)) == 2]
    wrong.sort(key=lambda row: (-row[1], row[0]))
    if wrong:
        terminal.show_table(
            ("what is", "was called", "times"),
            ((a or "(nothing)", b or "(not found)", str(n)) for (a, b), n in wrong[:MOST_LINES]),
        )
    _show_rest(len(wrong), "pairs of names")
    _show_tagging(report.tag_summary, report.coverage.pictures)


def _record(report: Report) -> dict[str, Any]:
    confusion = sorted(report.confusion.items(), key=lambda row: (-row[1], row[0]))
    return {
        "coverage": asdict(report.coverage),
        "matched_by": "masks" if report.by_masks else "boxes",
        "all": _class_record(report.total),
        "classes": [_class_record(row) for row in report.classes],
        "confusion": [
            {"true": true or None, "called": called or None, "times": times}
            for (true, called), times in confusion
        ],
        "tagging": asdict(report.tag_summary),
        "tags": [_tag_record(row) for row in report.tags],
    }


def _class_record(row: ClassScore) -> dict[str, Any]:
    rates = {"precision": row.precision, "recall": row.recall, "f1": row.f1}
    return asdict(row) | rates


def _tag_record(row: TagScore) -> dict[str, Any]:
    return asdict(row) | {"precision": row.precision, "recall": row.recall}


def _ap_lines(report: Report) -> Iterable[tuple[str, ...]]:
    for what, ap in (("boxes", report.total.box), ("masks", report.total.mask)):
        if what == "boxes" or report.by_masks:
            yield what, *(map(_number, (ap.mean, ap.at_50, ap.at_75)))


def _class_line(row: ClassScore) -> tuple[str, ...]:
    rates: tuple[float, ...] = (row.precision, row.recall, row.f1, row.box.mean, row.mask.mean)
    return row.name, str(row.true), str(row.found), *map(_number, rates)


def _tag_line(row: TagScore) -> tuple[str, ...]:
    return (
        row.name,
        str(row.true),
        str(row.seen),
        *map(_number, (row.precision, row.recall, row.ap)),
    )


def _show_tagging(tags: TagSummary, pictures: int) -> None:
    terminal.show(
        f"tags of {pictures} pictures: mAP {_number(tags.map)}; by class, precision "
        f"{_number(tags.class_precision)}, recall {_number(tags.class_recall)}; overall, precision "
        f"{_number(tags.overall_precision)}, recall {_number(tags.overall_recall)}"
    )


def _show_rest(rows: int, what: str) -> None:
    if rows > MOST_LINES:
        terminal.show(f"... and {rows - MOST_LINES} more {what}; --json has them all")


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        terminal.say(f"note: {note}")


def _show_json(value: dict[str, Any]) -> None:
    from grounded_ram.export.files import plain

    terminal.show_json(plain(value))


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"

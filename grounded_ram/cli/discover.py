"""``grounded-ram vocabulary discover``: pictures in, a vocabulary of what is in them out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.autolabel.items import is_url
from grounded_ram.cli import terminal
from grounded_ram.cli.annotate import Images
from grounded_ram.cli.inputs import Failure, Inputs, attempt, collect
from grounded_ram.cli.options import (
    AsJson,
    Device,
    OwnVocabulary,
    OwnWeights,
    TagThreshold,
    own_weights,
)
from grounded_ram.errors import InputError
from grounded_ram.presets import Preset, resolve_preset

if TYPE_CHECKING:
    from grounded_ram.annotation import Tags
    from grounded_ram.autolabel.discovery import Discovery, Row
    from grounded_ram.vocabulary.edits import Edits

MOST_LINES = 40
"""Labels that the table shows; the file has them all."""

SHEET_ENDINGS = (".jpg", ".png")


def discover(
    images: Images,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The vocabulary file to write.")
    ] = Path("vocabulary.yaml"),
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also draw examples of the most frequent labels into a .jpg or .png; put it "
            "outside the folders of your pictures.",
            show_default=False,
        ),
    ] = None,
    least: Annotated[
        int,
        typer.Option(min=1, help="Write labels of fewer pictures as comments, ready to be let in."),
    ] = 1,
    preset: Annotated[
        str | None,
        typer.Option(help="Whose tagger; see `grounded-ram models`.", show_default="standard"),
    ] = None,
    tag_threshold: TagThreshold = None,
    vocabulary: OwnVocabulary = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the files of an earlier run.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tag pictures, count what is in them, and write a vocabulary file to edit and label with.

    Only the tagger runs. Exit code 0: all done; 1: some inputs failed, the others are counted; 2:
    wrong usage.
    """
    row = resolve_preset(preset)
    _check_files(output, sheet, overwrite=overwrite)
    options = {
        "vocabulary": _own_edits(vocabulary),
        "weights": own_weights(weights),
        "device": device,
        "tag_threshold": tag_threshold,
    }
    inputs = collect(images, leave_out=output)
    _spare_inputs(inputs, output, sheet)
    failures = list(inputs.failures)
    with terminal.clean_stdout():
        discovery = _look(row, inputs, failures, options)
        files = _write(discovery, output, least=least, preset=row.name)
        if sheet is not None and files:
            files["sheet"] = _draw(discovery, inputs, sheet)
    report = {
        "preset": row.name,
        "pictures": discovery.pictures,
        "labels": [_record(found) for found in discovery.rows()],
        "failed": [asdict(failure) for failure in failures],
        **files,
    }
    if as_json:
        terminal.show_json(report)
    else:
        _show(report)
    if failures:
        raise typer.Exit(1)


def _check_files(output: Path, sheet: Path | None, *, overwrite: bool) -> None:
    """Make sure, before hours of work, that the files can be written and replace no others."""
    if sheet is not None and sheet.suffix not in SHEET_ENDINGS:
        raise InputError(f"--sheet must end in {' or '.join(SHEET_ENDINGS)}; got {str(sheet)!r}")
    for option, path in (("-o", output), ("--sheet", sheet)):
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"{option} must name a file, but {str(path)!r} is a folder")
        if path.exists() and not overwrite:
            raise InputError(
                f"{str(path)!r} is there, perhaps with edits of yours; choose another file with "
                f"{option}, or replace it with --overwrite"
            )


def _spare_inputs(inputs: Inputs, output: Path, sheet: Path | None) -> None:
    """Refuse to write over a picture, or over the other file."""
    written = {"-o": output.resolve()}
    if sheet is not None:
        written["--sheet"] = sheet.resolve()
        if written["--sheet"] == written["-o"]:
            raise InputError("-o and --sheet name the same file; choose another for one of them")
    pictures = {Path(source).resolve() for source in inputs.names if not is_url(source)}
    for option, path in written.items():
        if path in pictures:
            raise InputError(f"{option}: {str(path)!r} is one of the pictures; choose another file")


def _own_edits(file: Path | None) -> Edits:
    """Read the user's edits to start from.

    Raises:
        InputError: they cannot be used, or have the classes that are to be found.
    """
    from grounded_ram.vocabulary.edits import Edits, read_edits

    edits = Edits() if file is None else read_edits(file)
    if edits.classes:
        raise InputError(
            f"{file}: it lists classes, which this command is to find; take them out, or label "
            "with them: grounded-ram annotate ... --vocabulary FILE"
        )
    return edits


def _look(
    preset: Preset, inputs: Inputs, failures: list[Failure], options: Mapping[str, Any]
) -> Discovery:
    """Tag the pictures and count; set failures aside."""
    from grounded_ram.autolabel.discovery import Discovery
    from grounded_ram.images import load_image
    from grounded_ram.pipeline import GroundedRAM
    from grounded_ram.vocabulary.labelling import Labelling

    model = GroundedRAM(preset, **options)
    discovery = Discovery(Labelling(preset.ground_kinds, options["vocabulary"]))
    if inputs.names:
        terminal.caution(preset)
        _fetch_tagger(preset, options["weights"])

    def tag(source: str) -> Tags:
        return model.tag_batch([load_image(source).pixels], color="rgb")[0]

    for source, name in terminal.progress(inputs.names.items(), len(inputs.names), "tagging"):
        tags = attempt(tag, source, failures)
        if tags is not None:
            discovery.add(name, tags)
    return discovery


def _fetch_tagger(preset: Preset, own_files: Mapping[str, str]) -> None:
    """Download what the tagger is read from, and nothing of the other stages."""
    from grounded_ram.backends import Backend
    from grounded_ram.stages import Tagger
    from grounded_ram.weights import fetch_all

    paths = {stage: Path(path).expanduser().absolute() for stage, path in own_files.items()}
    tagger: Backend[Tagger] = Backend("tagger", preset.tagger, own_files=paths)
    with terminal.downloading() as on_progress:
        fetch_all([row for row in [tagger.checkpoint] if row is not None], on_progress=on_progress)


def _write(discovery: Discovery, file: Path, *, least: int, preset: str) -> dict[str, str]:
    """Write the vocabulary, unless no picture was seen, and return where it lies."""
    from grounded_ram.autolabel.discovery import vocabulary_text, write_vocabulary

    if not discovery.pictures:
        return {}
    write_vocabulary(vocabulary_text(discovery, least=least, preset=preset), file)
    return {"vocabulary": str(file)}


def _draw(discovery: Discovery, inputs: Inputs, file: Path) -> str:
    """Draw the sheet of examples, and return where it lies."""
    from grounded_ram.cli.examples import draw_examples
    from grounded_ram.export.files import write_picture

    sources = {name: source for source, name in inputs.names.items()}
    write_picture(draw_examples(discovery.rows(), sources), file)
    return str(file)


def _record(row: Row) -> dict[str, Any]:
    """Return a row as plain values."""
    companions = [{"label": label, "pictures": count} for label, count in row.comes_with]
    scores = {"mean_score": round(row.mean_score, 6), "best_score": round(row.best_score, 6)}
    return asdict(row) | scores | {"comes_with": companions}


def _show(report: dict[str, Any]) -> None:
    """Print the table, the failures, where the file lies and what to type next."""
    rows = report["labels"]
    if rows:
        terminal.show_table(
            ("label", "kind", "looked for", "pictures", "score", "comes with", "e.g."),
            map(_line, rows[:MOST_LINES]),
        )
    if len(rows) > MOST_LINES:
        terminal.show(f"... and {len(rows) - MOST_LINES} more labels")
    for failure in report["failed"]:
        terminal.say(f"failed: {failure['input']}: {failure['error']}")
    looked_for = sum(row["looked_for"] for row in rows)
    terminal.show(
        f"pictures: {report['pictures']}, labels: {len(rows)}, looked for: {looked_for}, "
        f"failed: {len(report['failed'])}"
    )
    if "sheet" in report:
        terminal.show(f"examples: {report['sheet']}")
    if "vocabulary" in report:
        file = shlex.quote(report["vocabulary"])
        terminal.show(
            f"vocabulary: {report['vocabulary']}\nEdit it, then label with it: grounded-ram "
            f"annotate ... --preset {report['preset']} --vocabulary {file}"
        )


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["label"],
        row["kind"],
        "yes" if row["looked_for"] else "no",
        str(row["pictures"]),
        f"{row['mean_score']:.2f}",
        ", ".join(f"{other['label']} {other['pictures']}" for other in row["comes_with"]),
        ", ".join(row["examples"]),
    )

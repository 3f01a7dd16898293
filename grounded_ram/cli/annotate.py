"""``grounded-ram annotate``: pictures in; overlays, COCO and a table out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grounded_ram.cli import results, terminal
from grounded_ram.cli.inputs import Failure, Inputs, attempt, collect
from grounded_ram.cli.options import (
    AsJson,
    BoxThreshold,
    Device,
    Formats,
    MaskKind,
    Masks,
    OwnTags,
    OwnVocabulary,
    OwnWeights,
    PresetName,
    RuleSettings,
    TagThreshold,
    adjusted,
    find_exporters,
    own_weights,
    split_tags,
)
from grounded_ram.cli.output import OutputFolder
from grounded_ram.presets import Preset, resolve_preset

if TYPE_CHECKING:
    from grounded_ram.annotation import Annotation
    from grounded_ram.export.exporter import Exporter

MOST_LINES = 50
"""Pictures that the table shows; results.json has them all."""


Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE",
        help="Files, http(s) URLs, folders (their pictures, sub-folders too) or patterns.",
    ),
]


@dataclass
class Run:
    """One run and what came of it so far.

    Args:
        look: annotates the picture at a path or URL.
        output: where its overlay goes.
        failures: inputs that gave nothing; grows.
        pictures: the record of each picture that is done; grows.
    """

    look: Callable[[str], Annotation]
    output: OutputFolder
    failures: list[Failure]
    pictures: list[dict[str, Any]] = field(default_factory=list)

    def annotate(self, names: Iterable[tuple[str, str]]) -> Iterator[Annotation]:
        """Annotate pictures, write their overlays, note what was found; set failures aside.

        Args:
            names: the source of each picture, and its name in what is written.
        """
        for source, name in names:
            done = attempt(partial(self._draw, name), source, self.failures)
            if done is not None:
                annotation, overlay = done
                self.pictures.append(results.record(annotation, name, overlay))
                yield annotation

    def _draw(self, name: str, source: str) -> tuple[Annotation, Path]:
        """Annotate a picture and write its overlay."""
        seen = self.look(source)
        annotation = replace(seen, image=replace(seen.image, file_name=name))
        return annotation, self.output.write_overlay(annotation.overlay(), name)


def annotate(
    images: Images,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")
    ] = Path("grounded-ram-output"),
    preset: PresetName = None,
    tags: OwnTags = None,
    tag_threshold: TagThreshold = None,
    box_threshold: BoxThreshold = None,
    rules: RuleSettings = None,
    formats: Formats = ["coco"],  # noqa: B006
    masks: MaskKind = Masks.rle,
    vocabulary: OwnVocabulary = None,
    weights: OwnWeights = None,
    device: Device = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Label pictures: tags, boxes, masks; write overlays and one dataset file a format.

    Exit code 0: all done; 1: some inputs failed, the others are done; 2: wrong usage.
    """
    row = adjusted(resolve_preset(preset), tag_threshold, box_threshold, rules)
    asked = split_tags(tags)
    folder = OutputFolder(output)
    if not overwrite:
        folder.refuse_to_overwrite()
    inputs = collect(images, leave_out=output)
    exporters = find_exporters(formats)
    with terminal.clean_stdout():
        report = _run(
            row,
            inputs,
            folder,
            tags=asked,
            options={
                "vocabulary": vocabulary,
                "weights": own_weights(weights),
                "device": device,
            },
            exporters=exporters,
            masks=masks,
        )
    if as_json:
        terminal.show_json(report)
    else:
        _show(report)
    if report["failed"]:
        raise typer.Exit(1)


def _run(
    preset: Preset,
    inputs: Inputs,
    output: OutputFolder,
    *,
    tags: list[str] | None,
    options: Mapping[str, Any],
    exporters: Mapping[str, Exporter],
    masks: Masks,
) -> dict[str, Any]:
    """Annotate the inputs, write everything, and return the report."""
    from grounded_ram.pipeline import GroundedRAM

    model = GroundedRAM(preset, **options)
    run = Run(partial(model.annotate, tags=tags), output, list(inputs.failures))
    if inputs.names:
        terminal.caution(preset)
        with terminal.downloading() as on_progress:
            model.fetch_weights(tagger=tags is None, on_progress=on_progress)
        _annotate_into(exporters, run, inputs, masks)
    written = {"coco": str(output.coco)} if run.pictures and "coco" in exporters else {}
    written |= {"results": str(output.results)} if run.pictures else {}
    report = {
        "preset": preset.name,
        "images": run.pictures,
        "failed": [asdict(failure) for failure in run.failures],
        **written,
    }
    if run.pictures:
        from grounded_ram.export.files import write_json

        write_json(report, output.results, indent=2)
    return report


def _annotate_into(
    exporters: Mapping[str, Exporter], run: Run, inputs: Inputs, masks: Masks
) -> None:
    """Annotate picture by picture, then write the datasets; write none of no pictures."""
    from grounded_ram.autolabel.exports import write_format
    from grounded_ram.export.dataset import Dataset
    from grounded_ram.export.records import Spool

    names = inputs.names.items()
    with tempfile.TemporaryFile() as file:
        spool = Spool(file)
        for annotation in run.annotate(terminal.progress(names, len(names), "annotating")):
            spool.add(annotation)
        if not run.pictures:
            return
        dataset = Dataset.reading(spool.read)
        for name, exporter in exporters.items():
            if name == "coco":
                exporter(dataset, run.output.folder, masks=masks.value)
            else:
                place = run.output.folder / name
                write_format(dataset, exporter, place, masks=masks.value, overwrite=True)


def _show(report: dict[str, Any]) -> None:
    """Print the table, the notes, the failures and where things lie."""
    pictures = report["images"]
    if pictures:
        terminal.show_table(results.HEADINGS, map(results.line, pictures[:MOST_LINES]))
    if len(pictures) > MOST_LINES:
        terminal.show(f"... and {len(pictures) - MOST_LINES} more pictures")
    for picture in pictures:
        for note in picture["notes"]:
            terminal.say(f"note: {picture['name']}: {note}")
    for failure in report["failed"]:
        terminal.say(f"failed: {failure['input']}: {failure['error']}")
    objects = sum(len(picture["objects"]) for picture in pictures)
    terminal.show(f"pictures: {len(pictures)}, objects: {objects}, failed: {len(report['failed'])}")
    reasons = [box["reason"] for picture in pictures for box in picture["rejected"]]
    if reasons:
        terminal.show(f"boxes rejected: {len(reasons)} ({results.count(reasons)})")
    if pictures:
        terminal.show(f"overlays: {Path(report['results']).parent / 'overlays'}")
        if "coco" in report:
            terminal.show(f"COCO: {report['coco']}")
        terminal.show(f"tags, scores, failures: {report['results']}")

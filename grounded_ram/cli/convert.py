"""``grounded-ram convert``: a labelled dataset in other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grounded_ram.cli import terminal
from grounded_ram.cli.export import (
    Group,
    PictureKind,
    Pictures,
    Seed,
    Split,
    Target,
    show_written,
)
from grounded_ram.cli.options import Formats, MaskKind, Masks, find_exporters
from grounded_ram.errors import InputError


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="A COCO file of instances (.json), YOLO's data.yaml, or a folder in the format of "
            "YOLO, Pascal VOC or LabelMe.",
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Gets a folder for each format."),
    ],
    formats: Formats,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the pictures of a COCO file are.",
            show_default="its folder",
        ),
    ] = None,
    masks: MaskKind = Masks.rle,
    pictures: PictureKind = Pictures.link,
    split: Split = None,
    seed: Seed = 0,
    group: Group = None,
) -> None:
    """Write a labelled dataset in other formats, each into a folder of its own.

    Exit code 0: done; 2: wrong usage, or DATASET cannot be read.
    """
    target = Target(
        exporters=find_exporters(formats),
        masks=masks,
        pictures=pictures,
        split=split,
        seed=seed,
        group=group,
    )
    for name in target.exporters:
        _refuse_to_overwrite(output / name)
    if images is not None and not images.is_dir():
        raise InputError(f"--images must name a folder, got {str(images)!r}")

    from grounded_ram.export.reading import read_dataset

    target.rehearse()
    reading = read_dataset(source, images)
    for note in reading.notes:
        terminal.say(f"note: {note}")
    terminal.show(f"images: {len(reading.dataset)}")
    show_written(target.write(reading.dataset, output))


def _refuse_to_overwrite(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is there and not empty; choose another folder with -o")

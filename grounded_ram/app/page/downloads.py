"""What a user takes home: one file a format, written by the exporters."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import PIL.Image

from grounded_ram.annotation import Annotation
from grounded_ram.export.coco import write_coco
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.files import picture_ending, replacing, write_picture
from grounded_ram.export.shapes import region_of
from grounded_ram.export.table import export_table
from grounded_ram.export.yolo import export_yolo_segment

LONGEST_NAME = 60

SMALL_SIDE = 640
"""Of smaller pictures the overlay is drawn twice as large, so that labels can be read."""


def coco_file(annotation: Annotation, folder: Path) -> Path:
    """Write the COCO file of one picture."""
    path = folder / f"{_stem(annotation)}.coco.json"
    write_coco([annotation], path)
    return path


def yolo_file(annotation: Annotation, folder: Path) -> Path:
    """Write a YOLO dataset of one picture, which is in it, as a ZIP file."""
    return _zipped(
        lambda inside: export_yolo_segment(Dataset.of([annotation]), inside, pictures="copy"),
        folder / f"{_stem(annotation)}-yolo.zip",
    )


def masks_file(annotation: Annotation, folder: Path) -> Path:
    """Write a PNG for each object, white where it is, and a table of them, as a ZIP file.

    ``001-dog.png`` is the first line of ``objects.csv``; objects with an empty mask have neither.
    """
    return _zipped(
        lambda inside: _write_masks(annotation, inside),
        folder / f"{_stem(annotation)}-masks.zip",
    )


def overlay_file(annotation: Annotation, folder: Path) -> Path:
    """Write the picture with masks, boxes and labels drawn on it, as a JPEG or PNG."""
    overlay = annotation.overlay(scale=2 if max(annotation.image.size_hw) < SMALL_SIDE else 1)
    path = folder / f"{_stem(annotation)}-overlay{picture_ending(overlay.size)}"
    write_picture(overlay, path)
    return path


DOWNLOADS: Mapping[str, Callable[[Annotation, Path], Path]] = {
    "COCO": coco_file,
    "YOLO": yolo_file,
    "Masks": masks_file,
    "Overlay": overlay_file,
}
"""The downloads by what their buttons say."""


def safe_name(name: str) -> str:
    """Return a file name that every file system takes, as close to the one given as can be."""
    path = Path(name.replace("\\", "/"))
    stem = re.sub(r"[^\w\-. ]", "_", path.stem)[:LONGEST_NAME].strip(". ") or "picture"
    return stem + re.sub(r"[^\w.]", "", path.suffix)[:8]


def _stem(annotation: Annotation) -> str:
    return Path(safe_name(annotation.image.name)).stem


def _write_masks(annotation: Annotation, folder: Path) -> None:
    export_table(Dataset.of([annotation]), folder)
    number = 0
    for row, name in enumerate(annotation.detections.data["class_name"]):
        region = region_of(annotation.masks, row)
        if region is None:
            continue
        number += 1
        height, width = region.pixels.shape
        mask = np.zeros(annotation.image.size_hw, np.uint8)
        mask[region.y : region.y + height, region.x : region.x + width] = 255 * region.pixels
        write_picture(
            PIL.Image.fromarray(mask), folder / f"{number:03}-{Path(safe_name(str(name))).stem}.png"
        )


def _zipped(write: Callable[[Path], None], path: Path) -> Path:
    """Write files and put them into one ZIP file."""
    with tempfile.TemporaryDirectory(dir=path.parent) as made:
        inside = Path(made)
        write(inside)
        with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for one in sorted(found for found in inside.rglob("*") if found.is_file()):
                packed.write(one, one.relative_to(inside).as_posix())
    return path


def copy_into(source: Path, folder: Path, name: str) -> Path:
    """Copy an uploaded picture into a session's folder, so that it lives as long as that."""
    target = folder / safe_name(name)
    shutil.copyfile(source, target)
    return target

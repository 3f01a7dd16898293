"""Annotations as the bodies of answers: JSON, pictures, archives."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from grounded_ram.annotation import Annotation
from grounded_ram.app.server.work import Tagged
from grounded_ram.export.columns import described, tag_rows
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import json_bytes, picture_ending, write_picture
from grounded_ram.registry import find_exporter

JSON, JPEG, PNG, ZIP = "application/json", "image/jpeg", "image/png", "application/zip"
_STEM = "picture"
"""What the picture is called where a file is named after it: never what a caller calls it."""


def annotated(
    annotation: Annotation, form: str, *, masks: MaskFormat, name: str | None
) -> tuple[bytes, str]:
    """Write an annotation in a format.

    Args:
        annotation: with its pixels.
        form: one of ``bodies.FORMATS``.
        masks: how shapes are written where the format has both.
        name: what the caller calls the picture; only ever shown.

    Returns:
        The body, and its type.
    """
    if form == "json":
        return json_bytes({"name": name, **described(annotation)}), JSON
    if form == "coco":
        named = replace(annotation, image=replace(annotation.image, file_name=name))
        return json_bytes(named.to_coco(masks=masks)), JSON
    if form == "overlay":
        return _overlay(annotation)
    if form == "masks":
        return _zipped(_masks(annotation)), ZIP
    return _exported(annotation, form, masks), ZIP


def tagged(seen: Tagged, *, name: str | None) -> bytes:
    """Write a picture's tags as JSON."""
    height, width = seen.image.pixels.shape[:2]
    return json_bytes(
        {
            "name": name,
            "height": height,
            "width": width,
            "sha256": seen.image.sha256,
            "notes": list(seen.image.notes),
            "tags": tag_rows(seen.tags),
        }
    )


def _overlay(annotation: Annotation) -> tuple[bytes, str]:
    picture = annotation.overlay()
    ending = picture_ending(picture.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{_STEM}{ending}"
        write_picture(picture, path)
        return path.read_bytes(), PNG if ending == ".png" else JPEG


def _masks(annotation: Annotation) -> Iterable[tuple[str, bytes]]:
    """Give a picture of black and white for each object, and masks.json, which says whose it is."""
    rows: list[dict[str, Any]] = []
    for row, about in enumerate(described(annotation)["objects"]):
        file = f"{row:03}_{re.sub(r'[^A-Za-z0-9]+', '_', about['name'])}.png"
        mask = np.asarray(annotation.masks[row], np.uint8) * 255
        yield file, cv2.imencode(".png", mask)[1].tobytes()
        rows.append({"file": file, **about})
    yield "masks.json", json_bytes(rows, indent=2)


def _exported(annotation: Annotation, form: str, masks: MaskFormat) -> bytes:
    """Write a dataset of one picture, without the picture, which the caller has."""
    image = replace(annotation.image, path=None, file_name=f"{_STEM}.png")
    dataset = Dataset.of([replace(annotation, image=image)])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        find_exporter(form)(dataset, folder, masks=masks, pictures="none")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return _zipped(
            (str(path.relative_to(folder).as_posix()), path.read_bytes()) for path in files
        )


def _zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Pack files; the same ones give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()

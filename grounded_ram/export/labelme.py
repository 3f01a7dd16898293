"""LabelMe: one JSON file beside each picture.

With splits, each split is a folder. An object is one polygon, or several that share its label and
its ``group_id``: a mask of several parts, or one with holes, which is cut at them. Outlines run
along the pixels' edges and enclose the very same pixels; readers that paint the line too, as
supervision does, add one row and one column. Scores are in the shape's ``description``, as JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grounded_ram.annotation import Annotation
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import write_json
from grounded_ram.export.pictures import Pictures, place
from grounded_ram.export.places import Places

VERSION = "5.0.1"
"""The version of LabelMe whose format this is; later ones read it too."""


def export_labelme(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write one JSON file for each picture; see ``export.exporter.Exporter``.

    ``masks`` has no meaning here.
    """
    places = Places()
    for annotation in dataset:
        home = folder / dataset.split_of(annotation) if dataset.splits else folder
        target = home / places.of(key_of(annotation.image))
        place(annotation.image, target, pictures)
        write_json(to_labelme(annotation, target.name), target.with_suffix(".json"), indent=2)


def to_labelme(annotation: Annotation, picture: str) -> dict[str, Any]:
    """Return what the JSON file of a picture holds, in plain Python values.

    Args:
        annotation: the picture's.
        picture: its path from the folder of the JSON file.
    """
    height, width = annotation.image.size_hw
    rows = range(len(annotation.detections))
    return {
        "version": VERSION,
        "flags": {},
        "shapes": [shape for row in rows for shape in _shapes(annotation, row)],
        "imagePath": picture,
        "imageData": None,
        "imageHeight": int(height),
        "imageWidth": int(width),
    }


def _shapes(annotation: Annotation, row: int) -> list[dict[str, Any]]:
    region = shapes.region_of(annotation.masks, row)
    if region is None:
        return []
    polygons = shapes.polygons(region)
    return [
        {
            "label": str(annotation.detections.data["class_name"][row]),
            "points": [list(point) for point in zip(line[::2], line[1::2], strict=True)],
            "group_id": None if len(polygons) == 1 else row,
            "description": json.dumps(scores(annotation, row), ensure_ascii=False),
            "shape_type": "polygon",
            "flags": {},
        }
        for line in polygons
    ]

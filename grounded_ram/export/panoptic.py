"""COCO panoptic segmentation: a PNG an image whose colours are segments, and a JSON file of them.

    annotations/panoptic_train.json
    annotations/panoptic_train/         the PNGs: an id is R + 256 G + 256^2 B, 0 is no segment
    images/train/                       the pictures

There is one file and one folder for each split; without splits all is ``train``. A PNG is named
after its picture, as ``a.png`` after ``a.jpg``; see ``export.places.Places``.

A pixel belongs to one segment: where objects overlap, that with the higher ``label_score`` is on
top, and of equal ones the earlier. Areas and boxes are those of what remains to be seen; an object
of which nothing is seen is left out. Objects and their parts are things, ``isthing`` 1; of every
other kind all objects of one name in an image are one segment, with the highest of their scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage

from grounded_ram.annotation import Annotation
from grounded_ram.export import shapes
from grounded_ram.export.coco_tasks import write_task
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.pictures import Pictures
from grounded_ram.export.places import Places
from grounded_ram.overlay import color_of

THINGS = ("object", "part")
"""The kinds whose objects are told apart."""

_DIGITS = 6


def export_panoptic(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "link"
) -> None:
    """Write segments and pictures; see ``export.exporter.Exporter``. ``masks`` changes nothing."""
    ids = {name: number for number, name in enumerate(dataset.classes, start=1)}
    places = Places()

    def told(annotation: Annotation) -> list[dict[str, Any]]:
        canvas, segments = to_panoptic(annotation)
        split = dataset.split_of(annotation)
        name = places.of(key_of(annotation.image)).with_suffix(".png").as_posix()
        with replacing(folder / "annotations" / f"panoptic_{split}" / name) as file:
            PIL.Image.fromarray(canvas).save(file, "PNG")
        for segment in segments:
            segment["category_id"] = ids[segment["category_id"]]
        return [{"file_name": name, "segments_info": segments}]

    categories = [
        {
            "id": ids[name],
            "name": name,
            "supercategory": kind,
            "isthing": int(kind in THINGS),
            "color": list(color_of(name)),
        }
        for name, kind in dataset.kinds.items()
    ]
    write_task("panoptic", dataset, folder, told=told, pictures=pictures, categories=categories)


def to_panoptic(annotation: Annotation) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    """Return an image's segments as colours (H, W, 3), and what is known of each.

    Returns:
        The second holds ``segments_info`` as COCO has it, with a name for ``category_id``.
    """
    scores = np.asarray(annotation.detections.data["label_score"]).tolist()
    owners = _owners(annotation)
    canvas = np.zeros(annotation.image.size_hw, np.int32)
    for row in sorted(range(len(scores)), key=lambda row: (scores[row], -row)):
        region = shapes.region_of(annotation.masks, row)
        if region is not None:
            height, width = region.pixels.shape
            window = canvas[region.y : region.y + height, region.x : region.x + width]
            window[region.pixels] = owners[row] + 1
    best: dict[int, float] = {}
    for score, owner in zip(scores, owners, strict=True):
        best[owner] = max(score, best.get(owner, score))
    areas = np.bincount(canvas.ravel(), minlength=len(scores) + 1)[1:].tolist()
    extents = enumerate(ndimage.find_objects(canvas))
    seen = [(owner, extent) for owner, extent in extents if extent is not None]
    segments = [
        {
            "id": _id_of(owner),
            "category_id": str(annotation.detections.data["class_name"][owner]),
            "area": areas[owner],
            "bbox": [x.start, y.start, x.stop - x.start, y.stop - y.start],
            "iscrowd": 0,
            "score": round(best[owner], _DIGITS),
        }
        for owner, (y, x) in seen
    ]
    ids = np.array([0, *map(_id_of, range(len(scores)))])
    colors = np.stack([ids, ids >> 8, ids >> 16], axis=1).astype(np.uint8)
    return colors[canvas], segments


def _owners(annotation: Annotation) -> list[int]:
    """Return for each object the row of the one whose segment it is in."""
    kinds = annotation.tags.kinds
    first: dict[int, int] = {}
    return [
        row if kinds[tag] in THINGS else first.setdefault(tag, row)
        for row, tag in enumerate(np.asarray(annotation.detections.class_id).tolist())
    ]


def _id_of(owner: int) -> int:
    """Return an id unlike all others; odd factors keep it so, and this one spreads the colours."""
    return (owner + 1) * 10_368_889 % 2**24

"""Tables for spreadsheets and scripts: objects.csv, a line an object; images.csv, a line an image.

Both are UTF-8 with a line of headings. Images without objects are in images.csv only. Boxes are
tight around the masks, in pixels counted from 0, right and lower side outside; masks themselves are
not written. Objects with an empty mask are left out. Scores that are not known are empty.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np

from grounded_ram.annotation import OPTIONAL_SCORES, SCORE_COLUMNS, Annotation
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.dataset import Dataset, key_of
from grounded_ram.export.exporter import MaskFormat
from grounded_ram.export.files import replacing
from grounded_ram.export.pictures import Pictures

SCORES = (*SCORE_COLUMNS, *OPTIONAL_SCORES)

OBJECT_COLUMNS = (
    *("image", "split", "width", "height", "name", "kind"),
    *("x1", "y1", "x2", "y2", "area", *SCORES, "alternatives"),
)

IMAGE_COLUMNS = ("image", "split", "width", "height", "objects", "caption", "path", "sha256")


def export_table(
    dataset: Dataset, folder: Path, *, masks: MaskFormat = "rle", pictures: Pictures = "none"
) -> None:
    """Write both tables; see ``export.exporter.Exporter``.

    ``masks`` has no meaning here; pictures are not held.
    """
    with (
        _table(folder / "objects.csv", OBJECT_COLUMNS) as objects,
        _table(folder / "images.csv", IMAGE_COLUMNS) as images,
    ):
        for annotation in dataset:
            split = dataset.split_of(annotation) if dataset.splits else ""
            rows = _rows(annotation, split)
            objects.writerows(rows)
            images.writerow(_row(annotation, split, len(rows)))


@contextmanager
def _table(path: Path, columns: tuple[str, ...]) -> Iterator[csv.DictWriter[str]]:
    with replacing(path) as file:
        text = TextIOWrapper(file, "utf-8", newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        yield writer
        text.flush()
        text.detach()


def _row(annotation: Annotation, split: str, objects: int) -> dict[str, Any]:
    facts = annotation.image
    return {
        "image": key_of(facts),
        "split": split,
        "width": facts.size_hw[1],
        "height": facts.size_hw[0],
        "objects": objects,
        "caption": annotation.caption,
        "path": facts.path,
        "sha256": facts.sha256,
    }


def _rows(annotation: Annotation, split: str) -> list[dict[str, Any]]:
    height, width = annotation.image.size_hw
    ids = np.asarray(annotation.detections.class_id).tolist()
    rows = []
    for row, tag in enumerate(ids):
        region = shapes.region_of(annotation.masks, row)
        if region is None:
            continue
        x, y, w, h = (int(side) for side in shapes.bbox_xywh(region))
        told = scores(annotation, row)
        if "alternatives" in told:
            told["alternatives"] = json.dumps(told["alternatives"], ensure_ascii=False)
        rows.append(
            {
                **{"image": key_of(annotation.image), "split": split},
                **{"width": width, "height": height},
                **{"name": annotation.tags.names[tag], "kind": annotation.tags.kinds[tag]},
                **{"x1": x, "y1": y, "x2": x + w, "y2": y + h, "area": shapes.area(region)},
                **told,
            }
        )
    return rows

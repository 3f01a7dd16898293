"""A run to be judged: its folder or a COCO file of ours, and its objects as COCO has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.evaluation.truth import CocoObject
from grounded_ram.export import shapes
from grounded_ram.export.dataset import Dataset
from grounded_ram.export.reading_coco import read_coco


def open_run(path: Path) -> Dataset:
    """Open the folder of a run of ``grounded-ram label``, or a COCO file that this package wrote.

    A COCO file has no tags but those of its objects.

    Raises:
        InputError: there is neither; the message says what came.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no such run, neither a folder nor a COCO file")
    if path.is_dir():
        from grounded_ram.autolabel.run_folder import Run

        return Run(path).dataset()
    run = _run_of(path)
    read = read_coco(path).dataset
    return replace(read, read=lambda: (replace(one, run=run) for one in read))


def _run_of(path: Path) -> Mapping[str, Any]:
    """Return how a COCO file of ours was made.

    Raises:
        InputError: it is none of ours.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a run or a COCO file in JSON: {error}") from error
    info = found.get("info") if isinstance(found, dict) else None
    run = info.get("run") if isinstance(info, dict) else None
    if not isinstance(run, dict):
        raise InputError(
            f"{path}: expected a COCO file of this package as RUN, got one without info.run; the "
            "truth is named by --truth"
        )
    return run


def objects_of(annotation: Annotation) -> list[tuple[int, CocoObject]]:
    """Return the objects of an annotation that have pixels, each with its row in the detections."""
    found = annotation.detections
    rows = []
    for row in range(len(found)):
        region = shapes.region_of(annotation.masks, row)
        if region is not None:
            packed = shapes.rle(region, annotation.image.size_hw)
            mask = {"size": packed["size"], "counts": str(packed["counts"]).encode()}
            x, y, width, height = shapes.bbox_xywh(region)
            name = str(found.data["class_name"][row])
            rows.append((row, CocoObject(name, (x, y, width, height), mask)))
    return rows

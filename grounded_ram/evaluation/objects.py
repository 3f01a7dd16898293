"""COCO's average precision of boxes and masks."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import supervision as sv
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.export.coco import to_coco
from grounded_ram.export.shapes import region_of, rle


def coco_average_precision(
    found: Sequence[sv.Detections],
    truth: Sequence[Annotation],
    *,
    kind: Literal["bbox", "segm"],
    iou: float = 0.5,
) -> float:
    """Return COCO's AP at one IoU, over all sizes and at most 100 objects an image.

    Names that are true in no image have no AP; what was found under them is left out, as COCO does.

    Args:
        found: detections of N images with ``confidence`` and ``class_name``; with masks for "segm".
        truth: their true objects.
        kind: compare boxes or masks.
        iou: the least overlap that counts.

    Returns:
        A number in [0, 1]; NaN if no image has an object.

    Raises:
        InputError: there are not as many detections as truths.
    """
    if len(found) != len(truth):
        raise InputError(f"expected one Detections per truth, got {len(found)} for {len(truth)}")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        true = COCO()
        true.dataset = to_coco(truth)
        true.createIndex()
        if not true.anns:
            return float("nan")
        rows = _results(found, true, with_masks=kind == "segm")
        if not rows:
            return 0.0
        evaluation = COCOeval(true, true.loadRes(rows), kind)
        evaluation.params.iouThrs = np.array([iou])
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][0, :, :, 0, -1]  # (recall, class)
    return float(precision[precision > -1].mean())


def _results(
    found: Sequence[sv.Detections], true: COCO, *, with_masks: bool
) -> list[dict[str, Any]]:
    """Return COCO result rows; images are numbered in the order given."""
    numbers = {category["name"]: number for number, category in true.cats.items()}
    rows = []
    for image, detections in zip(sorted(true.imgs), found, strict=True):
        scores = np.zeros(0) if detections.confidence is None else detections.confidence
        for row, score in enumerate(scores):
            name = str(detections.data["class_name"][row])
            shape = _mask(detections, row) if with_masks else _box(detections, row)
            if name in numbers and shape is not None:
                facts = {"image_id": image, "category_id": numbers[name], "score": float(score)}
                rows.append({**facts, **shape})
    return rows


def _box(detections: sv.Detections, row: int) -> dict[str, Any]:
    x0, y0, x1, y1 = detections.xyxy[row].tolist()
    return {"bbox": [x0, y0, x1 - x0, y1 - y0]}


def _mask(detections: sv.Detections, row: int) -> dict[str, Any] | None:
    if not isinstance(detections.mask, sv.CompactMask):
        raise InputError('kind="segm" needs detections with masks as sv.CompactMask')
    region = region_of(detections.mask, row)
    height, width = detections.mask.shape[1:]
    return None if region is None else {"segmentation": rle(region, (height, width))}

"""One object, one label: of the boxes that show the same object, only the best stays.

A detector may find one object several times: from two of its queries, from two prompts, under two
names. Two boxes of one name are the same object when they overlap by more than a share that the
caller sets. Two boxes of different names are the same object only when they are all but identical,
for a rider and a bicycle, or a cup and what is in it, overlap much and are two objects.
"""

from __future__ import annotations

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms, nms

from grounded_ram.errors import InputError

SAME_BOX_IOU = 0.85
"""Boxes of different names that overlap by more than this share are one object."""


def merge(detections: sv.Detections, *, iou: float) -> sv.Detections:
    """Keep one box for each object, best first.

    First the boxes of each name are thinned out, then what remains, whatever its name. The order
    that comes in has no effect: of equal scores, the name that comes first in the alphabet wins,
    then the box furthest to the left.

    Args:
        detections: N boxes of one image with ``confidence`` and ``data["class_name"]``; N may be 0.
        iou: of two boxes of one name that overlap by more than this share, the worse one goes. For
            boxes of different names it is ``SAME_BOX_IOU``, or this share where it is larger: 1
            keeps every box.

    Raises:
        InputError: the share lies outside [0, 1], or a column is missing.
    """
    if not 0 <= iou <= 1:
        raise InputError(f"iou: expected a number in [0, 1], got {iou!r}")
    if len(detections) == 0:
        return detections.select([])
    best_first = detections.select(_best_first(detections))
    # In float64, and with ranks for scores: no rounding and no ties, whatever the machine.
    boxes = torch.from_numpy(best_first.xyxy.astype(np.float64))
    ranks = torch.arange(len(boxes), 0, -1, dtype=torch.float64)
    names = torch.from_numpy(_number(best_first.data["class_name"]))
    kept = batched_nms(boxes, ranks, names, iou)
    kept = kept[nms(boxes[kept], ranks[kept], max(iou, SAME_BOX_IOU))]
    return best_first.select(kept.numpy())


def _best_first(detections: sv.Detections) -> NDArray[np.intp]:
    """Order rows by score, then name, then box."""
    scores, names = detections.confidence, detections.data.get("class_name")
    if scores is None or names is None:
        lost = "confidence" if scores is None else "data['class_name']"
        raise InputError(f"expected detections with confidence and class_name, got no {lost}")
    # lexsort takes the last key first
    return np.lexsort((*detections.xyxy.T[::-1], _number(names), -scores))


def _number(names: object) -> NDArray[np.intp]:
    """Give equal names equal numbers, in alphabetical order."""
    numbers: NDArray[np.intp] = np.unique(np.asarray(names, dtype=str), return_inverse=True)[1]
    return numbers

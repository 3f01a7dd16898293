"""What is taken for what: true and found objects paired by overlap alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from grounded_ram.evaluation.matching import THRESHOLDS
from grounded_ram.evaluation.truth import CocoObject

NOTHING = ""
"""What an object is taken for that was not found, and what is found where nothing is."""


def confused(
    true: Sequence[CocoObject], found: Sequence[CocoObject], *, by_masks: bool
) -> Iterator[tuple[str, str]]:
    """Pair the objects of one picture, and yield each one's true name and what it is called.

    Those that overlap by half or more are paired, the most overlapping first. Names do not matter,
    but where overlaps are equal. ``NOTHING`` stands for an object that is in no pair; what lies in
    a crowd is left out.
    """
    if by_masks:  # a crowd without a mask has nothing to compare
        true = [one for one in true if one.mask is not None]
    iou = _iou(found, true, by_masks=by_masks)
    crowd = np.array([one.crowd for one in true], bool)
    same = np.array([[a.name == b.name for b in true] for a in found], bool).reshape(iou.shape)
    rows, columns = np.nonzero((iou >= THRESHOLDS[0]) & ~crowd)
    order = np.lexsort((~same[rows, columns], -iou[rows, columns]))
    partner: dict[int, int] = {}
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in partner and column not in partner.values():
            partner[row] = column
            yield true[column].name, found[row].name
    for row, one in enumerate(found):
        if row not in partner and not (iou[row, crowd] >= THRESHOLDS[0]).any():
            yield NOTHING, one.name
    for column, one in enumerate(true):
        if column not in partner.values() and not one.crowd:
            yield one.name, NOTHING


def _iou(
    found: Sequence[CocoObject], true: Sequence[CocoObject], *, by_masks: bool
) -> NDArray[np.float64]:
    """Return (M, N) overlaps; with a crowd, shared pixels over those of the found object."""
    if not found or not true:
        return np.zeros((len(found), len(true)))
    crowd = [int(one.crowd) for one in true]
    if by_masks:
        overlaps = coco_mask.iou([one.mask for one in found], [one.mask for one in true], crowd)
    else:
        boxes = [np.array([one.bbox_xywh for one in some]) for some in (found, true)]
        overlaps = coco_mask.iou(*boxes, crowd)
    return np.nan_to_num(np.asarray(overlaps, np.float64))

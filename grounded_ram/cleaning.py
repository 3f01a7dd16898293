"""Sound masks: no specks, no pinholes, a box that fits, nothing that is too small or unsure."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Reason, Rejected
from grounded_ram.rules import Rules


def clean(detections: sv.Detections, rules: Rules) -> tuple[sv.Detections, list[Rejected]]:
    """Mend the masks of one image, fit the boxes to them, and drop what is too small or unsure.

    Args:
        detections: N rows with masks as ``sv.CompactMask``, ``mask_score`` and ``mask_stability``.
        rules: ``hole``, ``island``, ``least_pixels``, ``least_mask_score``, ``least_stability``.

    Returns:
        The rows that stay, each box tight around its mask; and the others.
    """
    masks = cast("sv.CompactMask", detections.mask)
    size_hw = masks.image_shape
    mended = [mend(np.asarray(masks.crop(row), bool), rules) for row in range(len(masks))]
    reasons = [_reason_against(detections, row, mended[row], rules) for row in range(len(mended))]
    gone = [
        Rejected.of(detections, row, reason)
        for row, reason in enumerate(reasons)
        if reason is not None
    ]
    rows = [row for row, reason in enumerate(reasons) if reason is None]
    packed = [_place(mended[row], masks.offsets[row], size_hw) for row in rows]
    mask = sv.CompactMask.merge([masks[[]], *packed])
    tight = mask.bbox_xyxy.astype(np.float32).reshape(-1, 4) + np.array([0, 0, 1, 1], np.float32)
    return replace(detections.select(rows), xyxy=tight, mask=mask), gone


def mend(mask: NDArray[np.bool_], rules: Rules) -> NDArray[np.bool_]:
    """Fill the small holes of an (h, w) mask, then remove its small islands, smallest first.

    All that changes is less than a share of the mask: a fence keeps its gaps, and what a fence
    cuts into many parts keeps them.
    """
    if _is_whole(mask):
        return mask
    area = np.count_nonzero(mask)
    padded = np.pad(mask, 1)  # a rim, so that what is open to the outside is one with it
    padded |= _smallest(~padded, rules.hole * area)
    padded &= ~_smallest(padded, rules.island * area)
    return padded[1:-1, 1:-1]


def _is_whole(mask: NDArray[np.bool_]) -> bool:
    """Tell whether a mask is one part without holes, or empty: most are, and that is soon told."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return len(outlines) < 2


def _smallest(mask: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    """Return the smallest parts of a mask that have fewer pixels than that together.

    Parts that touch the mask's rim are left out.
    """
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA]
    smallest_first = np.argsort(sizes, kind="stable")
    smallest_first = smallest_first[~np.isin(smallest_first, [0, parts[0, 0]])]
    few = smallest_first[np.cumsum(sizes[smallest_first]) < pixels]
    chosen = np.zeros(len(sizes), bool)
    chosen[few] = True
    return chosen[parts] if len(few) else np.zeros_like(mask)


def _reason_against(
    detections: sv.Detections, row: int, mask: NDArray[np.bool_], rules: Rules
) -> Reason | None:
    if np.count_nonzero(mask) < rules.least_pixels:
        return Reason.SMALL
    if detections.data["mask_score"][row] < rules.least_mask_score:
        return Reason.UNSURE
    if detections.data["mask_stability"][row] < rules.least_stability:  # never of NaN
        return Reason.UNSTABLE
    return None


def _place(
    mask: NDArray[np.bool_], offset_xy: NDArray[np.int_], size_hw: tuple[int, int]
) -> sv.CompactMask:
    """Pack an (h, w) mask, within its tight box, at its place in an image."""
    box = sv.mask_to_xyxy(mask[None])
    packed = sv.CompactMask.from_dense(mask[None], box, mask.shape)
    return packed.with_offset(int(offset_xy[0]), int(offset_xy[1]), size_hw)

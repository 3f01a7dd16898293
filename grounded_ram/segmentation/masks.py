"""Mask logits to packed masks, a few at a time: full-size masks of a photograph are large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from segment_anything.utils.amg import calculate_stability_score

_PIXELS_AT_ONCE = 2**24
"""Masks are blown up to the image's size in groups of at most this many pixels (or one by one)."""


def pack(
    logits: torch.Tensor,
    size_hw: tuple[int, int],
    binarise: Callable[[torch.Tensor], torch.Tensor],
) -> sv.CompactMask:
    """Turn (N, 1, h, w) logits into N packed masks of an image of the given size.

    Args:
        logits: N masks as the network gives them; N may be 0.
        size_hw: size of the image.
        binarise: blows up (n, 1, h, w) logits to (n, H, W) bool masks of the image's size.
    """
    at_once = max(1, _PIXELS_AT_ONCE // (size_hw[0] * size_hw[1]))
    groups = (binarise(group).cpu().numpy() for group in chunks(logits, at_once))
    return sv.CompactMask.merge([no_masks(size_hw), *map(compact, groups)])


def compact(masks: NDArray[np.bool_]) -> sv.CompactMask:
    """Pack (N, H, W) masks, each within its own tight box so that no pixel is lost."""
    height, width = masks.shape[1:]
    return sv.CompactMask.from_dense(masks, sv.mask_to_xyxy(masks), (height, width))


def no_masks(size_hw: tuple[int, int]) -> sv.CompactMask:
    """Return zero masks of an image of the given size."""
    return compact(np.zeros((0, *size_hw), np.bool_))


def with_masks(
    detections: sv.Detections,
    mask: sv.CompactMask,
    scores: NDArray[np.float32],
    stability: NDArray[np.float32],
) -> sv.Detections:
    """Return the same rows with their masks, ``mask_score`` and ``mask_stability`` in ``data``."""
    told = {"mask_score": scores, "mask_stability": stability}
    return replace(detections, mask=mask, data={**detections.data, **told})


def stability(logits: torch.Tensor) -> NDArray[np.float32]:
    """Return how little masks change with the threshold: (N,) in [0, 1], 1 where nothing changes.

    The overlap of what lies above a logit of 1 with what lies above -1, as SAM's automatic masks
    are judged (Kirillov et al., 2023, appendix B), at the size at which the network gives its
    masks; 0 for an empty mask.

    Args:
        logits: (N, 1, h, w).
    """
    found = calculate_stability_score(logits[:, 0], 0.0, 1.0)
    stable: NDArray[np.float32] = found.nan_to_num(0.0).cpu().numpy().astype(np.float32)
    return stable


def chunks(items: Any, size: int) -> Iterator[Any]:
    """Cut rows into pieces of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]

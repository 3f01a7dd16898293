"""Mask logits to packed masks: full-size masks of a photograph are large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import supervision as sv
import torch
from numpy.typing import NDArray
from segment_anything.utils.amg import calculate_stability_score

from grounded_ram.segmentation.upscaling import Step, Window, upscale


def pack(logits: torch.Tensor, steps: Sequence[Step]) -> sv.CompactMask:
    """Turn (N, 1, h, w) logits into N packed masks of the image's size.

    Args:
        logits: N masks as the network gives them; N may be 0.
        steps: the resizings that lead from them to the image.
    """
    size_hw = steps[-1].size_hw
    windows = upscale(logits[:, 0].float(), steps)
    return sv.CompactMask.merge([no_masks(size_hw), *(_place(one, size_hw) for one in windows)])


def _place(window: Window, size_hw: tuple[int, int]) -> sv.CompactMask:
    """Pack a mask of which a window is known."""
    if not window.mask.numel():
        return compact(np.zeros((1, *size_hw), np.bool_))
    packed = compact(window.mask.cpu().numpy()[None])
    return packed.with_offset(window.left, window.top, size_hw)


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

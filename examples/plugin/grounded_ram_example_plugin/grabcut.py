"""GrabCut (Rother et al., 2004) as a segmenter: what in a box has other colours than its border."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import supervision as sv

from grounded_ram.weights import Checkpoint

CHECKPOINT = Checkpoint(
    name="grabcut:opencv", summary="GrabCut, no weights", licence="Apache-2.0", files={}
)
ROUNDS = 3


class GrabCutSegmenter:
    """Cuts each box by its own colours."""

    def segment(
        self, images: Sequence[np.ndarray], detections: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        return [_cut_all(*pair) for pair in zip(images, detections, strict=True)]


def load_grabcut(checkpoint, *, device, dtype) -> GrabCutSegmenter:
    """Make the segmenter; there are no weights to read, and it always runs on the CPU."""
    return GrabCutSegmenter()


def _cut_all(image: np.ndarray, found: sv.Detections) -> sv.Detections:
    size_hw = image.shape[:2]
    masks = np.zeros((len(found), *size_hw), bool)
    for row, box in enumerate(found.xyxy):
        masks[row] = _cut(image, box)
    return replace(
        found,
        mask=sv.CompactMask.from_dense(masks, found.xyxy, size_hw),
        # GrabCut says nothing of how sure it is.
        data={**found.data, "mask_score": np.ones(len(found), np.float32)},
    )


def _cut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the (H, W) bool mask of one box; the whole box where it shows one colour only."""
    x0, y0 = np.floor(box[:2]).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int)
    labels = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    labels[y0:y1, x0:x1] = cv2.GC_PR_FGD
    whole = labels == cv2.GC_PR_FGD
    if whole.all():
        return whole  # nothing outside to tell it from
    cv2.setRNGSeed(0)  # GrabCut starts from k-means
    try:
        cv2.grabCut(image, labels, None, None, None, ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # a box of a pixel or two holds too few colours for its model
        return whole
    return (labels == cv2.GC_PR_FGD) | (labels == cv2.GC_FGD)

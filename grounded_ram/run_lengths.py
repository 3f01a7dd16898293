"""Masks as COCO's run lengths, from the part of the picture in which they lie."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


def run_lengths(
    pixels: NDArray[np.bool_], offset_xy: tuple[int, int], size_hw: tuple[int, int]
) -> dict[str, Any]:
    """Return a mask as pycocotools takes it: ``size``, and ``counts`` as compressed bytes.

    Args:
        pixels: (h, w) part of the mask outside of which it is empty; h and w may be 0.
        offset_xy: where that part begins.
        size_hw: size of the picture.
    """
    (height, width), (x, y) = size_hw, offset_xy
    tall = pixels.shape[0] + 1
    columns = np.zeros((pixels.shape[1], tall), np.uint8)  # no run goes on into the next column
    if pixels.size:
        columns[:, :-1] = cv2.transpose(np.ascontiguousarray(pixels).view(np.uint8))
    turns = np.flatnonzero(np.diff(columns.ravel(), prepend=0))
    turns = (x + turns // tall) * height + y + turns % tall
    # What fills a column down to the picture's last row goes on in the next one's first.
    apart = np.diff(turns) > 0
    turns = turns[np.append(True, apart)[: len(turns)] & np.append(apart, True)[: len(turns)]]
    ends = turns if len(turns) and turns[-1] == height * width else np.append(turns, height * width)
    counts = np.diff(ends, prepend=0).tolist()
    packed: dict[str, Any] = coco_mask.frPyObjects(
        {"size": [height, width], "counts": counts}, height, width
    )
    return packed

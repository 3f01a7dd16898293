"""A second look: each object alone, as the tagger sees it.

RAM's data engine cleans its labels so (Zhang et al., 2023, section 3.3): what a tag is said to show
is cropped and looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.images import Image
from grounded_ram.vocabulary.labelling import Labels

Look: TypeAlias = Callable[[list[Image]], list[Tags]]
"""Says of pictures how sure a tagger is of every tag that it knows, the surest first."""

_AT_ONCE = 16
"""Crops that are held at a time: those of a large picture may be large, and many."""


def crop_scores(
    look: Look, image: Image, detections: sv.Detections, labels: Labels, *, margin: float
) -> NDArray[np.float32]:
    """Tag the region of each object and return how sure the tagger is of its label there.

    Args:
        look: tags some crops.
        image: (H, W, 3) the whole picture.
        detections: N objects with ``xyxy`` and ``data["class_name"]``.
        labels: tell which tags speak for a label.
        margin: share of the box's sides by which the crop is wider on each side.

    Returns:
        (N,) scores in [0, 1]; NaN where the tagger knows no such tag.
    """
    speaks_for = cache(labels.speaks_for)  # there are thousands of tags
    scores: list[float] = []
    for start in range(0, len(detections), _AT_ONCE):
        some = detections.select(slice(start, start + _AT_ONCE))
        seen = look([crop(image, box, margin) for box in some.xyxy])
        for name, tags in zip(some.data["class_name"], seen, strict=True):
            rows = (row for row, tag in enumerate(tags.names) if speaks_for(tag, str(name)))
            row = next(rows, None)
            scores.append(float("nan") if row is None else float(tags.scores[row]))
    return np.array(scores, np.float32)


def crop(image: Image, box_xyxy: NDArray[np.floating], margin: float) -> Image:
    """Return the pixels of a box and of a margin around it, as far as the image goes."""
    height, width = image.shape[:2]
    low, high = box_xyxy[:2].astype(np.float64), box_xyxy[2:].astype(np.float64)
    more = (high - low) * margin
    x0, y0 = np.floor(low - more).clip(0).astype(int)
    x1, y1 = np.ceil(high + more).clip(None, (width, height)).astype(int)
    return np.ascontiguousarray(image[y0:y1, x0:x1])

"""A second look: each object alone, as the tagger sees it.

RAM's data engine cleans its labels so (Zhang et al., 2023, section 3.3): what a tag is said to show
is cropped and looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.images import Image
from grounded_ram.merging import Kinship
from grounded_ram.stages import Tagger


def crop_scores(
    tagger: Tagger, image: Image, detections: sv.Detections, kinship: Kinship, *, margin: float
) -> NDArray[np.float32]:
    """Tag the region of each object and return how sure the tagger is of its label there.

    Args:
        tagger: tells of every tag that it knows how sure it is, at a threshold of 0.
        image: (H, W, 3) the whole picture.
        detections: N objects with ``xyxy`` and ``data["class_name"]``.
        kinship: a tag that means a kind of the label speaks for it, too.
        margin: share of the box's sides by which the crop is wider on each side.

    Returns:
        (N,) scores in [0, 1]; NaN where the tagger knows no such tag.
    """
    crops = [crop(image, box, margin) for box in detections.xyxy]
    seen = tagger.tag(crops, threshold=0.0) if crops else []
    names = [str(name) for name in detections.data["class_name"]]
    speaks_for = cache(kinship.is_a)  # there are thousands of tags
    scores = [
        max(
            (score for tag, score in _pairs(tags) if speaks_for(tag, name)),
            default=float("nan"),
        )
        for name, tags in zip(names, seen, strict=True)
    ]
    return np.array(scores, np.float32)


def crop(image: Image, box_xyxy: NDArray[np.floating], margin: float) -> Image:
    """Return the pixels of a box and of a margin around it, as far as the image goes."""
    height, width = image.shape[:2]
    low, high = box_xyxy[:2].astype(np.float64), box_xyxy[2:].astype(np.float64)
    more = (high - low) * margin
    x0, y0 = np.floor(low - more).clip(0).astype(int)
    x1, y1 = np.ceil(high + more).clip(None, (width, height)).astype(int)
    return np.ascontiguousarray(image[y0:y1, x0:x1])


def _pairs(tags: Tags) -> Iterator[tuple[str, float]]:
    return zip(tags.names, tags.scores.tolist(), strict=True)
